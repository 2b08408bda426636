package uring_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

func fixed(s *uring.SQE) { s.Flags |= uring.SQEFixedFile }

func TestRegisteredFileIsAnotherOne(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	a, b := openFile(t, "file a"), openFile(t, "file b")
	fds := []int32{int32(a.Fd()), uring.FileEmpty, int32(b.Fd())}
	fatalIf(t, r.RegisterFiles(fds))
	wantErr(t, "a second table", r.RegisterFiles(fds), unix.EBUSY)
	readFixedFile(t, r, 0, "file a")
	readFixedFile(t, r, 2, "file b")
	empty := do(t, r, func(s *uring.SQE) { s.PrepRead(1, pinnedBytes(t, 1), 0); fixed(s) })
	wantErr(t, "an empty place", empty.Err(), unix.EBADF)

	n, err := r.RegisterFilesUpdate(0, []int32{uring.FileSkip, int32(b.Fd()), uring.FileEmpty})
	if n != 3 || err != nil {
		t.Fatalf("RegisterFilesUpdate = %d, %v", n, err)
	}
	readFixedFile(t, r, 0, "file a")
	readFixedFile(t, r, 1, "file b")
	empty = do(t, r, func(s *uring.SQE) { s.PrepRead(2, pinnedBytes(t, 1), 0); fixed(s) })
	wantErr(t, "a place that was emptied", empty.Err(), unix.EBADF)

	update := []int32{int32(a.Fd())}
	pin(t, &update[0])
	if n := must(t, r, func(s *uring.SQE) { s.PrepFilesUpdate(2, update) }); n != 1 {
		t.Errorf("PrepFilesUpdate: %d", n)
	}
	readFixedFile(t, r, 2, "file a")
	fatalIf(t, a.Close())
	readFixedFile(t, r, 2, "file a") // the table holds it open

	if _, err := r.RegisterFilesUpdateTagged(2, []int32{int32(b.Fd())}, nil); err != unix.EINVAL {
		t.Errorf("tags are missing: %v", err)
	}
	if n, err := r.RegisterFilesUpdateTagged(2, []int32{int32(b.Fd())}, []uint64{4711}); n != 1 || err != nil {
		t.Fatalf("RegisterFilesUpdateTagged = %d, %v", n, err)
	}
	readFixedFile(t, r, 2, "file b")
	// Older kernels tell of files that are replaced, not of the whole table.
	if n, err := r.RegisterFilesUpdate(2, []int32{uring.FileEmpty}); n != 1 || err != nil {
		t.Fatalf("RegisterFilesUpdate = %d, %v", n, err)
	}
	if c := reap(t, r, 1)[0]; c.UserData != 4711 {
		t.Errorf("the file's tag: %+v", c)
	}
	fatalIf(t, r.UnregisterFiles())
	wantErr(t, "unregistering again", r.UnregisterFiles(), unix.ENXIO)
	_, err = r.RegisterFilesUpdate(0, fds)
	wantErr(t, "an update without a table", err, unix.ENXIO)
}

