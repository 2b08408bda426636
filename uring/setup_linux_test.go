package uring_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

func TestEntriesOutOfRangeGiveUnclearError(t *testing.T) {
	newRing(t, 1, uring.Config{}) // skips without io_uring
	for _, tc := range []struct {
		entries uint32
		text    string
	}{{0, "at least 1 entry"}, {32769, "SetupClamp"}, {1 << 20, "SetupClamp"}} {
		r, err := uring.New(tc.entries, uring.Config{})
		if err == nil {
			r.Close()
			t.Errorf("New(%d) made a ring", tc.entries)
			continue
		}
		var setup *uring.SetupError
		if !errors.As(err, &setup) || setup.Entries != tc.entries || !errors.Is(err, unix.EINVAL) ||
			!strings.Contains(err.Error(), tc.text) {
			t.Errorf("New(%d): %v; want a SetupError with EINVAL that says %q", tc.entries, err, tc.text)
		}
	}
}

func TestSizesDifferFromKernels(t *testing.T) {
	for _, tc := range []struct {
		entries uint32
		cfg     uring.Config
		sq, cq  uint32
	}{
		{1, uring.Config{}, 1, 2},
		{3, uring.Config{}, 4, 8},
		{256, uring.Config{}, 256, 512},
		{4, uring.Config{CQEntries: 100}, 4, 128},
		{1 << 20, uring.Config{Flags: uring.SetupClamp}, uring.MaxEntries, uring.MaxCQEntries},
		{5, uring.Config{CQEntries: 9, Flags: uring.SetupNoMmap}, 8, 16},
		{1025, uring.Config{Flags: uring.SetupNoMmap}, 2048, 4096},
		{1, uring.Config{CQEntries: 40000, Flags: uring.SetupNoMmap | uring.SetupCQE32}, 1, uring.MaxCQEntries},
		{1 << 20, uring.Config{Flags: uring.SetupNoMmap | uring.SetupClamp | uring.SetupNoSQArray}, uring.MaxEntries, uring.MaxCQEntries},
	} {
		r := newRing(t, tc.entries, tc.cfg)
		if r.SQEntries() != tc.sq || r.CQEntries() != tc.cq {
			t.Errorf("New(%d, %+v) has %d and %d entries, want %d and %d",
				tc.entries, tc.cfg, r.SQEntries(), r.CQEntries(), tc.sq, tc.cq)
		}
		fatalIf(t, r.Close())
	}
}

const unknownFlag = uring.SetupFlags(1 << 31)

func TestUnknownOptionalFlagFailsSetup(t *testing.T) {
	const known = uring.SetupClamp | uring.SetupCQSize
	r := newRing(t, 4, uring.Config{Optional: unknownFlag | 1<<30 | uring.SetupClamp, CQEntries: 16})
	if r.SetupFlags() != known {
		t.Errorf("the ring has %v, want %v", r.SetupFlags(), known)
	}
	if must(t, r, (*uring.SQE).PrepNop) != 0 {
		t.Error("the ring does not work")
	}
	if _, err := uring.New(4, uring.Config{Flags: unknownFlag}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a required unknown flag gives %v, want EINVAL", err)
	}
}

