package uring_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// TestBadTableIsHalfRegistered registers tables with one bad entry, too large
// ones and none.
func TestBadTableIsHalfRegistered(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	f := openFile(t, "x")
	good := int32(f.Fd())
	closed, err := unix.Dup(int(good))
	fatalIf(t, err)
	fatalIf(t, unix.Close(closed))
	wantErr(t, "a bad descriptor", r.RegisterFiles([]int32{good, int32(closed) + 10000}), unix.EBADF)
	wantErr(t, "no table", r.UnregisterFiles(), unix.ENXIO)
	if err := r.RegisterFiles(nil); err != unix.EINVAL && err != unix.EFAULT {
		t.Errorf("an empty table: %v", err)
	}
	if err := r.RegisterFiles([]int32{int32(r.Fd())}); err != nil && err != unix.EBADF { // the ring itself: refused
		t.Errorf("the ring in its own table: %v", err)
	} else if err == nil {
		fatalIf(t, r.UnregisterFiles())
	}
	huge := make([]int32, 1<<20+1)
	for i := range huge {
		huge[i] = good
	}
	if err := r.RegisterFiles(huge); err != unix.EMFILE && err != unix.EINVAL {
		t.Errorf("more than a million files: %v", err)
	}
	p := pinnedBytes(t, 64)
	none := anonymous(t, 8192)
	fatalIf(t, unix.Mprotect(none, unix.PROT_NONE))
	wantErr(t, "bad memory", r.RegisterBuffers([][]byte{p, none}), unix.EFAULT)
	wantErr(t, "no table of buffers", r.UnregisterBuffers(), unix.ENXIO)
	if err := r.RegisterBuffers(nil); err != unix.EINVAL && err != unix.EFAULT {
		t.Errorf("an empty table of buffers: %v", err)
	}
	many := make([][]byte, 1<<14+1)
	for i := range many {
		many[i] = p
	}
	wantErr(t, "too many buffers", r.RegisterBuffers(many), unix.EINVAL)
	fatalIf(t, r.RegisterBuffers(many[:1000]))
	fatalIf(t, r.UnregisterBuffers())
}

// TestTableIsNotUpdated grows, shrinks, replaces and thins out a table of files
// by every kind of update, and reads each place after each.
func TestTableIsNotUpdated(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		const places = 6
		var files [10]*os.File
		for i := range files {
			files[i] = openFile(t, fmt.Sprint("file ", i))
		}
		state := [places]int{0, 1, 2, -1, -1, -1}
		fd := func(i int) int32 {
			if i < 0 {
				return uring.FileEmpty
			}
			return int32(files[i].Fd())
		}
		var table []int32
		for _, i := range state {
			table = append(table, fd(i))
		}
		fatalIf(t, r.RegisterFiles(table))
		check := func() {
			t.Helper()
			for place, i := range state {
				if i >= 0 {
					readFixedFile(t, r, place, fmt.Sprint("file ", i))
					continue
				}
				c := do(t, r, func(s *uring.SQE) { s.PrepRead(place, pinnedBytes(t, 1), 0); fixed(s) })
				wantErr(t, fmt.Sprint("empty place ", place), c.Err(), unix.EBADF)
			}
		}
		check()
		for i, update := range []struct {
			at  int
			now []int
		}{{3, []int{3, 4}}, {0, []int{-1, 5}}, {1, []int{-1, -1, -1}}, {5, []int{6}}, {0, []int{7, 8, 9, 7, 8, 9}}, {0, []int{-1, -1, -1, -1, -1, -1}}} {
			fds := make([]int32, len(update.now))
			for j, now := range update.now {
				fds[j] = fd(now)
				state[update.at+j] = now
			}
			pin(t, &fds[0])
			n, err := 0, error(nil)
			if i%2 == 0 {
				n, err = r.RegisterFilesUpdate(uint32(update.at), fds)
				fatalIf(t, err)
			} else {
				n = must(t, r, func(s *uring.SQE) { s.PrepFilesUpdate(uint32(update.at), fds) })
			}
			if n != len(fds) {
				t.Errorf("update %d dealt with %d, want %d", i, n, len(fds))
			}
			check()
		}
		_, err := r.RegisterFilesUpdate(places, []int32{fd(0)})
		wantErr(t, "behind the table", err, unix.EINVAL)
		n, err := r.RegisterFilesUpdate(0, []int32{fd(1), 1 << 20, fd(2)})
		if n != 1 {
			t.Errorf("an update with a bad descriptor dealt with %d, %v; want 1", n, err)
		}
		readFixedFile(t, r, 0, "file 1")
	})
}