func TestDirectDescriptorGoesElsewhere(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	f := openFile(t, "direct")
	name := path(t, f.Name())
	fatalIf(t, r.RegisterFilesSparse(8))
	before := openDescriptors(t)
	must(t, r, func(s *uring.SQE) { s.PrepOpenat(unix.AT_FDCWD, name, unix.O_RDONLY, 0); s.Direct(5) })
	if n := openDescriptors(t); n != before {
		t.Errorf("%d descriptors, %d before: a direct open made one", n, before)
	}
	readFixedFile(t, r, 5, "direct")

	err := r.RegisterFileAllocRange(3, 2)
	orSkip(t, "RegisterFileAllocRange", err)
	open := func(s *uring.SQE) { s.PrepOpenat(unix.AT_FDCWD, name, unix.O_RDONLY, 0); s.DirectAny() }
	for want := range 2 {
		if index := must(t, r, open); index != want+3 {
			t.Errorf("the kernel chose index %d, want %d", index, want+3)
		}
	}
	wantErr(t, "the range is full", do(t, r, open).Err(), unix.ENFILE)
	must(t, r, func(s *uring.SQE) { s.PrepCloseDirect(3) })
	empty := do(t, r, func(s *uring.SQE) { s.PrepRead(3, pinnedBytes(t, 1), 0); fixed(s) })
	wantErr(t, "after PrepCloseDirect", empty.Err(), unix.EBADF)
	if index := must(t, r, open); index != 3 {
		t.Errorf("the kernel chose index %d, want 3", index)
	}

	needOps(t, r, uring.OpFixedFdInstall)
	fd := must(t, r, func(s *uring.SQE) { s.PrepFixedFdInstall(5, 0) })
	defer unix.Close(fd)
	var p [10]byte
	if n, err := unix.Pread(fd, p[:], 0); string(p[:max(n, 0)]) != "direct" {
		t.Errorf("the installed descriptor reads %q, %v", p[:max(n, 0)], err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
		t.Errorf("the installed descriptor has flags %#x, %v", flags, err)
	}
}

func TestRestrictionsPermitMore(t *testing.T) {
	r := newRing(t, 8, uring.Config{Flags: uring.SetupRDisabled})
	f := openFile(t, "restricted")
	fatalIf(t, r.RegisterFiles([]int32{int32(f.Fd())}))
	fatalIf(t, r.RegisterRestrictions(
		uring.AllowOp(uring.OpRead), uring.AllowFlags(uring.SQEIOLink),
		uring.RequireFlags(uring.SQEFixedFile), uring.AllowRegister(uring.RegisterOpProbe)))
	wantErr(t, "restricting twice", r.RegisterRestrictions(uring.AllowOp(uring.OpNop)), unix.EBUSY)
	fatalIf(t, r.Enable())
	running := newRing(t, 8, uring.Config{})
	wantErr(t, "restricting a running ring", running.RegisterRestrictions(uring.AllowOp(uring.OpNop)), unix.EBADFD)
	readFixedFile(t, r, 0, "restricted")
	p := pinnedBytes(t, 1)
	for name, prepare := range map[string]func(s *uring.SQE){
		"another opcode":    func(s *uring.SQE) { s.PrepNop(); fixed(s) },
		"without the flag":  func(s *uring.SQE) { s.PrepRead(int(f.Fd()), p, 0) },
		"with another flag": func(s *uring.SQE) { s.PrepRead(0, p, 0); fixed(s); s.Flags |= uring.SQEAsync },
	} {
		wantErr(t, name, do(t, r, prepare).Err(), unix.EACCES)
	}
	if _, err := r.Probe(); err != nil {
		t.Errorf("an allowed registration: %v", err)
	}
	wantErr(t, "another registration", r.UnregisterFiles(), unix.EACCES)
}

func eventCount(t *testing.T, fd int) uint64 {
	t.Helper()
	var p [8]byte
	if _, err := unix.Read(fd, p[:]); err == unix.EAGAIN {
		return 0
	} else if err != nil {
		t.Fatal(err)
	}
	return binary.NativeEndian.Uint64(p[:])
}

func TestEventfdIsSilent(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	fatalIf(t, err)
	defer unix.Close(fd)
	nop := func() {
		t.Helper()
		next(t, r, 0).PrepNop()
		submit(t, r)
		reap(t, r, 1)
	}
	fatalIf(t, r.RegisterEventfd(fd))
	wantErr(t, "a second one", r.RegisterEventfd(fd), unix.EBUSY)
	if nop(); eventCount(t, fd) == 0 {
		t.Error("no event")
	}
	if !r.EnableEventfd(false) {
		skipKernel(t, "the eventfd cannot be switched off")
	}
	if nop(); eventCount(t, fd) != 0 {
		t.Error("an event while switched off")
	}
	r.EnableEventfd(true)
	if nop(); eventCount(t, fd) == 0 {
		t.Error("no event after switching on again")
	}
	fatalIf(t, r.UnregisterEventfd())
	wantErr(t, "unregistering again", r.UnregisterEventfd(), unix.ENXIO)
	fatalIf(t, r.RegisterEventfdAsync(fd))
	if nop(); eventCount(t, fd) != 0 {
		t.Error("an event for a completion inside of the submission")
	}
	s := next(t, r, 0)
	s.PrepNop()
	s.Flags |= uring.SQEAsync
	submit(t, r)
	eventually(t, "an event for a worker's completion", func() bool { return eventCount(t, fd) != 0 })
}

func TestPersonalityIsIgnored(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	id, err := r.RegisterPersonality()
	if err != nil || id == 0 {
		t.Fatalf("RegisterPersonality = %d, %v", id, err)
	}
	nop := func(s *uring.SQE) { s.PrepNop(); s.Personality = id }
	must(t, r, nop)
	fatalIf(t, r.UnregisterPersonality(id))
	wantErr(t, "unregistering again", r.UnregisterPersonality(id), unix.EINVAL)
	wantErr(t, "an unknown personality", do(t, r, nop).Err(), unix.EINVAL)
}

func TestWorkerLimitsAreIgnored(t *testing.T) {
	lockThread(t)
	r := newRing(t, 8, uring.Config{})
	must(t, r, (*uring.SQE).PrepNop) // the thread's workers exist from now on
	first, err := r.IOWQMaxWorkers(3, 5)
	orSkip(t, "IOWQMaxWorkers", err)
	if first[0] == 0 || first[1] == 0 {
		t.Errorf("limits before: %v", first)
	}
	if now, err := r.IOWQMaxWorkers(0, 0); now != [2]uint32{3, 5} || err != nil {
		t.Errorf("limits: %v, %v; want 3 and 5", now, err)
	}
	if _, err := r.IOWQMaxWorkers(first[0], first[1]); err != nil {
		t.Error(err)
	}
}

// workers are the kernel's worker threads of the calling thread.
func workers(t *testing.T) (tids []int) {
	t.Helper()
	names, err := filepath.Glob("/proc/self/task/*/comm")
	fatalIf(t, err)
	for _, file := range names {
		name, err := os.ReadFile(file)
		if err != nil || strings.TrimSpace(string(name)) != fmt.Sprint("iou-wrk-", unix.Gettid()) {
			continue // it ended meanwhile, or is something else
		}
		tid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		fatalIf(t, err)
		tids = append(tids, tid)
	}
	return tids
}

func TestWorkerRunsOnAnyProcessor(t *testing.T) {
	var all unix.CPUSet
	fatalIf(t, unix.SchedGetaffinity(0, &all))
	if !all.IsSet(0) || all.Count() < 2 {
		skipKernel(t, "one processor only")
	}
	// A worker that is there already keeps its processors. Each attempt takes
	// its thread with it, for the goroutine ends locked.
	for tested := false; !tested; {
		t.Run("thread", func(t *testing.T) {
			runtime.LockOSThread()
			if len(workers(t)) == 0 {
				tested = true
				runWorkerOnOneProcessor(t)
			}
		})
	}
}

func runWorkerOnOneProcessor(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	must(t, r, (*uring.SQE).PrepNop) // the thread has a place for workers now
	var one unix.CPUSet
	one.Set(0)
	orSkip(t, "IOWQAffinity", r.IOWQAffinity(&one))
	must(t, r, func(s *uring.SQE) { s.PrepNop(); s.Flags |= uring.SQEAsync })
	tids := workers(t)
	if len(tids) == 0 {
		t.Error("there is no worker")
	}
	for _, tid := range tids {
		var cpus unix.CPUSet
		if err := unix.SchedGetaffinity(tid, &cpus); err != nil || cpus != one {
			t.Errorf("worker %d may run on %d processors (%v), want processor 0 only", tid, cpus.Count(), err)
		}
	}
	fatalIf(t, r.UnregisterIOWQAffinity())
}

func TestClockIsIgnored(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	orSkip(t, "RegisterClock", r.RegisterClock(unix.CLOCK_BOOTTIME))
	err := r.Wait(1, time.Millisecond)
	for err == unix.EINTR {
		err = r.Wait(1, time.Millisecond)
	}
	wantErr(t, "waiting on the clock", err, unix.ETIME)
	wantErr(t, "a clock that jumps", r.RegisterClock(unix.CLOCK_REALTIME), unix.EINVAL)
}

func TestNapiSettingsAreRefused(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	orSkip(t, "RegisterNapi", r.RegisterNapi(50*time.Microsecond, true))
	fatalIf(t, r.UnregisterNapi())
}

// onOtherThread runs f on a thread that stays until the test is over.
func onOtherThread(t *testing.T, f func() error) {
	t.Helper()
	result, over := make(chan error), make(chan struct{})
	t.Cleanup(func() { close(over) })
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		result <- f()
		<-over
	}()
	fatalIf(t, <-result)
}

