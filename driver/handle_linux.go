package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eddyio/eddy/poll"
	"github.com/eddyio/eddy/probe"
	"github.com/eddyio/eddy/uring"
)

// Handle is a driver for everybody but its owner. All methods may be called
// by any goroutine at any time.
type Handle struct {
	cfg           Config
	registry      *poll.Registry
	waker         *poll.Waker
	registrations registrations
	counters      counters
	holds         *holds
	open          opener

	state     atomic.Uint32 // State
	off       atomic.Bool   // DisableRing was called: nothing is registered any more
	initMu    sync.Mutex    // one set-up at a time
	retryAt   atomic.Int64  // no set-up before then, on the driver's clock
	fallbacks []Fallback    // guarded by initMu
	shut      bool          // guarded by initMu

	// Set before state becomes Initialized, constant from then on.
	uring  submission
	mode   SubmitMode
	probed uring.Probe
}

func newHandle(cfg Config, registry *poll.Registry, waker *poll.Waker) *Handle {
	h := &Handle{cfg: cfg, registry: registry, waker: waker, open: openRing}
	h.registrations.counters = &h.counters
	h.registrations.registry = registry
	h.registrations.waker = waker
	h.holds = newHolds(cfg.Holds, &h.counters, h.openRing, h.AddUringSource, func(fd int) {
		// A ring that is not in the registry any more needs no removal.
		_ = registry.Deregister(poll.SourceFd(fd))
	})
	if cfg.NoRing {
		h.fallbacks = []Fallback{{Wanted: "io_uring", Reason: probe.ReasonForced, Evidence: []string{"switched off by the driver's Config"}}}
		h.state.Store(uint32(StateUnsupported))
	}
	return h
}

// openRing makes a ring of the kernel's, or a scripted one.
func (h *Handle) openRing(entries uint32, cfg uring.Config) (kernel, error) {
	return h.open(entries, cfg)
}

// Unpark ends a turn that waits, or else makes the next one not wait. After
// Shutdown it returns ErrShutdown.
func (h *Handle) Unpark() error {
	h.counters.unparks.Add(1)
	return asShutdown(h.waker.Wake())
}

// asShutdown turns what the registry of a driver that is shut down says into
// what a driver says.
func asShutdown(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return ErrShutdown
	}
	return err
}

// Metrics reads the counters.
func (h *Handle) Metrics() Metrics { return h.counters.read() }

// State is whether the driver has a ring.
func (h *Handle) State() State { return State(h.state.Load()) }

// SubmitMode is the way requests are handed to the kernel, SubmitAuto as long
// as there is no ring.
func (h *Handle) SubmitMode() SubmitMode {
	if h.State() != StateInitialized {
		return SubmitAuto
	}
	return h.mode
}

// Fallbacks lists what was wanted and could not be had, and why.
func (h *Handle) Fallbacks() []Fallback {
	h.initMu.Lock()
	defer h.initMu.Unlock()
	return append([]Fallback(nil), h.fallbacks...)
}

// AddUringSource puts a ring's descriptor in the registry, under TokenWakeup. The
// descriptor stays the caller's. Errors are those of poll.Registry.Register, and
// ErrShutdown.
func (h *Handle) AddUringSource(fd int) error {
	return asShutdown(h.registry.Register(poll.SourceFd(fd), TokenWakeup, poll.Readable))
}

// CheckAndInit reports whether requests with the operation can be registered.
// The first call sets the ring up; where that cannot be done, the reason is
// recorded and the answer is no, for good if the kernel will not have it and
// for the moment if it only lacks something. After DisableRing the answer is no.
// After Shutdown it fails with ErrShutdown, or answers as before: then it is
// RegisterOp that says ErrShutdown.
func (h *Handle) CheckAndInit(op uring.Op) (bool, error) {
	switch h.State() {
	case StateInitialized:
		return !h.off.Load() && h.probed.Supports(op), nil
	case StateUnsupported:
		return false, nil
	}
	if int64(now()) < h.retryAt.Load() {
		return false, nil
	}
	h.initMu.Lock()
	defer h.initMu.Unlock()
	if h.shut {
		return false, ErrShutdown
	}
	if h.State() == StateUninitialized {
		h.init()
	}
	return h.usable() && h.probed.Supports(op), nil
}