// TestUpdateSwapsFileUnderRequest replaces the file that a request in flight
// uses, more than once, and out of order.
func TestUpdateSwapsFileUnderRequest(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		in1, out1 := pipe(t)
		in2, out2 := pipe(t)
		fatalIf(t, r.RegisterFiles([]int32{int32(in1), int32(in2)}))
		p, q := pinnedBytes(t, 8), pinnedBytes(t, 8)
		read := func(id uint64, place int, p []byte) {
			s := next(t, r, id)
			s.PrepRead(place, p, uring.CurrentPosition)
			fixed(s)
			submit(t, r)
		}
		update := func(place uint32, fd int) {
			if n, err := r.RegisterFilesUpdate(place, []int32{int32(fd)}); n != 1 {
				t.Fatalf("RegisterFilesUpdate = %d, %v", n, err)
			}
		}
		read(1, 0, p)
		quiet(t, r, "the first pipe is empty")
		update(1, uring.FileEmpty) // not the one in use, then that one
		update(0, in2)
		read(2, 0, q)
		quiet(t, r, "both pipes are empty")
		update(0, uring.FileEmpty)
		write(t, out2, "two")
		if c := sequence(t, r, 2)[0]; string(q[:max(c.Res, 0)]) != "two" {
			t.Errorf("second: %+v, %q", c, q)
		}
		write(t, out1, "one")
		if c := sequence(t, r, 1)[0]; string(p[:max(c.Res, 0)]) != "one" {
			t.Errorf("first: %+v, %q", c, p)
		}
	})
}

// TestKernelChoosesIndexOutsideRange lets the kernel choose places within a
// range, while places outside of it come and go.
func TestKernelChoosesIndexOutsideRange(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "ranges", uring.OpSendZC)
	f := openFile(t, "chosen")
	name := path(t, f.Name())
	open := func(s *uring.SQE) { s.PrepOpenat(unix.AT_FDCWD, name, unix.O_RDONLY, 0); s.DirectAny() }
	wantErr(t, "a range without a table", r.RegisterFileAllocRange(0, 1), unix.EINVAL)
	if err := do(t, r, open).Err(); err != unix.ENXIO && err != unix.ENFILE {
		t.Errorf("an open without a table: %v", err)
	}
	for range 2 { // what is remembered of an old table must not matter
		fatalIf(t, r.RegisterFilesSparse(16))
		for _, bad := range [][2]uint32{{16, 1}, {0, 17}, {1 << 31, 1 << 31}} {
			if err := r.RegisterFileAllocRange(bad[0], bad[1]); err != unix.EINVAL && err != unix.EOVERFLOW {
				t.Errorf("range %v: %v", bad, err)
			}
		}
		fatalIf(t, r.RegisterFileAllocRange(4, 4))
		seen := map[int]bool{}
		for i := range 4 {
			at := must(t, r, open)
			if at < 4 || at > 7 || seen[at] {
				t.Fatalf("open %d chose index %d, with %v in use", i, at, seen)
			}
			seen[at] = true
			readFixedFile(t, r, at, "chosen")
		}
		wantErr(t, "a full range", do(t, r, open).Err(), unix.ENFILE)
		fatalIf(t, r.RegisterFileAllocRange(0, 0))
		wantErr(t, "an empty range", do(t, r, open).Err(), unix.ENFILE)
		fatalIf(t, r.UnregisterFiles())
	}
}

