package uring_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// What a child leaves in flight when it exits. Its ring has the file number 3
// in its table, so that the parent sees when the kernel has taken it apart.
var leftovers = map[string]struct {
	flags uring.SetupFlags
	leave func(r *uring.Ring)
}{
	"poll":   {0, func(r *uring.Ring) { r.Next().PrepPollAdd(event(), unix.POLLIN, false) }},
	"accept": {0, func(r *uring.Ring) { r.Next().PrepAccept(listening(), nil, nil, 0, false) }},
	"timeout": {0, func(r *uring.Ring) {
		r.Next().PrepTimeout(&uring.Timespec{Sec: 1000}, 0, 0)
	}},
	"chain behind a poll": {0, func(r *uring.Ring) {
		s := r.Next()
		s.PrepPollAdd(event(), unix.POLLIN, false)
		s.Flags = uring.SQEIOLink
		r.Next().PrepFsync(3, 0)
	}},
	"chain with a timeout": {0, func(r *uring.Ring) {
		s := r.Next()
		s.PrepPollAdd(event(), unix.POLLIN, false)
		s.Flags = uring.SQEIOLink
		r.Next().PrepLinkTimeout(&uring.Timespec{Sec: 1000}, 0)
	}},
	"blocked workers": {0, func(r *uring.Ring) {
		var fds [2]int
		check(unix.Pipe2(fds[:], unix.O_CLOEXEC))
		for range 4 {
			s := r.Next()
			s.PrepRead(fds[0], make([]byte, 1), uring.CurrentPosition)
			s.Flags = uring.SQEAsync
		}
	}},
	"drained": {0, func(r *uring.Ring) {
		r.Next().PrepPollAdd(event(), unix.POLLIN, false)
		r.Next().Flags = uring.SQEIODrain
	}},
	"itself":       {0, func(r *uring.Ring) { r.Next().PrepPollAdd(r.Fd(), unix.POLLPRI, false) }},
	"overflow":     {0, func(r *uring.Ring) { fill(r, 100) }},
	"polled queue": {uring.SetupSQPoll, func(r *uring.Ring) { r.Next().PrepPollAdd(r.Fd(), unix.POLLPRI, false); fill(r, 100) }},
	"never ran":    {uring.SetupRDisabled, func(*uring.Ring) {}},
	"polled queue that never ran": {uring.SetupSQPoll | uring.SetupRDisabled, func(*uring.Ring) {
	}},
	"deferred work": {uring.SetupSingleIssuer | uring.SetupDeferTaskrun, func(r *uring.Ring) {
		fd := event()
		r.Next().PrepPollAdd(fd, unix.POLLIN, false)
		_, err := r.Submit()
		check(err)
		_, err = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		check(err)
	}},
	"futex": {0, func(r *uring.Ring) {
		r.Next().PrepFutexWait(new(uint32), 0, uring.FutexMatchAny, uring.FutexSize32|uring.FutexPrivate, 0)
	}},
	"another ring": {0, func(r *uring.Ring) {
		other, err := uring.New(4, uring.Config{})
		check(err)
		r.Next().PrepPollAdd(other.Fd(), unix.POLLPRI, false)
		other.Next().PrepPollAdd(r.Fd(), unix.POLLPRI, false)
		_, err = other.Submit()
		check(err)
	}},
}

// kept is what requests of a child use.
var kept []any

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func event() int {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	check(err)
	return fd
}

func listening() int {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(err)
	check(unix.Bind(fd, &unix.SockaddrUnix{Name: ""})) // a name of the kernel's choice
	check(unix.Listen(fd, 4))
	return fd
}

func fill(r *uring.Ring, n int) {
	for range n {
		if r.Next() == nil {
			_, err := r.Submit()
			check(err)
			runtime.Gosched()
		}
	}
}

func init() {
	for name, left := range leftovers {
		children["leaves "+name] = func() {
			runtime.LockOSThread()
			r, err := uring.New(8, uring.Config{Flags: left.flags, SQThreadIdle: time.Hour})
			if errors.Is(err, unix.EINVAL) {
				os.Exit(42)
			}
			check(err)
			check(r.RegisterFiles([]int32{3}))
			kept = append(kept, r)
			left.leave(r)
			if left.flags&uring.SetupRDisabled == 0 {
				_, err = r.Submit()
				check(err)
			}
			switch os.Args[len(os.Args)-1] {
			case "exit":
				os.Exit(7)
			case "fault":
				// SIGSEGV, and not the runtime's idea of it.
				_, _, _ = unix.RawSyscall(unix.SYS_KILL, uintptr(os.Getpid()), uintptr(unix.SIGKILL), 0)
			case "exec":
				check(syscall.Exec("/proc/self/exe", []string{"child", "exit"}, []string{childVariable + "=exits with 3"}))
			}
		}
	}
}