// TestRegisteredRingFdActsOnAnotherRing registers two rings on two threads and
// uses each of them on both.
func TestRegisteredRingFdActsOnAnotherRing(t *testing.T) {
	lockThread(t)
	r, other := newRing(t, 8, uring.Config{}), newRing(t, 8, uring.Config{})
	orSkip(t, "RegisterRingFd", r.RegisterRingFd())
	wantErr(t, "registering again", r.RegisterRingFd(), uring.ErrRingFdBusy)
	must(t, r, (*uring.SQE).PrepNop)
	onOtherThread(t, func() error {
		if err := other.RegisterRingFd(); err != nil {
			return err
		}
		r.Next().UserData = 10
		other.Next().UserData = 20
		if n, err := r.Submit(); n != 1 || err != nil {
			return fmt.Errorf("Submit on another thread: %d, %v", n, err)
		}
		if n, err := other.SubmitAndWait(1, time.Second); n != 1 || err != nil {
			return fmt.Errorf("SubmitAndWait: %d, %v", n, err)
		}
		return nil
	})
	if r.RegisteredSlot() == other.RegisteredSlot() {
		t.Errorf("both rings have index %d", other.RegisteredSlot())
	}
	if c := reap(t, r, 1)[0]; c.UserData != 10 {
		t.Errorf("completion %+v, want 10", c)
	}
	next(t, other, 21).PrepNop()
	if all := byUserData(t, reap(t, other, 2)); len(all) != 2 { // not registered on this thread
		t.Errorf("completions: %v", all)
	}
	taken := other.RegisteredSlot()
	wantErr(t, "Close on another thread", other.Close(), uring.ErrWrongThread)
	third := newRing(t, 8, uring.Config{})
	fatalIf(t, third.RegisterRingFd())
	if third.RegisteredSlot() == taken {
		t.Error("an index was given away that means another ring on another thread")
	}
	must(t, third, (*uring.SQE).PrepNop)
	fatalIf(t, third.UnregisterRingFd())
	fatalIf(t, third.UnregisterRingFd())
	must(t, third, (*uring.SQE).PrepNop)
}

