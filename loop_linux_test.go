package eddy

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
)

// TestWokenReadersWaitForTheWholeTurn catches a loop that wakes all its readers
// into the queue of one thread, which the kernel may stop for milliseconds.
func TestWokenReadersWaitForTheWholeTurn(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	l, _ := newStalledLoop(t, new(driver.Registration))
	var seen atomic.Int32
	var done atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !done.Load() {
			if left := l.left.Load(); left != 0 {
				seen.Store(left)
			}
		}
	}()
	defer func() { done.Store(true); <-ended }()

	left := 1
	lets := func(patience time.Duration, woken int) bool {
		left++
		for deadline := time.Now().Add(patience); seen.Load() != int32(left) && time.Now().Before(deadline); {
			l.between(woken, left)
		}
		return seen.Load() == int32(left)
	}
	const no, yes = 50 * time.Millisecond, 10 * time.Second
	if lets(no, wakesAtOnce) {
		t.Error("somebody else's turn lets others run, who holds its lock")
	}
	l.own = true
	if lets(no, wakesAtOnce+1) {
		t.Error("lets others run after each that it wakes")
	}
	if !lets(yes, wakesAtOnce) || !lets(yes, 2*wakesAtOnce) {
		t.Error("those whom the turn has woken wait for its end")
	}
	left = 2 * wakeShare * wakesAtOnce
	if lets(no, wakesAtOnce) {
		t.Error("lets others run after each few of very many")
	}
	if l.left.Load() != 0 {
		t.Error("a turn that goes on is taken for one that waits")
	}
	left = 1
	l.watch.rounds.behind.Store(true)
	if lets(no, wakesAtOnce) {
		t.Error("queues up behind goroutines that compute")
	}
	l.watch.rounds.behind.Store(false)
	if !lets(yes, wakesAtOnce) {
		t.Error("does not let others run any more")
	}
	runtime.GOMAXPROCS(1)
	if lets(no, wakesAtOnce) {
		t.Error("lets others run though there is only one queue")
	}
}

// TestLoopThatWaitsInItsTurnIsOnTime catches a loop that has let others run, and
// gets no processor back from goroutines that compute, unnoticed.
func TestLoopThatWaitsInItsTurnIsOnTime(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	l, _ := newStalledLoop(t, new(driver.Registration))
	w := l.watch
	w.init(func() []*loop { return []*loop{l} })
	w.timer = time.AfterFunc(time.Hour, func() {}) // the test makes the rounds
	defer w.stop()
	l.own = true
	l.between(wakesAtOnce, 2)
	if w.rounds.resting.Load() {
		t.Fatal("nobody makes a round")
	}
	if l.since.Load() == 0 {
		t.Error("it does not say since when others run")
	}

	l.turns.Lock() // as the loop does in its turn
	defer l.turns.Unlock()
	var used time.Duration
	w.occupancy = occupancy{asked: -time.Second, used: func() (all, user time.Duration) {
		used += time.Hour
		return used, used
	}}
	round := func(left int32, since time.Duration) bool {
		l.left.Store(left)
		l.since.Store(int64(sinceStart() - since))
		w.due.Store(int64(sinceStart() - time.Second))
		w.round()
		return w.rounds.behind.Load()
	}
	if round(0, time.Second) || round(3, 0) {
		t.Fatal("behind though its turn has just begun, or goes on")
	}
	w.queue.waited(time.Hour) // long ago
	w.queue.joined.Store(true)
	if !round(3, time.Second) {
		t.Error("on time though three readers have data and the loop does not run")
	}
	if !w.queue.isShort() {
		t.Error("what was long ago counts")
	}
	w.queue.joined.Store(false)
	round(3, time.Second)
	for deadline := time.Now().Add(10 * time.Second); w.queue.average.Load() == 0 || w.queue.joined.Load(); {
		if time.Now().After(deadline) {
			t.Fatal("nobody measures the queue")
		}
		time.Sleep(time.Millisecond)
	}
	if !w.occupancy.computing.Load() || !w.occupancy.busy.Load() {
		t.Errorf("computing %v and busy %v, want both", w.occupancy.computing.Load(), w.occupancy.busy.Load())
	}
}

// TestLoopNeverLetsOthersRun catches a loop in which nothing of this happens.
func TestLoopNeverLetsOthersRun(t *testing.T) {
	PartInTime(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	d, err := New(Config{Backend: BackendEpoll, Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l := d.system.(*linuxSystem).main
	var peers []int
	var seen atomic.Bool // a reader has run before its turn was over
	for range 4 * wakesAtOnce {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, pair[1])
		s, err := l.open(pair[0], isStream, "unix", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.parting.waits = -1 << 30 // it stays in the loop
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for buf := make([]byte, 16); ; {
				if _, err := s.Read(buf); err != nil {
					return
				}
				if l.left.Load() > 0 {
					seen.Store(true)
				}
			}
		}()
		defer func() {
			_ = s.Close()
			<-ended
			_ = unix.Close(pair[1])
		}()
	}
	var done atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !done.Load() {
			for _, fd := range peers {
				_, _ = unix.Write(fd, []byte("x"))
			}
			time.Sleep(time.Millisecond)
		}
	}()
	defer func() { done.Store(true); <-ended }()
	for deadline := time.Now().Add(10 * time.Second); !seen.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("all its turns wake everybody first")
		}
	}
}

func TestLoopForEachProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for procs, want := range map[int]int{1: 1, 2: 1, 4: 1, 8: 2, 32: 8, 128: mostDefaultLoops} {
		runtime.GOMAXPROCS(procs)
		if n := (Config{}).loops(); n != want {
			t.Errorf("%d loops for %d processors, want %d", n, procs, want)
		}
		if n := (Config{Loops: 3}).loops(); n != 3 {
			t.Errorf("%d loops, want the 3 that were asked for", n)
		}
	}
}
