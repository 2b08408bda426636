package driver_test

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/uring"
)

// reply is the script of one io_uring_enter(2).
type reply struct {
	consume int   // entries taken; below 0 all there are
	err     error // with it nothing is taken
	before  func(*fakeKernel)
}

// fakeKernel is a ring whose kernel does as it is told. It takes entries, never
// touches memory, and completes what the test completes.
//
//	deaf   requests to cancel are ignored
//	prompt every request is completed with 0 as soon as it is taken
type fakeKernel struct {
	t       testing.TB
	mu      sync.Mutex
	fd      int // an eventfd: readable when completions are there
	wakefd  int // what the thread mode polls
	wakeTag uint64
	queue   []*uring.SQE // taken by the driver, not by the kernel
	size    int
	has     []uring.SQE // taken by the kernel, not completed
	cq      []uring.CQE
	cqSize  int
	backlog []uring.CQE // completions that did not fit
	script  []reply
	enters  int
	voided  int         // no-ops with TagVoid that have run
	rouses  []uring.SQE // what is to rouse its workers, not answered
	cancels int         // requests to cancel that were taken
	minimum uint32      // how many completions were last waited for
	pauses  []uring.SQE // timeouts that are not over before the test says so
	most    int         // most requests the kernel has had at once
	order   []uint64
	deaf    bool
	prompt  bool
	unknown error // what it says to a probe
	limited int   // calls that limit its workers
	closed  bool
}

func newFake(t testing.TB, size int) *fakeKernel {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &fakeKernel{t: t, fd: fd, wakefd: -1, size: size, cqSize: 1 << 20}
}

// plan appends to the script.
func (f *fakeKernel) plan(replies ...reply) {
	f.mu.Lock()
	f.script = append(f.script, replies...)
	f.mu.Unlock()
}

func (f *fakeKernel) Fd() int { return f.fd }

func (f *fakeKernel) Next() *uring.SQE {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.queue) == f.size {
		return nil
	}
	sqe := new(uring.SQE)
	f.queue = append(f.queue, sqe)
	return sqe
}

func (f *fakeKernel) Queued() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return uint32(len(f.queue))
}

func (f *fakeKernel) Submit() (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, uring.ErrClosed
	}
	if len(f.queue) == 0 {
		return 0, nil
	}
	return f.enter(false)
}

func (f *fakeKernel) SubmitGetEvents() (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, uring.ErrClosed
	}
	return f.enter(true)
}

func (f *fakeKernel) SubmitAndWait(minimum uint32, timeout time.Duration) (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, uring.ErrClosed
	}
	f.minimum = minimum
	n, err := f.enter(true)
	if err != nil || timeout == 0 {
		return n, err
	}
	deadline := time.Now().Add(timeout)
	for len(f.cq) < int(minimum) {
		if timeout > 0 && time.Now().After(deadline) {
			if n > 0 {
				return n, nil
			}
			return 0, unix.ETIME
		}
		f.mu.Unlock()
		time.Sleep(100 * time.Microsecond)
		f.mu.Lock()
		f.pollWake()
	}
	return n, nil
}

func (f *fakeKernel) answerRouses() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, sqe := range f.rouses {
		f.post(uring.CQE{UserData: sqe.UserData})
	}
	f.rouses = nil
}

// pollWake posts a completion if the eventfd of the thread mode was written to.
func (f *fakeKernel) pollWake() {
	var eight [8]byte
	if f.wakefd >= 0 {
		if n, _ := unix.Read(f.wakefd, eight[:]); n == 8 {
			f.post(uring.CQE{UserData: f.wakeTag, Res: unix.POLLIN, Flags: uring.CQEFMore})
		}
	}
}

// enter plays the next line of the script, with the lock held.
func (f *fakeKernel) enter(getEvents bool) (uint32, error) {
	f.enters++
	r := reply{consume: -1}
	if len(f.script) > 0 {
		r, f.script = f.script[0], f.script[1:]
	}
	if r.before != nil {
		f.mu.Unlock()
		r.before(f)
		f.mu.Lock()
	}
	if getEvents {
		f.flush()
	}
	if r.err != nil {
		return 0, r.err
	}
	n := len(f.queue)
	if r.consume >= 0 {
		n = min(n, r.consume)
	}
	taken := f.queue[:n]
	f.queue = append([]*uring.SQE(nil), f.queue[n:]...)
	for _, sqe := range taken {
		f.take(*sqe)
		// The kernel may look at the place again only after it was given out
		// anew: whoever writes to it late is found out by the next run.
		*sqe = uring.SQE{Opcode: 255}
	}
	return uint32(n), nil
}