// TestSetupRefusesNonsense asks for rings that cannot be, and then for one that
// can, for a set-up that fails halfway must leave nothing behind.
func TestSetupRefusesNonsense(t *testing.T) {
	newRing(t, 1, uring.Config{}) // skips without io_uring
	before, mappings := openDescriptors(t), ringMappings(t)
	f := openFile(t, "")
	for name, cfg := range map[string]uring.Config{
		"a processor that is none":        {Flags: uring.SetupSQPoll | uring.SetupSQAff, SQThreadCPU: 1 << 20},
		"a processor without a thread":    {Flags: uring.SetupSQAff},
		"too few places for completions":  {CQEntries: 2},
		"too many places for completions": {CQEntries: uring.MaxCQEntries + 1},
		"workers of what is no ring":      {Flags: uring.SetupAttachWQ, AttachFd: int(f.Fd())},
		"deferred work of many threads":   {Flags: uring.SetupDeferTaskrun},
	} {
		r, err := uring.New(8, cfg)
		if err == nil {
			r.Close()
		}
		if !errors.Is(err, unix.EINVAL) {
			t.Errorf("%s: %v, want EINVAL", name, err)
		}
	}
	_, err := uring.New(8, uring.Config{Flags: uring.SetupAttachWQ, AttachFd: -1})
	if !errors.Is(err, unix.EBADF) && !errors.Is(err, unix.ENXIO) {
		t.Errorf("workers of nothing: %v", err)
	}
	if n, m := openDescriptors(t), ringMappings(t); n != before+1 || m != mappings {
		t.Errorf("%d descriptors and %d mappings, %d and %d before", n-1, m, before, mappings)
	}
	must(t, newRing(t, 8, uring.Config{}), (*uring.SQE).PrepNop)
}

// TestOptionalFlagDragsOthersDown: a flag that lacks its companion must not cost
// the newer flags.
func TestOptionalFlagDragsOthersDown(t *testing.T) {
	for _, tc := range []struct{ flags, optional, want uring.SetupFlags }{
		{0, uring.SetupDeferTaskrun | uring.SetupTaskrunFlag, 0},
		{0, uring.SetupTaskrunFlag | uring.SetupClamp, uring.SetupClamp},
		{0, uring.SetupSQAff | uring.SetupHybridIOPoll | uring.SetupSubmitAll, uring.SetupSubmitAll},
		{0, uring.SetupDeferTaskrun | uring.SetupTaskrunFlag | uring.SetupNoSQArray, uring.SetupNoSQArray},
		{uring.SetupNoMmap, uring.SetupSQRewind | uring.SetupRegisteredFdOnly, uring.SetupNoMmap},
	} {
		t.Run(fmt.Sprint(tc.flags, " ", tc.optional), func(t *testing.T) {
			newRing(t, 4, uring.Config{Flags: tc.want}) // skips where they are unknown
			r := newRing(t, 4, uring.Config{Flags: tc.flags, Optional: tc.optional})
			if r.SetupFlags() != tc.want {
				t.Errorf("of %v the ring has %v, want %v", tc.optional, r.SetupFlags(), tc.want)
			}
		})
	}
}

func TestRefusedFlagsReachKernel(t *testing.T) {
	for _, flag := range []uring.SetupFlags{uring.SetupSQRewind | uring.SetupNoSQArray, uring.SetupRegisteredFdOnly | uring.SetupNoMmap} {
		_, err := uring.New(4, uring.Config{Flags: flag})
		if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "not supported") {
			t.Errorf("%v: %v, want EINVAL with a reason", flag, err)
		}
	}
}

