package driver

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/slab"
	"github.com/eddyio/eddy/internal/sys"
	"github.com/eddyio/eddy/uring"
)

// thread is the mode in which one locked thread submits for all and reaps. It
// does nothing else, so no completion ever waits for a thread that is busy
// with something, and it does not exit while requests are in flight.
//
// Callers hand it requests on a stack they push to with one compare-and-swap.
// The stack's head also says whether the thread has to be woken:
//
//	head       the thread               a push
//	---------  -----------------------  ---------------------------------
//	nil        awake, will look again   is seen by the thread's next look
//	&asleep    waits in the kernel      wakes it through the eventfd
//	&shut      has ended                is refused
//	other      awake                    joins the requests already there
type thread struct {
	head      atomicPointer[Op]
	asleep    Op
	shut      Op
	wakefd    *sys.FD // an eventfd; pushers use it while a shutdown closes it
	closing   atomicPointer[closing]
	context   UringContext
	forbidden time.Duration // since when it may not wait, by now(); 0 if it may
	roused    time.Duration // when rouse last looked, by now()
	once      sync.Once
	ended     chan struct{} // closed when the thread has left its loop
}

// closing is a shutdown that the thread has been asked for.
type closing struct {
	ctx   context.Context
	begun bool
	stuck []Stuck // valid once ended is closed
}

// threadFlags tie the ring to one thread, which runs completion work when it
// asks for completions and at no other time (6.0, 6.1).
const threadFlags = uring.SetupSingleIssuer | uring.SetupDeferTaskrun | uring.SetupClamp

func newThread(open opener, entries uint32, depth int, c *counters, ready func(kernel) error) (*thread, error) {
	fd, err := sys.EventCreate()
	if err != nil {
		return nil, fmt.Errorf("eddy: eventfd: %w", err)
	}
	t := &thread{wakefd: sys.NewFD(fd), ended: make(chan struct{})}
	t.context.counters = c
	t.context.depth = depth
	started := make(chan error)
	go t.run(open, entries, ready, started)
	if err := <-started; err != nil {
		return nil, errors.Join(err, t.wakefd.Close())
	}
	return t, nil
}

// run is the thread. The ring is made here, since the kernel ties it to the
// thread that makes it.
func (t *thread) run(open opener, entries uint32, ready func(kernel) error, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer keepPreemptionAway()()
	u := &t.context
	err := u.tryInit(open, entries, uring.Config{
		Flags:    threadFlags,
		Optional: uring.SetupSubmitAll | uring.SetupNoSQArray,
	})
	if err == nil {
		if err = ready(u.ring); err == nil {
			err = t.arm()
		}
		if err != nil {
			u.ring.Close()
		}
	}
	started <- err
	if err != nil {
		return
	}
	t.loop()
	close(t.ended)
}

// arm makes the eventfd wake the thread. The poll is multishot and the
// counter is never read: each write posts one completion. The kernel may end
// it whenever it likes; it is armed again then.
func (t *thread) arm() error {
	u := &t.context
	sqe, err := u.next()
	if err != nil {
		return err
	}
	sqe.PrepPollAdd(t.wakefd.Number(), unix.POLLIN, true)
	sqe.UserData = tagWake
	u.unsubmitted.push(entry{sqe: sqe})
	u.unarmed = false
	if err = u.submit(); err == nil && u.unarmed {
		err = fmt.Errorf("eddy: the kernel does not poll an eventfd: %w", unix.EINVAL)
	}
	return err
}

func (t *thread) loop() {
	u := &t.context
	for failed := 0; ; {
		forget("loop", nil)
		took := t.take()
		if took > 0 || u.ring.Queued() > 0 {
			if u.submitGetEvents() == nil {
				failed = 0
			} else { // requests it concerned have been failed
				backOff(failed)
				failed++
			}
		}
		reaped := u.dispatchCompletions()
		wake(u.takeWoken())
		// Before anything else, or callers that never pause keep it waiting.
		if c := t.closing.Load(); c != nil {
			if t.close(c) {
				return
			}
			continue
		}
		if u.unarmed {
			_ = t.arm() // if it fails the sleep is short
		}
		if took > 0 || reaped > 0 || u.ring.Queued() > 0 {
			continue
		}
		t.sleep()
	}
}

// take moves requests from the stack to the ring, oldest first.
func (t *thread) take() int {
	if head := t.head.Load(); head == nil || head == &t.shut {
		return 0
	}
	var first *Op
	for o := t.head.Swap(nil); o != nil && o != &t.asleep; {
		next := o.next
		o.next, first = first, o
		o = next
	}
	n := 0
	for o := first; o != nil; n++ {
		next := o.next
		o.next = nil
		t.admit(o)
		o = next
	}
	return n
}

func (t *thread) admit(o *Op) {
	u := &t.context
	if !o.cancel {
		if err := u.admit(o); err != nil {
			u.refuse(o, err)
		}
		return
	}
	// A wish to cancel: the target's slot tells whether it is still there.
	key := o.target.key()
	if slot, ok := u.ops.Get(key); ok && *slot == o.target {
		_ = u.pushCancel(key)
	}
}

// sleep waits in the kernel until there is a completion or a request.
func (t *thread) sleep() {
	timeout := time.Duration(-1)
	switch {
	case t.context.unarmed:
		timeout = time.Millisecond
	case !t.context.drained():
		if t.rouse() {
			return
		}
		timeout = stalledAfter
	}
	if !t.head.CompareAndSwap(nil, &t.asleep) {
		return // a request has come in
	}
	if err := t.context.wait(1, timeout); err != nil {
		backOff(patient)
		t.despair(err)
	}
	t.head.CompareAndSwap(&t.asleep, nil)
}