func (f *fakeKernel) take(sqe uring.SQE) {
	switch sqe.UserData & driver.TagMask {
	case driver.TagWake:
		f.wakefd, f.wakeTag = int(sqe.Fd), sqe.UserData
		return
	case driver.TagPause:
		f.pauses = append(f.pauses, sqe)
		return
	case driver.TagVoid:
		if sqe.Opcode != uring.OpNop {
			f.t.Errorf("an entry that was made void still is a %v", sqe.Opcode)
		}
		f.voided++
		f.post(uring.CQE{UserData: sqe.UserData})
		return
	case driver.TagRouse:
		empty := sqe.Opcode == uring.OpNop || sqe.Opcode == uring.OpRead && sqe.Len == 0
		if !empty || sqe.Flags != uring.SQEAsync {
			f.t.Errorf("what is to rouse the kernel's workers is %+v", sqe)
		}
		f.rouses = append(f.rouses, sqe)
		return
	case driver.TagCancel:
		f.cancels++
		f.cancel(sqe)
		return
	}
	f.order = append(f.order, sqe.Off)
	f.has = append(f.has, sqe)
	f.most = max(f.most, len(f.has))
	if f.prompt {
		f.completeAt(len(f.has)-1, 0, 0)
	}
}

func (f *fakeKernel) cancel(sqe uring.SQE) {
	found := int32(0)
	for i := len(f.has) - 1; i >= 0 && !f.deaf; i-- {
		if f.has[i].UserData == sqe.Addr || sqe.OpFlags&uring.CancelAny != 0 {
			f.completeAt(i, -int32(unix.ECANCELED), 0)
			found++
		}
	}
	if found == 0 {
		found = -int32(unix.ENOENT)
	}
	f.post(uring.CQE{UserData: sqe.UserData, Res: found})
}

// post is a completion, in the queue or, if that is full, in the backlog.
func (f *fakeKernel) post(c uring.CQE) {
	if len(f.backlog) > 0 || len(f.cq) >= f.cqSize {
		f.backlog = append(f.backlog, c)
	} else {
		f.cq = append(f.cq, c)
	}
	one := [8]byte{1}
	if _, err := unix.Write(f.fd, one[:]); err != nil {
		f.t.Errorf("eventfd: %v", err)
	}
}

func (f *fakeKernel) flush() {
	n := min(len(f.backlog), f.cqSize-len(f.cq))
	f.cq = append(f.cq, f.backlog[:n]...)
	f.backlog = f.backlog[n:]
}

func (f *fakeKernel) completeAt(i int, res int32, flags uring.CQEFlags) {
	c := uring.CQE{UserData: f.has[i].UserData, Res: res, Flags: flags}
	if flags&uring.CQEFMore == 0 {
		f.has = append(f.has[:i:i], f.has[i+1:]...)
	}
	f.post(c)
}

// complete answers the request with this offset, which serves as its name.
func (f *fakeKernel) complete(name uint64, res int32, flags uring.CQEFlags) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, sqe := range f.has {
		if sqe.Off == name {
			f.completeAt(i, res, flags)
			return
		}
	}
	f.t.Errorf("the kernel does not have request %d", name)
}

// inject posts a completion out of the blue.
func (f *fakeKernel) inject(c uring.CQE) {
	f.mu.Lock()
	f.post(c)
	f.mu.Unlock()
}

// userData waits until the kernel has the request and tells its user_data.
func (f *fakeKernel) userData(name uint64) uint64 {
	f.t.Helper()
	var found uint64
	eventually(f.t, "the kernel has the request", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, sqe := range f.has {
			if sqe.Off == name {
				found = sqe.UserData
				return true
			}
		}
		return false
	})
	return found
}

// count is the number of requests that the kernel has.
func (f *fakeKernel) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.has)
}

// seen lists the requests in the order the kernel took them.
func (f *fakeKernel) seen() []uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]uint64(nil), f.order...)
}

func (f *fakeKernel) Reap(into []uring.CQE) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := copy(into, f.cq)
	f.cq = f.cq[n:]
	return n
}

func (f *fakeKernel) Completions() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return uint32(len(f.cq))
}

func (f *fakeKernel) Overflowed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.backlog) > 0
}

func (f *fakeKernel) NeedsTaskrun() bool { return false }

func (f *fakeKernel) Probe() (uring.Probe, error) { return uring.Probe{}, f.unknown }

func (f *fakeKernel) Features() uring.Features { return uring.FeatExtArg }

func (f *fakeKernel) IOWQMaxWorkers(uint32, uint32) (was [2]uint32, err error) {
	f.limited++
	return was, nil
}

func (f *fakeKernel) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}