// TestSetupFlagsBreakRing reads a file on a ring of every kind, often enough
// for both queues to wrap around.
func TestSetupFlagsBreakRing(t *testing.T) {
	const (
		locked = uring.SetupSingleIssuer | uring.SetupDeferTaskrun
		big    = uring.SetupSQE128 | uring.SetupCQE32
	)
	kinds := []uring.SetupFlags{
		0, uring.SetupSubmitAll, uring.SetupClamp, uring.SetupCoopTaskrun,
		uring.SetupCoopTaskrun | uring.SetupTaskrunFlag,
		uring.SetupSQE128, uring.SetupCQE32, big, uring.SetupCQEMixed,
		uring.SetupNoSQArray, uring.SetupNoSQArray | big,
		uring.SetupNoMmap, uring.SetupNoMmap | big, uring.SetupNoMmap | uring.SetupNoSQArray,
		uring.SetupNoMmap | uring.SetupNoSQArray | locked,
		uring.SetupSingleIssuer, locked, locked | uring.SetupTaskrunFlag | uring.SetupSubmitAll,
		locked | uring.SetupNoSQArray | uring.SetupCoopTaskrun, locked | big, locked | uring.SetupRDisabled,
		uring.SetupRDisabled, uring.SetupRDisabled | uring.SetupSingleIssuer,
		uring.SetupSQPoll, uring.SetupSQPoll | uring.SetupSQAff, uring.SetupSQPoll | uring.SetupNoSQArray | big,
		uring.SetupSQPoll | uring.SetupNoMmap, uring.SetupAttachWQ,
	}
	content := strings.Repeat("0123456789abcdef", 64)
	f := openFile(t, content)
	other := newRing(t, 4, uring.Config{})
	for _, entries := range []uint32{4, 2048} {
		for _, flags := range kinds {
			t.Run(fmt.Sprint(entries, " ", flags), func(t *testing.T) {
				lockThread(t)
				r := newRing(t, entries, uring.Config{Flags: flags, AttachFd: other.Fd(), SQThreadIdle: time.Millisecond})
				if r.SetupFlags() != flags {
					t.Fatalf("the ring has %v", r.SetupFlags())
				}
				if flags&uring.SetupRDisabled != 0 {
					fatalIf(t, r.Enable())
				}
				readAll(t, r, int(f.Fd()), content)
			})
		}
	}
}

// readAll reads pieces of the file in batches as large as the queue, twice.
func readAll(t *testing.T, r *uring.Ring, fd int, content string) {
	t.Helper()
	batch := int(r.SQEntries())
	buffer := pinnedBytes(t, batch*16)
	for round := range 3 {
		clear(buffer)
		for i := range batch {
			piece := buffer[i*16 : i*16+16]
			next(t, r, uint64(i)).PrepRead(fd, piece, uint64((round+i)%len(content[16:])))
		}
		for _, c := range byUserData(t, reap(t, r, batch)) {
			if c.Res != 16 {
				t.Fatalf("round %d: %+v, %v", round, c, c.Err())
			}
		}
		for i := range batch {
			from := (round + i) % len(content[16:])
			if got := buffer[i*16 : i*16+16]; !bytes.Equal(got, []byte(content[from:from+16])) {
				t.Fatalf("round %d: read %d gave %q, want %q", round, i, got, content[from:from+16])
			}
		}
	}
}

func TestSeparateMapsBreakRing(t *testing.T) {
	newRing(t, 1, uring.Config{}) // skips without io_uring
	before := ringMappings(t)
	r, err := uring.NewSeparateMaps(8)
	fatalIf(t, err)
	if n := ringMappings(t); n != before+3 {
		t.Errorf("the ring has %d mappings, want 3", n-before)
	}
	content := strings.Repeat("separate ", 10)
	readAll(t, r, int(openFile(t, content).Fd()), content)
	fatalIf(t, r.Close())
	if n := ringMappings(t); n != before {
		t.Errorf("%d mappings, %d before", n, before)
	}
}

func TestIOPollFlagsAreRefused(t *testing.T) {
	r := newRing(t, 4, uring.Config{Flags: uring.SetupIOPoll, Optional: uring.SetupHybridIOPoll})
	if r.SetupFlags()&uring.SetupIOPoll == 0 {
		t.Errorf("the ring has %v", r.SetupFlags())
	}
}

func TestSingleIssuerAcceptsAnotherThread(t *testing.T) {
	lockThread(t)
	r := newRing(t, 4, uring.Config{Flags: uring.SetupSingleIssuer})
	next(t, r, 0).PrepNop()
	submit(t, r)
	next(t, r, 0).PrepNop()
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_, err := r.Submit()
		result <- err
	}()
	wantErr(t, "Submit on another thread", <-result, unix.EEXIST)
	if r.Queued() != 1 {
		t.Errorf("%d entries are queued after the error, want 1", r.Queued())
	}
	submit(t, r)
	reap(t, r, 2)
}