// usable tells whether requests can be registered.
func (h *Handle) usable() bool { return h.State() == StateInitialized && !h.off.Load() }

// retryAfter is how long an inconclusive failure is taken for an answer.
const retryAfter = 100 * time.Millisecond

func (h *Handle) init() {
	err := h.setUp()
	if err == nil {
		h.fallbacks = slices.DeleteFunc(h.fallbacks, func(f Fallback) bool { return f.Wanted == "io_uring" })
		h.state.Store(uint32(StateInitialized))
		return
	}
	reason, state, evidence := probe.Explain(err)
	h.record(Fallback{Wanted: "io_uring", Reason: reason, Evidence: evidence, Err: err})
	if state == probe.Unknown {
		h.retryAt.Store(int64(now() + retryAfter))
		return
	}
	h.state.Store(uint32(StateUnsupported))
}

// record notes a fallback, in the place of an earlier one of the same kind.
func (h *Handle) record(f Fallback) {
	for i := range h.fallbacks {
		if h.fallbacks[i].Wanted == f.Wanted {
			h.fallbacks[i] = f
			return
		}
	}
	h.fallbacks = append(h.fallbacks, f)
}

// setUp makes the ring, in the mode that was asked for or else in the other.
func (h *Handle) setUp() error {
	if h.cfg.Submit == SubmitShared || h.cfg.Submit == SubmitAuto && runtime.GOMAXPROCS(0) == 1 {
		return h.setUpShared()
	}
	refused := h.setUpThread()
	if refused == nil {
		return nil
	}
	reason, state, evidence := probe.Explain(refused)
	if state == probe.Unknown {
		return refused
	}
	err := h.setUpShared()
	if err == nil { // else there is no ring at all, which says it
		h.record(Fallback{Wanted: "submit thread", Reason: reason, Evidence: evidence, Err: refused})
	}
	return err
}

func (h *Handle) setUpThread() error {
	t, err := newThread(h.openRing, h.cfg.RingEntries, h.cfg.Depth, &h.counters, h.adopt)
	if err != nil {
		return err
	}
	h.uring, h.mode = t, SubmitThread
	return nil
}

func (h *Handle) setUpShared() error {
	s, err := newShared(h.openRing, h.cfg.RingEntries, h.cfg.Depth, &h.counters)
	if err != nil {
		return err
	}
	if err = h.adopt(s.context.ring); err == nil {
		err = h.AddUringSource(s.context.ring.Fd())
	}
	if err != nil {
		// Without the registry nobody would look at the ring: no ring at all
		// is better than one that is silently unused.
		s.shutdown(context.Background())
		return err
	}
	h.uring, h.mode = s, SubmitShared
	return nil
}

// adopt reads from a new ring what the handle wants to know of it.
func (h *Handle) adopt(ring kernel) error {
	probed, err := ring.Probe()
	if err != nil {
		return fmt.Errorf("eddy: io_uring operations cannot be probed: %w", err)
	}
	h.probed = probed
	// Kernels before 5.15 have no such limit to set.
	_, _ = ring.IOWQMaxWorkers(h.cfg.Workers, 0)
	return nil
}

// Supports tells whether the ring, if there is one by now, has the operation.
func (h *Handle) Supports(op uring.Op) bool {
	return h.State() == StateInitialized && h.probed.Supports(op)
}

