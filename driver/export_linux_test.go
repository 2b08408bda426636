package driver

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/sys"
	"github.com/eddyio/eddy/uring"
)

// Kernel is the seam at which a scripted ring takes the place of a real one.
type Kernel = kernel

// The tags of user_data.
const (
	TagOp     = tagOp
	TagCancel = tagCancel
	TagPause  = tagPause
	TagWake   = tagWake
	TagVoid   = tagVoid
	TagRouse  = tagRouse
	TagMask   = tagMask
)

// HoldEntries is how many requests a hold takes.
const HoldEntries = holdEntries

// NewScripted makes a driver whose ring is k, in the Config's mode.
func NewScripted(cfg Config, k Kernel) (*Driver, error) {
	d, err := New(cfg)
	if err != nil {
		return nil, err
	}
	h := d.handle
	h.mode = h.cfg.Submit
	if h.mode == SubmitThread {
		h.uring, err = scriptedThread(h, k)
	} else {
		h.mode = SubmitShared
		s := newSharedOn(k, h)
		h.uring, err = s, h.AddUringSource(k.Fd())
	}
	if err != nil {
		return nil, err
	}
	h.state.Store(uint32(StateInitialized))
	return d, nil
}

// NewOpening makes a driver whose rings come from open, as a kernel's would.
func NewOpening(cfg Config, open func(entries uint32, cfg uring.Config) (Kernel, error)) (*Driver, error) {
	d, err := New(cfg)
	if err == nil {
		d.handle.open = open
	}
	return d, err
}

func newSharedOn(k Kernel, h *Handle) *shared {
	s := &shared{kick: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	s.context = UringContext{ring: k, counters: &h.counters, depth: h.cfg.Depth}
	go s.flush()
	return s
}

func scriptedThread(h *Handle, k Kernel) (*thread, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	t := &thread{wakefd: sys.NewFD(fd), ended: make(chan struct{})}
	t.context = UringContext{ring: k, counters: &h.counters, depth: h.cfg.Depth}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		started <- t.arm()
		t.loop()
		close(t.ended)
	}()
	return t, <-started
}

// Waiters is how many goroutines wait in Ready.
func (r *Registration) Waiters() int {
	r.io.mu.Lock()
	defer r.io.mu.Unlock()
	n := 0
	for w := r.io.waiters; w != nil; w = w.next {
		n++
	}
	return n
}

// RegistrationSlots is how many slots have an owner, or had one until the turn
// that is under way.
func (h *Handle) RegistrationSlots() int {
	h.registrations.mu.Lock()
	defer h.registrations.mu.Unlock()
	return h.registrations.slots.Len()
}

// Bare is a UringContext without any mode around it.
type Bare struct {
	UringContext
	tally counters
	home  bareHome
}

type bareHome struct{}

func (bareHome) cancel(*Op) {}

// NewBare makes a context on k.
func NewBare(k Kernel, depth int) *Bare {
	b := new(Bare)
	b.UringContext = UringContext{ring: k, counters: &b.tally, depth: depth}
	return b
}

// Admit is a registration.
func (b *Bare) Admit(o *Op) error {
	o.reset()
	o.home = &b.home
	o.state.Store(uint32(Submitted))
	err := b.admit(o)
	if err != nil {
		o.state.Store(uint32(Idle))
	}
	return err
}

// GiveUp is what CancelOp does to the state.
func (b *Bare) GiveUp(o *Op) bool {
	return o.state.CompareAndSwap(uint32(Submitted), uint32(Cancelled))
}

// Ask is what RequestCancel does to the request.
func (b *Bare) Ask(o *Op) { o.asked.Store(true) }

// Cancel queues a cancel request for o.
func (b *Bare) Cancel(o *Op) error { return b.pushCancel(o.key()) }

// Submit hands the queue to the kernel.
func (b *Bare) Submit() error { return b.submit() }

// Wait is a submission that waits.
func (b *Bare) Wait(timeout time.Duration) error { return b.wait(1, timeout) }

// Dispatch reaps.
func (b *Bare) Dispatch() int {
	n := b.dispatchCompletions()
	wake(b.takeWoken())
	return n
}

// Metrics reads the counters.
func (b *Bare) Metrics() Metrics { return b.tally.read() }

// BeginClose asks the kernel to give up all there is.
func (b *Bare) BeginClose() { b.beginClose() }

// Drained tells whether nothing is left to wait for.
func (b *Bare) Drained() bool { return b.drained() }

// Len is the number of slots in use.
func (b *Bare) Len() int { return b.ops.Len() }

// Reject fails the oldest request.
func (b *Bare) Reject(err error) bool { return b.reject(err) }

var _ Kernel = (*uring.Ring)(nil)

// IsAwaited reports whether somebody is in Wait for the side, and not woken yet.
func (w Readiness) IsAwaited(side Side) bool { return uint64(w)&waitingBit(side) != 0 }