func TestDisabledRingRuns(t *testing.T) {
	r := newRing(t, 4, uring.Config{Flags: uring.SetupRDisabled})
	next(t, r, 0).PrepNop()
	if n, err := r.Submit(); err != unix.EBADFD || n != 0 || r.Queued() != 1 {
		t.Errorf("Submit = %d, %v with %d queued; want EBADFD and 1", n, err, r.Queued())
	}
	fatalIf(t, r.Enable())
	reap(t, r, 1)
	wantErr(t, "Enable again", r.Enable(), unix.EBADFD)
}

func TestRingFdLeaksIntoChildren(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	flags, err := unix.FcntlInt(uintptr(r.Fd()), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("F_GETFD = %#x, %v; want FD_CLOEXEC", flags, err)
	}
}

func TestMappingsLeakIntoForkedChildren(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	own := newRing(t, 4, uring.Config{Optional: uring.SetupNoMmap})
	_, err := own.RegisterBufferRing(4, 1, 0)
	orSkip(t, "RegisterBufferRing", err)
	smaps, err := os.ReadFile("/proc/self/smaps")
	fatalIf(t, err)
	found := 0
	ours := false
	for line := range strings.Lines(string(smaps)) {
		if strings.Contains(line, "io_uring") || strings.Contains(line, "/dev/zero") {
			ours = true
		}
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && ours {
			ours = false
			found++
			if !strings.Contains(flags+" ", " dc ") {
				t.Errorf("a ring's mapping has no DONTFORK flag: %s", flags)
			}
		}
	}
	if want := 2 + 3; found < want {
		t.Errorf("found %d mappings, want at least %d", found, want)
	}
	runtime.KeepAlive(r)
}

func TestCloseLeaksFdOrMapping(t *testing.T) {
	before := openDescriptors(t)
	mappings := ringMappings(t)
	for range 20 {
		for _, flags := range []uring.SetupFlags{0, uring.SetupNoMmap, uring.SetupSQE128 | uring.SetupCQE32} {
			r := newRing(t, 8, uring.Config{Flags: flags})
			_, err := r.RegisterBufferRing(8, 1, 0)
			orSkip(t, "RegisterBufferRing", err)
			b, err := r.RegisterBufferRing(8, 2, 0)
			fatalIf(t, err)
			fatalIf(t, r.UnregisterBufferRing(b))
			fatalIf(t, r.Close())
		}
		if _, err := uring.New(8, uring.Config{Flags: unknownFlag | uring.SetupNoMmap}); err == nil {
			t.Fatal("an unknown flag was accepted")
		}
	}
	if n := openDescriptors(t); n != before {
		t.Errorf("%d descriptors are open, %d before", n, before)
	}
	if n := ringMappings(t); n != mappings {
		t.Errorf("%d mappings, %d before", n, mappings)
	}
}

