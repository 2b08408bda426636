package driver_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/poll"
	"github.com/eddyio/eddy/uring"
)

func TestSignalReadinessIsConsumedOnce(t *testing.T) {
	leaktest.Check(t)
	d, h := newStill(t)
	a, b := sockets(t)
	if err := h.RegisterSignalReceiver(a); err != nil {
		t.Fatal(err)
	}
	turn(t, d)
	if d.ConsumeSignalReady() {
		t.Error("ready before anything was written")
	}
	for range 3 {
		write(t, b, []byte{1})
		write(t, b, []byte{1})
		turn(t, d)
		if !d.ConsumeSignalReady() {
			t.Error("not ready")
		}
		if d.ConsumeSignalReady() {
			t.Error("ready a second time")
		}
		turn(t, d)
		if d.ConsumeSignalReady() {
			t.Error("ready again without news")
		}
	}
	if m := h.Metrics(); m.Events != 0 || m.StaleEvents != 0 {
		t.Errorf("signals were taken for a registration's events: %+v", m)
	}
	if err := h.DeregisterSignalReceiver(a); err != nil {
		t.Fatal(err)
	}
	write(t, b, []byte{1})
	turn(t, d)
	if d.ConsumeSignalReady() {
		t.Error("ready after it was deregistered")
	}
}

func TestUnparkEndsAPark(t *testing.T) {
	leaktest.Check(t)
	d, h := newStill(t)
	returned := make(chan error)
	go func() { returned <- d.Park() }()
	time.Sleep(time.Millisecond)
	if err := h.Unpark(); err != nil {
		t.Fatal(err)
	}
	if err := <-returned; err != nil {
		t.Fatal(err)
	}
	// One that comes first is kept; many are one.
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 20 {
				if err := h.Unpark(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := d.Park(); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Turn(0); n != 0 || err != nil {
		t.Errorf("a turn after the park found %d events, %v", n, err)
	}
	if m := h.Metrics(); m.Unparks != 1001 || m.Turns != 3 {
		t.Errorf("%+v", m)
	}
	if err := d.ParkTimeout(time.Millisecond); err != nil {
		t.Errorf("ParkTimeout: %v", err)
	}
}

func TestNoUnparkIsLost(t *testing.T) {
	leaktest.Check(t)
	d, h := newStill(t)
	token := make(chan bool)
	rounds := scale(20_000)
	go func() {
		for range rounds {
			if err := h.Unpark(); err != nil {
				t.Error(err)
			}
			<-token
		}
	}()
	for range rounds {
		if err := d.Park(); err != nil { // hangs if one is lost
			t.Fatal(err)
		}
		token <- true
	}
}

func TestTurnTakesNoMoreEventsThanConfigured(t *testing.T) {
	leaktest.Check(t)
	d, err := driver.New(driver.Config{NoRing: true, Events: 4})
	if err != nil {
		t.Fatal(err)
	}
	h := d.Handle()
	var regs []*driver.Registration
	for range 10 {
		a, b := sockets(t)
		regs = append(regs, watch(t, h, a, poll.Readable))
		write(t, b, []byte("x"))
	}
	total := 0
	for _, want := range []int{4, 4, 2, 0} {
		n, err := d.Turn(0)
		if n != want || err != nil {
			t.Errorf("%d events, %v, want %d", n, err, want)
		}
		total += n
	}
	for i, r := range regs {
		if _, ok := readyNow(t, r, poll.Readable); !ok {
			t.Errorf("the event of registration %d was lost", i)
		}
	}
	if got := h.Metrics().Events; got != uint64(total) {
		t.Errorf("%d events counted of %d", got, total)
	}
	if err := d.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// drive lets requests, registrations and wake-ups be seen by nobody but the
// loop that watches the driver's descriptor.
func drive(t *testing.T, d *driver.Driver, wait func(turn func() int)) {
	h := d.Handle()
	if ok, err := h.CheckAndInit(uring.OpRead); !ok || err != nil {
		t.Fatal(ok, err, h.Fallbacks())
	}
	a, b := sockets(t)
	reg := watch(t, h, a, poll.Readable)
	rd, wr := pipe(t)
	var ending sync.WaitGroup
	quit := make(chan bool)
	ending.Go(func() {
		for {
			select {
			case <-quit:
				return
			default:
			}
			wait(func() int {
				n, err := d.Turn(0)
				if err != nil {
					t.Error(err)
				}
				return n
			})
		}
	})
	stray, o := new(driver.Op), new(driver.Op)
	buf := make([]byte, 1)
	for i := range scale(1000) {
		h.RegisterOp(prepRead(o, rd, buf))
		write(t, wr, []byte{byte(i)})
		o.Wait()
		if res, _ := o.Result(); res != 1 || buf[0] != byte(i) {
			t.Fatalf("%d, %v", res, buf)
		}
		if i%10 == 0 {
			if _, err := h.HoldOp(time.Microsecond, prepRead(stray, rd, buf)); err != nil {
				t.Fatal(err)
			}
			write(t, wr, []byte{byte(i)})
			stray.Wait()
			if res, _ := stray.Result(); res != 1 || buf[0] != byte(i) {
				t.Fatalf("%d, %v", res, buf)
			}
		}
		write(t, b, []byte{byte(i)})
		for {
			e, err := reg.Ready(t.Context(), poll.Readable)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := unix.Read(a, buf); n == 1 {
				break
			} else if err != unix.EAGAIN {
				t.Fatal(n, err)
			}
			reg.ClearReady(e)
		}
	}
	close(quit)
	if err := h.Unpark(); err != nil {
		t.Error(err)
	}
	ending.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
	defer cancel()
	if err := d.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestDriverIsDrivenByAnotherEpoll(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		needMode(t, mode)
		d, err := driver.New(driver.Config{Submit: mode})
		if err != nil {
			t.Fatal(err)
		}
		outer, err := poll.New()
		if err != nil {
			t.Fatal(err)
		}
		if err := outer.Registry().Register(poll.SourceFd(d.Fd()), 1, poll.Readable); err != nil {
			t.Fatal(err)
		}
		events := poll.NewEvents(8)
		drive(t, d, func(turn func() int) {
			if err := outer.Poll(events, -1); err != nil {
				t.Error(err)
			}
			for turn() > 0 {
			}
		})
		if err := outer.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestDriverIsDrivenByTheRuntimesPoller(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		needMode(t, mode)
		d, err := driver.New(driver.Config{Submit: mode})
		if err != nil {
			t.Fatal(err)
		}
		// The descriptor is the driver's: the file gets one of its own.
		fd, err := unix.FcntlInt(uintptr(d.Fd()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		file := os.NewFile(uintptr(fd), "driver")
		conn, err := file.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		drive(t, d, func(turn func() int) {
			err := conn.Read(func(uintptr) bool { return turn() > 0 })
			if err != nil && !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		})
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
}