// TestRingSlotsRunOut closes rings that were registered by threads that have
// ended, or are about to.
func TestRingSlotsRunOut(t *testing.T) {
	newRing(t, 8, uring.Config{}) // skips without io_uring
	for round := range 40 {
		r, err := uring.New(8, uring.Config{})
		fatalIf(t, err)
		registered, over := make(chan error), make(chan struct{})
		var thread int
		go func() {
			runtime.LockOSThread()
			thread = unix.Gettid()
			registered <- r.RegisterRingFd()
			<-over
		}()
		orSkip(t, "RegisterRingFd", <-registered)
		if thread == os.Getpid() {
			close(over) // Go never ends the main thread
			wantErr(t, "Close", r.Close(), uring.ErrWrongThread)
			continue
		}
		if round%2 == 0 {
			wantErr(t, "Close while the thread lives", r.Close(), uring.ErrWrongThread)
		}
		close(over)
		eventually(t, "the thread ends", func() bool { return unix.Tgkill(os.Getpid(), thread, 0) == unix.ESRCH })
		fatalIf(t, r.Close())
	}
}

func TestResizeLosesEntries(t *testing.T) {
	const locked = uring.SetupSingleIssuer | uring.SetupDeferTaskrun | uring.SetupNoSQArray
	lockThread(t)
	r := newRing(t, 4, uring.Config{Flags: locked})
	mappings := ringMappings(t)
	for i := range uint64(3) {
		next(t, r, i).PrepNop()
	}
	submit(t, r)
	for i := uint64(3); i < 6; i++ { // not submitted, and across the wrap
		next(t, r, i).PrepNop()
	}
	orSkip(t, "Resize", r.Resize(16, 64))
	if r.SQEntries() != 16 || r.CQEntries() != 64 || r.Queued() != 3 {
		t.Errorf("after Resize: %d and %d entries, %d queued", r.SQEntries(), r.CQEntries(), r.Queued())
	}
	for i := uint64(6); i < 19; i++ {
		next(t, r, i).PrepNop()
	}
	if r.Next() != nil {
		t.Error("the queue is not full")
	}
	for i, c := range reap(t, r, 19) {
		if c.UserData != uint64(i) {
			t.Fatalf("completion %d is %+v", i, c)
		}
	}
	readAll(t, r, int(openFile(t, strings.Repeat("resized ", 10)).Fd()), strings.Repeat("resized ", 10))
	if n := ringMappings(t); n != mappings {
		t.Errorf("%d mappings, %d before", n, mappings)
	}
	for i := range uint64(4) {
		next(t, r, i).PrepNop()
	}
	wantErr(t, "too small for what is queued", r.Resize(2, 2), unix.EOVERFLOW)
	reap(t, r, 4)
	for _, flags := range []uring.SetupFlags{uring.SetupNoSQArray, locked &^ uring.SetupNoSQArray, locked | uring.SetupNoMmap} {
		r := newRing(t, 4, uring.Config{Flags: flags})
		wantErr(t, flags.String(), r.Resize(8, 0), unix.EINVAL)
	}
}