// TestClosedRingTouchesForeignFd closes a ring, lets another ring get its
// number, and uses the first one in every way.
func TestClosedRingTouchesForeignFd(t *testing.T) {
	old := newRing(t, 4, uring.Config{})
	number := old.Fd()
	next(t, old, 1).PrepNop()
	buffers, err := old.RegisterBufferRing(4, 1, 0)
	orSkip(t, "RegisterBufferRing", err)
	fatalIf(t, old.Close())
	other := newRing(t, 4, uring.Config{})
	if other.Fd() != number {
		t.Fatalf("the new ring has number %d, want %d", other.Fd(), number)
	}
	next(t, other, 2).PrepNop()
	if s := old.Next(); s != nil {
		t.Error("Next gives an entry")
	}
	if old.Fd() != -1 || old.Queued() != 0 || old.Completions() != 0 || old.Overflowed() || old.NeedsTaskrun() ||
		old.Dropped() != 0 || old.OverflowCount() != 0 || old.EnableEventfd(false) {
		t.Error("a closed ring has something to tell")
	}
	if n := old.Reap(make([]uring.CQE, 4)) + old.ReapBig(make([]uring.CQE32, 4)); n != 0 {
		t.Errorf("Reap = %d", n)
	}
	buffers.Add(make([]byte, 8), 0)
	buffers.Advance(1)
	calls := map[string]func() error{
		"Submit":           func() error { _, err := old.Submit(); return err },
		"SubmitGetEvents":  func() error { _, err := old.SubmitGetEvents(); return err },
		"SubmitAndWait":    func() error { _, err := old.SubmitAndWait(1, time.Second); return err },
		"SubmitAndWaitMin": func() error { _, err := old.SubmitAndWaitMin(1, 1, time.Second); return err },
		"Wait":             func() error { return old.Wait(1, time.Second) },
		"WaitSpace":        old.WaitSpace,
		"Probe":            func() error { _, err := old.Probe(); return err },
		"Enable":           old.Enable,
		"Resize":           func() error { return old.Resize(8, 0) },
		"RegisterRingFd":   old.RegisterRingFd,
		"UnregisterRingFd": old.UnregisterRingFd,
		"RegisterBuffers":  func() error { return old.RegisterBuffers([][]byte{make([]byte, 16)}) },
		"CloneBuffers":     func() error { return other.CloneBuffers(old, 0, 0, 0, false) },
		"RegisterBufferRing": func() error {
			_, err := old.RegisterBufferRing(4, 1, 0)
			return err
		},
		"UnregisterBufferRing": func() error { return old.UnregisterBufferRing(buffers) },
		"Head":                 func() error { _, err := buffers.Head(); return err },
	}
	for name, call := range calls {
		err := call()
		wantErr(t, name, err, uring.ErrClosed)
		wantErr(t, name, err, fs.ErrClosed)
	}
	if other.Queued() != 1 || other.Completions() != 0 {
		t.Errorf("the other ring was used: %d queued, %d completions", other.Queued(), other.Completions())
	}
	fatalIf(t, old.Close())
	if c := reap(t, other, 1)[0]; c.UserData != 2 {
		t.Errorf("the other ring completed %#x", c.UserData)
	}
}

func TestCloseFreesFdUnderWaitingCall(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	fd := r.Fd()
	waited := make(chan error)
	go func() { waited <- r.Wait(1, -1) }()
	eventually(t, "the goroutine waits", func() bool { return r.CallsInFlight() == 1 })
	fatalIf(t, r.Close())
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		t.Fatalf("the descriptor is gone while a call uses it: %v", err)
	}
	wantErr(t, "a new call", r.Wait(1, 0), uring.ErrClosed)
	err := uring.SendMsgRing(fd, 0, 0)
	if err != nil {
		skipKernel(t, "SendMsgRing: %v", err) // the goroutine stays behind
	}
	fatalIf(t, <-waited)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the descriptor is still there after the last call: %v", err)
	}
}

func TestProbeAnswersWrong(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	p, err := r.Probe()
	orSkip(t, "Probe", err)
	if !p.Supports(uring.OpNop) || !p.Supports(uring.OpRead) || !p.Supports(uring.OpTee) || p.Supports(uring.Op(255)) || p.Supports(p.Last()+1) {
		t.Errorf("supported: %v", p.Ops())
	}
	// The kernel itself must agree: an unknown opcode is EINVAL.
	c := do(t, r, func(s *uring.SQE) { s.Opcode = p.Last() + 1 })
	wantErr(t, "the opcode after the last one", c.Err(), unix.EINVAL)
	for _, op := range p.Ops() {
		if !p.Supports(op) || op > p.Last() {
			t.Errorf("Ops has %v, which is not supported", op)
		}
	}
	if (uring.Probe{}).Supports(uring.OpNop) {
		t.Error("the zero Probe supports something")
	}
}