// RegisterOp hands the request to the kernel, soon. On nil the Op is the
// driver's, see Op. Errors are ErrNoRing if there is no ring (CheckAndInit
// says so first) or DisableRing was called, ErrShutdown, and EAGAIN if there are
// 1<<24 requests in flight; the kernel has not seen the request then and the Op
// is the caller's, with what it owns released.
func (h *Handle) RegisterOp(o *Op) error {
	o.reset()
	err := ErrNoRing
	if h.usable() {
		err = h.uring.register(o)
	}
	if err != nil {
		o.release()
	}
	return err
}

// HoldOp registers requests on a ring of the caller's own and waits for them
// in the kernel, on the calling thread, for up to patience. It reports whether
// all have completed. Those that have not go on as if they had been given to
// RegisterOp: each is waited for, or cancelled. On an error, ErrNoHold above
// all, the requests are the caller's and the kernel has not seen them; they
// still own what they owned, so that they can be given to RegisterOp. Errors are
// ErrNoHold, also for more than 64 requests, ErrNoRing, ErrShutdown, and those of
// uring.New where a ring has to be made. A patience of 0 or less does not wait. A
// shutdown waits for patience to end.
//
// It is meant for few requests at once that take microseconds, by callers
// that may have to leave: a thread is blocked for as long as patience lasts.
func (h *Handle) HoldOp(patience time.Duration, ops ...*Op) (bool, error) {
	if !h.usable() {
		return false, ErrNoRing
	}
	if len(ops) > holdEntries {
		return false, fmt.Errorf("eddy: %d requests for a hold of %d: %w", len(ops), holdEntries, ErrNoHold)
	}
	for _, o := range ops {
		o.reset()
	}
	return h.holds.run(ops, patience)
}

// CancelOp is how a caller leaves: it gives the request up and asks the kernel
// to do the same. It reports false if the request has completed instead: then
// the caller still has to take the Result, and before that, if Park was true, to
// receive from Done: the token may not have been sent yet. On true the Op is the
// driver's for good, and so is all it owns until the kernel is done with it; a
// descriptor that it would have yielded is closed. It panics if the request is not
// registered, or was given up before.
func (h *Handle) CancelOp(o *Op) bool {
	home := o.home
	for {
		switch old := o.State(); old {
		case Submitted, Waiting:
			if !o.state.CompareAndSwap(uint32(old), uint32(Cancelled)) {
				continue
			}
			home.cancel(o)
			return true
		case Completed:
			return false
		default:
			panic("driver: CancelOp of a request that is " + old.String())
		}
	}
}

// RequestCancel asks the kernel to give the request up, and leaves it at
// that: the caller goes on waiting and finds ECANCELED or, if the kernel was
// faster, the request's own result. Anybody may call it once the request has
// been registered, but only before Result has been called: what is done with the
// Op afterwards is another request, and it would be that one.
func (h *Handle) RequestCancel(o *Op) {
	o.asked.Store(true)
	switch o.State() {
	case Submitted, Waiting:
		o.home.cancel(o)
	}
}

// dispatchCompletions looks after every ring that has no thread of its own.
func (h *Handle) dispatchCompletions() {
	if h.State() == StateInitialized {
		h.uring.turn()
	}
	h.holds.turn()
}

// Drain is the part of Shutdown that waits: it wakes whoever waits for a
// registration, refuses new requests, cancels those in flight, and returns those
// the kernel has not given back when ctx ends. The driver can be turned
// meanwhile, by its owner, and has to be shut down afterwards.
func (h *Handle) Drain(ctx context.Context) []Stuck {
	h.initMu.Lock()
	h.shut = true
	h.initMu.Unlock()
	h.registrations.shutdown()
	var onHolds, onRing []Stuck
	var both sync.WaitGroup
	both.Go(func() { onHolds = h.holds.shutdown(ctx) })
	if h.State() == StateInitialized {
		both.Go(func() { onRing = h.uring.shutdown(ctx) })
	}
	both.Wait()
	return append(onHolds, onRing...)
}