// TestTagsComeEarlyOrNever replaces tagged files and buffers while they are in
// use and not, and closes the ring with some left.
func TestTagsComeEarlyOrNever(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		needFeature(t, r, uring.FeatRsrcTags)
		f := openFile(t, "x")
		fatalIf(t, r.RegisterFilesSparse(4))
		in, out := pipe(t)
		fds := []int32{int32(in), int32(f.Fd()), int32(f.Fd()), int32(f.Fd())}
		if n, err := r.RegisterFilesUpdateTagged(0, fds, []uint64{101, 102, 0, 104}); n != 4 {
			t.Fatalf("RegisterFilesUpdateTagged = %d, %v", n, err)
		}
		s := next(t, r, 1)
		s.PrepRead(0, pinnedBytes(t, 1), uring.CurrentPosition)
		fixed(s)
		submit(t, r)
		quiet(t, r, "all files are in the table")
		if n, err := r.RegisterFilesUpdate(0, []int32{-1, -1, -1}); n != 3 {
			t.Fatalf("RegisterFilesUpdate = %d, %v", n, err)
		}
		// Kernels before 6.13 let a replaced file go when all requests from
		// before that are over, and say nothing when the table goes.
		own := r.Features().Has(uring.FeatRWAttr)
		rest := 3
		if own {
			sequence(t, r, 102) // 101 is in use
			rest = 2
		}
		quiet(t, r, "a request uses the file")
		write(t, out, "x")
		all := byUserData(t, reap(t, r, rest))
		if all[1].Res != 1 || all[101].Res != 0 || all[101].UserData != 101 {
			t.Errorf("completions: %v", all)
		}
		fatalIf(t, r.UnregisterFiles())
		if own {
			sequence(t, r, 104)
		}

		orSkip(t, "RegisterBuffersSparse", r.RegisterBuffersSparse(3))
		p := pinnedBytes(t, 64)
		if n, err := r.RegisterBuffersUpdate(0, [][]byte{p, p[8:], p[16:]}, []uint64{201, 0, 203}); n != 3 {
			t.Fatalf("RegisterBuffersUpdate = %d, %v", n, err)
		}
		if n, err := r.RegisterBuffersUpdate(0, [][]byte{nil, p}, nil); n != 2 {
			t.Fatalf("RegisterBuffersUpdate = %d, %v", n, err)
		}
		sequence(t, r, 201)
		fatalIf(t, r.UnregisterBuffers())
		if own {
			sequence(t, r, 203)
		}
		quiet(t, r, "all tags have come")
	})
}

// TestPersonalityOfAnotherIsUsed opens a file with credentials that were given
// up after they had been registered.
func TestPersonalityOfAnotherIsUsed(t *testing.T) {
	if os.Geteuid() != 0 {
		skipKernel(t, "only root can give up rights")
	}
	dir := t.TempDir()
	for d := dir; d != "/" && d != "."; d = d[:max(1, strings.LastIndexByte(d, '/'))] {
		if os.Chmod(d, 0o755) != nil {
			break
		}
	}
	name := path(t, dir, "secret")
	fatalIf(t, os.WriteFile(dir+"/secret", []byte("secret"), 0o600))
	r := newRing(t, 8, uring.Config{})
	id, err := r.RegisterPersonality()
	fatalIf(t, err)
	results := make(chan error, 3)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is spoilt, and ends
		defer close(results)
		const nobody = 65534
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			results <- errno
			return
		}
		for _, use := range []uint16{0, id, id} {
			s := r.Next()
			s.PrepOpenat(unix.AT_FDCWD, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			s.Personality = use
			if _, err := r.SubmitAndWait(1, -1); err != nil && err != unix.EINTR {
				results <- err
				return
			}
			var c [1]uring.CQE
			for r.Reap(c[:]) == 0 {
				runtime.Gosched()
			}
			if c[0].Res >= 0 {
				unix.Close(int(c[0].Res))
			}
			results <- c[0].Err()
		}
	}()
	for i, want := range []error{unix.EACCES, nil, nil} {
		if got := <-results; got != want {
			t.Errorf("open %d: %v, want %v", i, got, want)
		}
	}
	fatalIf(t, r.UnregisterPersonality(id))
}