// Kernels without a fix of 2026 copy others than the large entries in a queue.
func TestResizeMovesLargeEntries(t *testing.T) {
	const locked = uring.SetupSingleIssuer | uring.SetupDeferTaskrun | uring.SetupNoSQArray
	for _, flags := range []uring.SetupFlags{locked | uring.SetupSQE128, locked | uring.SetupCQE32} {
		lockThread(t)
		r := newRing(t, 4, uring.Config{Flags: flags})
		next(t, r, 1).PrepNop()
		if flags&uring.SetupCQE32 != 0 {
			submit(t, r)
		}
		wantErr(t, flags.String(), r.Resize(16, 64), unix.EBUSY)
		reap(t, r, 1)
		orSkip(t, "Resize", r.Resize(16, 64))
		next(t, r, 2).PrepNop()
		reap(t, r, 1)
	}
}

// Of two who register a ring at once one gets ErrRingFdBusy: the index of the other
// would be lost for good.
func TestRingIsRegisteredTwiceAtOnce(t *testing.T) {
	lockThread(t)
	once := newRing(t, 4, uring.Config{})
	orSkip(t, "RegisterRingFd", once.RegisterRingFd())
	fatalIf(t, once.UnregisterRingFd())
	for round := range 500 {
		r, err := uring.New(4, uring.Config{})
		fatalIf(t, err)
		start := make(chan struct{})
		var errs [2]error
		var wg, tried sync.WaitGroup
		tried.Add(2)
		for i := range 2 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				<-start
				errs[i] = r.RegisterRingFd()
				tried.Done()
				tried.Wait()
				if errs[i] == nil {
					r.UnregisterRingFd()
				}
			}()
		}
		close(start)
		wg.Wait()
		fatalIf(t, r.Close())
		for _, err := range errs {
			if err != nil && !errors.Is(err, uring.ErrRingFdBusy) {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		if errs[0] == nil && errs[1] == nil {
			t.Fatalf("round %d: it is registered twice", round)
		}
	}
}