// TestExitHangsOnRequestsInFlight ends processes that leave requests behind: by
// exit, by a signal that kills, by exec. The process must end, and the kernel
// free the ring.
func TestExitHangsOnRequestsInFlight(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	for name, left := range leftovers {
		for how, want := range map[string]string{"exit": "exit status 7", "fault": "signal: killed", "exec": "exit status 3"} {
			t.Run(name+", "+how, func(t *testing.T) {
				if name == "futex" {
					needOps(t, r, uring.OpFutexWait)
				}
				fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				fatalIf(t, err)
				z := closeLater(t, fds[1])
				c := child(t, "leaves "+name)
				c.Args = append(c.Args, how)
				c.ExtraFiles = []*os.File{os.NewFile(uintptr(fds[0]), "witness")}
				fatalIf(t, c.Start())
				fatalIf(t, c.ExtraFiles[0].Close())
				err = finish(t, c)
				var exit *exec.ExitError
				if errors.As(err, &exit) && exit.ExitCode() == 42 {
					skipKernel(t, "flags unknown: %v", left.flags)
				}
				if err == nil || err.Error() != want {
					t.Fatalf("the child ended with %v, want %s", err, want)
				}
				eventually(t, "the ring is gone", func() bool { return ended(z) })
			})
		}
	}
}

// TestChildOfUsedRingWaits starts another program while the ring is in use: it
// must not keep anything of it.
func TestChildOfUsedRingWaits(t *testing.T) {
	r := newRing(t, 4, uring.Config{Flags: uring.SetupSQPoll})
	z := witness(t, r)
	must(t, r, (*uring.SQE).PrepNop)
	c := child(t, "waits for its input")
	stdin, err := c.StdinPipe()
	fatalIf(t, err)
	fatalIf(t, c.Start())
	fatalIf(t, r.Close())
	eventually(t, "the ring is gone", func() bool { return ended(z) })
	stdin.Close()
	fatalIf(t, finish(t, c))
}

func init() {
	children["waits for its input"] = func() { os.Stdin.Read(make([]byte, 1)) }
	children["is killed"] = func() { select {} }
}

// TestWaitidTellsWrongEnd waits for children that exit and that are killed,
// before and after they do, for any and for none, and gives up waiting.
func TestWaitidTellsWrongEnd(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpWaitid)
	// si_pid, si_uid and si_status follow the three numbers, at the alignment
	// of a pointer.
	status := func(info *unix.Siginfo) [3]int32 {
		at := (12 + unsafe.Alignof(uintptr(0)) - 1) &^ (unsafe.Alignof(uintptr(0)) - 1)
		return *(*[3]int32)(unsafe.Add(unsafe.Pointer(info), at))
	}
	const options = unix.WEXITED | unix.WNOWAIT
	for _, killed := range []bool{false, true} {
		info := pin(t, new(unix.Siginfo))
		c := child(t, "waits for its input")
		stdin, err := c.StdinPipe()
		fatalIf(t, err)
		fatalIf(t, c.Start())
		pid := c.Process.Pid
		quickly := do(t, r, func(s *uring.SQE) { s.PrepWaitid(unix.P_PID, pid, info, options|unix.WNOHANG) })
		if quickly.Res != 0 || status(info)[0] != 0 {
			t.Errorf("while it runs: %+v, %v", quickly, status(info))
		}
		next(t, r, 1).PrepWaitid(unix.P_PID, pid, info, options)
		submit(t, r)
		quiet(t, r, "the child runs")
		next(t, r, 2).PrepCancel(1, 0)
		if all := byUserData(t, reap(t, r, 2)); all[1].Err() != unix.ECANCELED {
			t.Errorf("given up: %v", all)
		}
		next(t, r, 1).PrepWaitid(unix.P_PID, pid, info, options)
		submit(t, r)
		want := [2]int32{int32(pid), 0}
		code := int32(1) // CLD_EXITED
		if killed {
			want[1], code = int32(unix.SIGKILL), 2 // CLD_KILLED
			fatalIf(t, c.Process.Kill())
		}
		stdin.Close()
		sequence(t, r, 1)
		if got := status(info); got[0] != want[0] || got[2] != want[1] || info.Code != code || info.Signo != int32(unix.SIGCHLD) {
			t.Errorf("killed %v: signal %d, code %d, %v; want %v", killed, info.Signo, info.Code, got, want)
		}
		if err := c.Wait(); (err != nil) != killed || err != nil && !strings.Contains(err.Error(), "killed") {
			t.Errorf("killed %v: Wait: %v", killed, err)
		}
		gone := do(t, r, func(s *uring.SQE) { s.PrepWaitid(unix.P_PID, pid, info, options) })
		wantErr(t, "a child that was waited for", gone.Err(), unix.ECHILD)
	}
	bad := do(t, r, func(s *uring.SQE) { s.PrepWaitid(99, 0, nil, options) })
	wantErr(t, "a kind that is none", bad.Err(), unix.EINVAL)
}