// TestRestrictionsDependOnOrder sets up restricted rings of several kinds.
func TestRestrictionsDependOnOrder(t *testing.T) {
	restricted := func(rules ...uring.Restriction) *uring.Ring {
		r := newRing(t, 8, uring.Config{Flags: uring.SetupRDisabled})
		fatalIf(t, r.RegisterRestrictions(rules...))
		fatalIf(t, r.Enable())
		return r
	}
	p := pinnedBytes(t, 16)
	f := openFile(t, "content")

	r := restricted(uring.AllowOp(uring.OpRead), uring.AllowOp(uring.OpWritev))
	must(t, r, func(s *uring.SQE) { s.PrepRead(int(f.Fd()), p, 0) })
	wantErr(t, "an opcode that is not allowed", do(t, r, (*uring.SQE).PrepNop).Err(), unix.EACCES)
	wantErr(t, "any flag", do(t, r, func(s *uring.SQE) { s.PrepRead(int(f.Fd()), p, 0); s.Flags = uring.SQEAsync }).Err(), unix.EACCES)
	wantErr(t, "any registration", r.RegisterFiles([]int32{int32(f.Fd())}), unix.EACCES)

	r = restricted(uring.AllowRegister(uring.RegisterOpFiles), uring.AllowRegister(uring.RegisterOpBuffers))
	fatalIf(t, r.RegisterFiles([]int32{int32(f.Fd())}))
	fatalIf(t, r.RegisterBuffers([][]byte{p}))
	wantErr(t, "another registration", r.UnregisterBuffers(), unix.EACCES)
	// A chain with one that is not allowed.
	r = restricted(uring.AllowOp(uring.OpRead), uring.AllowFlags(uring.SQEIOLink|uring.SQEIODrain))
	s := next(t, r, 1)
	s.PrepRead(int(f.Fd()), p[:7], 0)
	linked(s)
	next(t, r, 2).PrepNop()
	all := reap(t, r, 2)
	if m := byUserData(t, all); m[2].Err() != unix.EACCES {
		t.Errorf("a chain: %v", all)
	}
	wantErr(t, "more rules", r.RegisterRestrictions(uring.AllowOp(uring.OpNop)), unix.EACCES)
}

// TestFilesHeldByTableAreReleasedEarly: the table alone keeps files open, until
// the ring is gone.
func TestFilesHeldByTableAreReleasedEarly(t *testing.T) {
	for _, flags := range []uring.SetupFlags{0, uring.SetupSQPoll, uring.SetupSingleIssuer | uring.SetupDeferTaskrun} {
		t.Run(flags.String(), func(t *testing.T) {
			lockThread(t)
			r := newRing(t, 8, uring.Config{Flags: flags})
			z := witness(t, r)
			if ended(z) {
				t.Fatal("the file was closed while it is in the table")
			}
			must(t, r, func(s *uring.SQE) { s.PrepSend(0, pinnedText(t, "alive"), 0); fixed(s) })
			p := make([]byte, 8)
			if n, err := unix.Read(z, p); string(p[:max(n, 0)]) != "alive" {
				t.Errorf("received %q, %v", p, err)
			}
			fatalIf(t, r.Close())
			eventually(t, "the file is closed with the ring", func() bool { return ended(z) })
		})
	}
}