// stalledAfter is how long requests are with the kernel before rouse does something.
const stalledAfter = time.Second

// rouse sees to it that the kernel works on requests that have been in flight for
// long. It reports whether there is something to submit.
//
// The kernel's workers wake or make one another: whoever blocks sees to the next.
// Linux 6.18 can forget to where the one it finds idle has just been woken, or is
// about to end (io_uring/io-wq.c, create_worker_cb, io_worker_exit); others, where
// a thread cannot be made a few times. If all that work then block for good, in a file
// system that hangs, the requests behind them, for whatever file, wait until another
// one is queued.
func (t *thread) rouse() bool {
	u, at := &t.context, now()
	if at-t.roused < stalledAfter || u.rousing > 0 { // or they would pile up behind one another
		return false
	}
	t.roused = at
	u.ops.Each(func(_ slab.Key, p **Op) bool {
		o := *p
		if o.seen && !o.lost && u.rousing < mostRousing {
			u.pushRouse(o)
		}
		o.seen = true
		return true
	})
	return u.rousing > 0
}

// mostRousing is for how many requests at once rouse asks: their files may have
// different workers, which cannot be told from here.
const mostRousing = 4

// pushRouse queues an entry that does nothing, but on one of the workers that the
// request is for: regular files and all else have different ones.
func (u *UringContext) pushRouse(o *Op) {
	sqe := u.ring.Next()
	if sqe == nil {
		return
	}
	if fd := o.Entry.Fd; fd >= 0 {
		sqe.PrepRead(int(fd), nil, 0) // of no bytes, whatever has that number by then
	} else {
		sqe.PrepNop()
	}
	sqe.Flags |= uring.SQEAsync
	sqe.UserData = tagRouse
	u.rousing++
	u.unsubmitted.push(entry{sqe: sqe})
}

// answerRouse notes an answer, which may be one that abandonAll has given up.
func (u *UringContext) answerRouse() { u.rousing = max(u.rousing-1, 0) }

// despairAfter is how long the thread hopes to be let into the kernel again.
const despairAfter = time.Second

// despair fails what is in flight if a sandbox has come and forbids to wait for
// it: completions of this ring are posted by who enters and by nobody else, so
// that none would ever be heard of.
func (t *thread) despair(cause error) {
	u := &t.context
	switch at := now(); {
	case u.drained() || !forbids(cause):
		t.forbidden = 0
	case t.forbidden == 0:
		t.forbidden = at
	case at-t.forbidden > despairAfter:
		t.forbidden = 0
		u.abandonAll()
		wake(u.takeWoken())
	}
}

// forbids tells whether an error of io_uring_enter(2) is a sandbox's, which stays.
func forbids(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSYS)
}

// push puts the request on the stack, and wakes the thread if it sleeps.
func (t *thread) push(o *Op) error {
	for {
		head := t.head.Load()
		if head == &t.shut {
			return ErrShutdown
		}
		o.next = head
		if head == &t.asleep {
			o.next = nil
		}
		if t.head.CompareAndSwap(head, o) {
			if head == &t.asleep {
				t.wake()
			}
			return nil
		}
	}
}

func (t *thread) wake() {
	fd, ok := t.wakefd.Acquire()
	if !ok {
		return // the thread has ended, with what it was to be woken for
	}
	t.context.counters.wakeups.Add(1)
	// A counter that is full (EAGAIN) has long woken the thread.
	_ = eventAdd(fd)
	// Nothing depends on what close(2) says of an eventfd.
	_ = t.wakefd.Release()
}

func (t *thread) register(o *Op) error {
	o.home = t
	o.state.Store(uint32(Submitted))
	if err := t.push(o); err != nil {
		o.state.Store(uint32(Idle))
		return err
	}
	return nil
}

func (t *thread) cancel(o *Op) {
	// A thread that is shut down has cancelled everything itself.
	_ = t.push(&Op{cancel: true, target: o})
}

func (t *thread) turn() {}

func (t *thread) shutdown(ctx context.Context) []Stuck {
	var stuck []Stuck
	t.once.Do(func() {
		c := &closing{ctx: ctx}
		t.closing.Store(c)
		t.context.closing.Store(true)
		t.wake()
		block("thread ends", func() bool { return isClosed(t.ended) })
		<-t.ended
		_ = t.wakefd.Close()
		stuck = c.stuck
	})
	return stuck
}

// close carries a shutdown one step further and reports whether it is done.
// The stack is shut first, so that whatever is found on it is the last.
func (t *thread) close(c *closing) bool {
	u := &t.context
	if !c.begun {
		c.begun = true
		for o := t.head.Swap(&t.shut); o != nil && o != &t.asleep; {
			next := o.next
			o.next = nil
			if !o.cancel {
				u.refuse(o, unix.ECANCELED)
			}
			o = next
		}
		u.beginClose()
		wake(u.takeWoken())
	}
	switch {
	case u.drained():
		c.stuck = u.close(true)
	case c.ctx.Err() != nil:
		// A last look, for what the kernel has finished since the wait: it was
		// in time, and nobody would look again.
		_ = u.submitGetEvents()
		u.dispatchCompletions()
		wake(u.takeWoken())
		c.stuck = u.close(u.drained())
	default:
		if u.uncancelled {
			u.cancelAll()
		}
		if u.wait(1, 2*time.Millisecond) != nil {
			backOff(patient)
		}
		u.dispatchCompletions()
		wake(u.takeWoken())
		return false
	}
	return true
}