// TestFutexWakesOthers has waiters with masks, on several words, and wakes from
// elsewhere.
func TestFutexWakesOthers(t *testing.T) {
	eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
		needOps(t, r, uring.OpFutexWait, uring.OpFutexWaitv)
		const flags = uring.FutexSize32 | uring.FutexPrivate
		words := pin(t, new([4]uint32))
		for id := range uint64(3) {
			next(t, r, id).PrepFutexWait(&words[0], 0, 1<<id, flags, 0)
		}
		submit(t, r)
		quiet(t, r, "nobody has woken anybody")
		wake := func(word *uint32, n, mask uint64) func(s *uring.SQE) {
			return func(s *uring.SQE) { s.PrepFutexWake(word, n, mask, flags, 0) }
		}
		if n := must(t, r, wake(&words[1], 10, uring.FutexMatchAny)); n != 0 {
			t.Errorf("another word: %d were woken", n)
		}
		wake(&words[0], 10, 1<<1)(next(t, r, 9))
		if all := byUserData(t, reap(t, r, 2)); all[9].Res != 1 || all[1].Res != 0 || all[1].UserData != 1 {
			t.Errorf("one mask: %v", all)
		}
		// The system call wakes them as well.
		const futexWake, private = 1, 128
		n, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&words[0])), futexWake|private, 1, 0, 0, 0)
		if n != 1 {
			t.Errorf("futex(2) woke %d, %v", n, errno)
		}
		first := reap(t, r, 1)[0]
		left := uint64(2) - first.UserData
		next(t, r, 9).PrepCancel(left, 0)
		if all := byUserData(t, reap(t, r, 2)); all[left].Err() != unix.ECANCELED {
			t.Errorf("cancelled: %v", all)
		}
		// Any of several words.
		waiters := make([]uring.FutexWaiter, len(words))
		pin(t, &waiters[0])
		for i := range waiters {
			waiters[i] = uring.NewFutexWaiter(&words[i], 0, flags)
		}
		next(t, r, 1).PrepFutexWaitv(waiters, 0)
		submit(t, r)
		quiet(t, r, "nobody has woken anybody")
		wake(&words[2], 1, uring.FutexMatchAny)(next(t, r, 9))
		if all := byUserData(t, reap(t, r, 2)); all[1].Res != 2 || all[9].Res != 1 {
			t.Errorf("any of several words: %v", all)
		}
		words[3] = 1
		c := do(t, r, func(s *uring.SQE) { s.PrepFutexWaitv(waiters, 0) })
		wantErr(t, "one with another value", c.Err(), unix.EAGAIN)
		// A failed wait must not harm what follows on another file.
		in, out := pipe(t)
		c = do(t, r, func(s *uring.SQE) { s.PrepFutexWait(&words[3], 0, uring.FutexMatchAny, flags, 0) })
		wantErr(t, "another value", c.Err(), unix.EAGAIN)
		next(t, r, 1).PrepPollAdd(in, unix.POLLIN, false)
		submit(t, r)
		write(t, out, "x")
		sequence(t, r, 1)
		bad := do(t, r, func(s *uring.SQE) { s.PrepFutexWait(&words[0], 0, 0, flags, 0) })
		wantErr(t, "no mask", bad.Err(), unix.EINVAL)
	})
}