// TestFdinfoLies reads what /proc tells about a ring, also while it is at work.
func TestFdinfoLies(t *testing.T) {
	for _, flags := range []uring.SetupFlags{0, uring.SetupSQPoll} {
		r := newRing(t, 16, uring.Config{Flags: flags})
		name := fmt.Sprintf("/proc/self/fdinfo/%d", r.Fd())
		info, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(info, []byte("SqMask")) {
			skipKernel(t, "no information about rings: %v", err)
		}
		fatalIf(t, r.RegisterFiles([]int32{int32(openFile(t, "").Fd()), -1}))
		for i := range 200 {
			next(t, r, uint64(i)).PrepNop()
			submit(t, r)
			if i%20 == 0 {
				if info, err = os.ReadFile(name); err != nil {
					t.Fatal(err)
				}
			}
			reap(t, r, 1)
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(info)) {
			key, value, _ := strings.Cut(line, ":")
			fields[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
		for key, want := range map[string]string{"SqMask": "15", "CqMask": "31", "UserFiles": "2"} {
			value := fields[key]
			if value != want && value != fmt.Sprintf("0x%x", mustAtoi(t, want)) {
				t.Errorf("%v: %s is %q, want %s", flags, key, value, want)
			}
		}
	}
}

func mustAtoi(t *testing.T, text string) (n int) {
	t.Helper()
	_, err := fmt.Sscan(text, &n)
	fatalIf(t, err)
	return n
}

// TestClosedRingIsKeptByItsPolls: rings that watch themselves or each other live
// until those requests end.
func TestClosedRingIsKeptByItsPolls(t *testing.T) {
	a, b, alone := newRing(t, 4, uring.Config{}), newRing(t, 4, uring.Config{}), newRing(t, 4, uring.Config{})
	witnesses := map[string]int{"the first": witness(t, a), "the second": witness(t, b), "the one that polls itself": witness(t, alone)}
	pairs := [][2]*uring.Ring{{a, b}, {b, a}, {alone, alone}}
	for _, pair := range pairs {
		next(t, pair[0], 1).PrepPollAdd(pair[1].Fd(), unix.POLLPRI, false) // never
		next(t, pair[0], 2).PrepPollAdd(eventfd(t, 0), unix.POLLIN, false) // no circle
		submit(t, pair[0])
	}
	for _, pair := range pairs {
		next(t, pair[0], 3).PrepPollRemove(1)
		if all := byUserData(t, reap(t, pair[0], 2)); all[1].Err() != unix.ECANCELED || all[3].Err() != nil {
			t.Fatalf("the removal: %v", all)
		}
		fatalIf(t, pair[0].Close())
	}
	for name, z := range witnesses {
		eventually(t, name+" is gone", func() bool { return ended(z) })
	}
}

// TestRingInFlightOverSocketIsNeverFreed sends a ring's descriptor over a socket
// whose other end that very ring has in its table, and closes everything.
func TestRingInFlightOverSocketIsNeverFreed(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	fatalIf(t, err)
	a, z := socketPair(t)
	other, err := unix.Dup(a)
	fatalIf(t, err)
	fatalIf(t, unix.Dup3(eventfd(t, 0), a, unix.O_CLOEXEC))
	if err := r.RegisterFiles([]int32{int32(fds[0]), int32(other)}); err != nil {
		// Newer kernels know better than to keep sockets that can carry rings.
		t.Logf("RegisterFiles: %v", err)
	}
	err = unix.Sendmsg(fds[1], []byte("x"), unix.UnixRights(r.Fd()), nil, 0)
	if err != nil && err != unix.EINVAL {
		t.Fatal(err)
	}
	for _, fd := range []int{fds[0], fds[1], other} {
		unix.Close(fd)
	}
	fatalIf(t, r.Close())
	// The collector of such sockets runs when sockets come and go.
	eventually(t, "the ring is gone", func() bool {
		if pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
			_ = unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(pair[0]), nil, 0)
			unix.Close(pair[0])
			unix.Close(pair[1])
		}
		return ended(z)
	})
}
