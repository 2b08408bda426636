//go:build unix

package eddy_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

func signals(t testing.TB, d *eddy.Driver, sigs ...os.Signal) *eddy.Signals {
	t.Helper()
	s, err := d.Signals(sigs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func raise(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		t.Fatal(err)
	}
}

func TestUncatchableSignalIsAccepted(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, sigs := range [][]os.Signal{
			{os.Kill}, {syscall.SIGKILL}, {syscall.SIGSTOP}, {nil},
			{syscall.SIGUSR1, nil}, {syscall.SIGUSR1, syscall.SIGSTOP},
		} {
			if s, err := d.Signals(sigs...); err == nil {
				t.Errorf("%v: no error", sigs)
				s.Close()
			}
		}
		if _, err := d.Signals(syscall.SIGKILL); !errors.Is(err, fs.ErrInvalid) {
			t.Error(err)
		}
	})
}

func TestSignalReachesOneReceiverOnly(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		both := []*eddy.Signals{signals(t, d, syscall.SIGUSR1, syscall.SIGUSR2), signals(t, d, syscall.SIGUSR1)}
		ctx := soon(t)
		for range 50 {
			raise(t, syscall.SIGUSR1)
			for i, s := range both {
				if got, err := s.Recv(ctx); got != syscall.SIGUSR1 || err != nil {
					t.Fatalf("receiver %d: %v, %v", i, got, err)
				}
			}
		}
		raise(t, syscall.SIGUSR2)
		if got, err := both[0].Recv(ctx); got != syscall.SIGUSR2 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if got, err := both[1].Recv(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a signal that was not asked for: %v, %v", got, err)
		}
	})
}

// Many of a kind count once, and none of another kind is lost among them.
func TestSignalsPileUpOrGetLost(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		s := signals(t, d, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP)
		for range 1000 {
			raise(t, syscall.SIGUSR1)
		}
		raise(t, syscall.SIGUSR2)
		raise(t, syscall.SIGHUP)
		seen := map[os.Signal]int{}
		ctx := soon(t)
		for seen[syscall.SIGUSR2] == 0 || seen[syscall.SIGHUP] == 0 || seen[syscall.SIGUSR1] == 0 {
			sig, err := s.Recv(ctx)
			if err != nil {
				t.Fatalf("after %v: %v", seen, err)
			}
			seen[sig]++
		}
		// Let what is on its way arrive: a handful of SIGUSR1 at most.
		time.Sleep(20 * time.Millisecond)
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		rest := 0
		for {
			if _, err := s.Recv(short); err != nil {
				break
			}
			rest++
		}
		if rest > 3 {
			t.Errorf("%d more were waiting: a signal that waits counts once", rest)
		}
	})
}

// Nobody receives between the signals, so they are all but one the same.
func TestPendingSignalCountsTwice(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		s := signals(t, d, syscall.SIGUSR1)
		for range 5 {
			raise(t, syscall.SIGUSR1)
			time.Sleep(5 * time.Millisecond) // each is delivered by itself
		}
		time.Sleep(100 * time.Millisecond) // the last too, before the first is taken
		if got, err := s.Recv(soon(t)); got != syscall.SIGUSR1 || err != nil {
			t.Fatal(got, err)
		}
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if got, err := s.Recv(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second one: %v, %v", got, err)
		}
	})
}

func TestRecvHangsAtTheEnd(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for what, c := range map[string]struct {
			end  func(s *eddy.Signals, cancel context.CancelFunc)
			want error
		}{
			"context":  {func(_ *eddy.Signals, cancel context.CancelFunc) { cancel() }, context.Canceled},
			"Close":    {func(s *eddy.Signals, _ context.CancelFunc) { s.Close() }, fs.ErrClosed},
			"Shutdown": {func(*eddy.Signals, context.CancelFunc) { shutdown(t, d) }, eddy.ErrShutdown},
		} {
			if what == "Shutdown" {
				continue // last
			}
			recvUntil(t, d, what, c.end, c.want)
		}
		recvUntil(t, d, "Shutdown", func(*eddy.Signals, context.CancelFunc) { shutdown(t, d) }, eddy.ErrShutdown)
	})
}

func recvUntil(t *testing.T, d *eddy.Driver, what string, end func(*eddy.Signals, context.CancelFunc), want error) {
	t.Helper()
	s := signals(t, d, syscall.SIGUSR1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if sig, err := s.Recv(ctx); sig != nil || !errors.Is(err, want) {
				t.Errorf("%s: %v, %v", what, sig, err)
			}
		})
	}
	time.Sleep(time.Millisecond)
	end(s, cancel)
	within(t, 10*time.Second, "Recv", wg.Wait)
	if err := s.Close(); (what == "Close") != errors.Is(err, fs.ErrClosed) {
		t.Errorf("Close after %s: %v", what, err)
	}
	if err := s.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a second Close: %v", err)
	}
	if _, err := s.Recv(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Recv after Close: %v", err)
	}
}

// Several wait on one receiver: each signal reaches one of them, and none waits
// while there is one to have.
func TestSignalIsLostBetweenTwoRecv(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		s := signals(t, d, syscall.SIGUSR1, syscall.SIGUSR2)
		ctx := soon(t)
		for range 100 {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					if _, err := s.Recv(ctx); err != nil {
						t.Error(err)
					}
				})
			}
			raise(t, syscall.SIGUSR1)
			raise(t, syscall.SIGUSR2)
			wg.Wait()
		}
	})
}

// Signals that arrive while the driver goes down reach nobody else's
// descriptors.
func TestSignalAtShutdownIsWrittenToAForeignDescriptor(t *testing.T) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1) // or the one that comes too late would kill us
	defer signal.Stop(c)
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		stop := make(chan struct{})
		var others sync.WaitGroup
		others.Go(func() {
			for !isClosed(stop) {
				if syscall.Kill(os.Getpid(), syscall.SIGUSR1) != nil {
					return
				}
			}
		})
		others.Go(func() { pairSquatter(t, stop) })
		for range 20 {
			d := newDriver(t, cfg)
			for range 32 {
				signals(t, d, syscall.SIGUSR1)
			}
			time.Sleep(time.Millisecond)
			shutdown(t, d)
			time.Sleep(3 * time.Millisecond) // the numbers are the squatter's before they are a driver's
		}
		close(stop)
		others.Wait()
	})
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// pairSquatter keeps opening pairs of sockets, so that it gets the numbers that
// become free, and notices if anybody else writes to them.
func pairSquatter(t *testing.T, stop chan struct{}) {
	var pairs [16][2]int
	for !isClosed(stop) {
		for i := range pairs {
			pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			if err != nil {
				t.Error(err)
				return
			}
			pairs[i] = pair
			for _, fd := range pair {
				if err := syscall.SetNonblock(fd, true); err != nil {
					t.Errorf("somebody has closed a foreign descriptor: %v", err)
				}
			}
		}
		time.Sleep(time.Millisecond)
		for _, pair := range pairs {
			for _, fd := range pair {
				if n, err := syscall.Read(fd, make([]byte, 10)); n > 0 || err != syscall.EAGAIN {
					t.Errorf("somebody has used a foreign descriptor: %d, %v", n, err)
				}
			}
			for _, fd := range pair {
				if err := syscall.Close(fd); err != nil {
					t.Errorf("somebody has closed a foreign descriptor: %v", err)
				}
			}
		}
	}
}

func init() {
	roles["default action"] = func() error {
		d, err := eddy.New(eddy.Config{})
		if err != nil {
			return err
		}
		s, err := d.Signals(syscall.SIGTERM)
		if err != nil {
			return err
		}
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		if _, err := s.Recv(context.Background()); err != nil {
			return err
		}
		if os.Getenv("EDDY_TEST_END") == "Close" {
			s.Close()
		} else {
			d.Close()
		}
		syscall.Kill(os.Getpid(), syscall.SIGTERM) // the default action is to die
		time.Sleep(5 * time.Second)
		return nil
	}
}

func TestDefaultActionStaysAway(t *testing.T) {
	for _, end := range []string{"Close", "Shutdown"} {
		out, err := inRole("default action", "EDDY_TEST_END="+end).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("%s: %v\n%s", end, err, out)
		}
		status, ok := exit.Sys().(syscall.WaitStatus)
		if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
			t.Errorf("after %s the process was not killed by the signal but ended with %v\n%s", end, err, out)
		}
	}
}
