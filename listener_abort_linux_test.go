package eddy_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/internal/leaktest"
)

func init() {
	roles["accept fails"] = acceptFails
	roles["aborted crowd"] = abortedCrowd
}

func acceptInChild(t *testing.T, role string) {
	t.Helper()
	if err := canOverhearAccept(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	roleInChild(t, role)
}

// What accept4(2) fails with is what Accept fails with, once for each time, as
// std's does; but a connection that was aborted in the queue is nobody's error,
// and neither is a signal. The connection behind it is accepted all the same.
func TestAcceptErrorIsNotStds(t *testing.T) { acceptInChild(t, "accept fails") }

// acceptErrnos are those of accept(2), and some that filters and security modules
// answer with.
var acceptErrnos = []syscall.Errno{
	unix.ECONNABORTED, unix.EINTR,
	unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EPERM, unix.EPROTO,
	unix.ENETDOWN, unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.ENONET, unix.EHOSTUNREACH,
	unix.EOPNOTSUPP, unix.ENETUNREACH, unix.ETIMEDOUT, unix.ECONNRESET,
	unix.EACCES, unix.EIO, unix.EINVAL, unix.EBADF, unix.ENOSYS,
}

// isNobodysError tells whether Accept is to try again by itself.
func isNobodysError(errno syscall.Errno) bool {
	return errno == unix.ECONNABORTED || errno == unix.EINTR
}

const acceptFailures = 3

func acceptFails() error {
	answers, err := overhearAccept()
	if err != nil {
		return err
	}
	before := leaktest.Take()
	err = withDriver(eddy.Config{}, func(d *eddy.Driver) error {
		for _, errno := range acceptErrnos {
			for _, network := range []string{"tcp", "unix"} {
				for _, waiting := range []bool{false, true} {
					if err := sameFailures(d, answers, errno, network, waiting); err != nil {
						return fmt.Errorf("%s on %s, somebody in Accept before: %v: %w", unix.ErrnoName(errno), network, waiting, err)
					}
				}
			}
		}
		return nil
	})
	if report := before.Wait(leaktest.Grace); report != "" && err == nil {
		err = errors.New(report)
	}
	return err
}

// sameFailures compares the two worlds, and both with what is to be.
func sameFailures(d *eddy.Driver, answers *acceptAnswers, errno syscall.Errno, network string, waiting bool) error {
	want, err := failures(stdWorld, answers, errno, network, waiting)
	if err != nil {
		return fmt.Errorf("std: %w", err)
	}
	got, err := failures(worldOf(d), answers, errno, network, waiting)
	if err != nil {
		return fmt.Errorf("eddy: %w", err)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("std says\n%s\neddy says\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	times := acceptFailures
	if isNobodysError(errno) {
		times = 0
	}
	if len(got) != times {
		return fmt.Errorf("Accept failed %d times, not %d:\n%s", len(got), times, strings.Join(got, "\n"))
	}
	return nil
}

// failures are the errors of Accept until it accepts the connection there is.
func failures(w world, answers *acceptAnswers, errno syscall.Errno, network string, waiting bool) (list []string, err error) {
	address := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "eddy")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		address = filepath.Join(dir, "socket")
	}
	l, err := w.listen(net.ListenConfig{}, network, address)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if err := l.(interface{ SetDeadline(time.Time) error }).SetDeadline(timeout()); err != nil {
		return nil, err
	}
	done := make(chan bool)
	var server net.Conn
	acceptAll := func() {
		server, list = acceptStubbornly(l, errno)
		close(done)
	}
	if waiting {
		go acceptAll()
		if err := awaitParked("acceptStubbornly"); err != nil {
			return nil, err
		}
	}
	answers.set(errno, acceptFailures)
	client, err := net.Dial(network, l.Addr().String())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if !waiting {
		acceptAll()
	}
	<-done
	if server != nil {
		defer server.Close()
	}
	if left := answers.left(); left != 0 {
		return nil, fmt.Errorf("accept4 was not called %d times; Accept says %q", left, list)
	}
	if server == nil {
		return nil, fmt.Errorf("nobody is accepted, but %q", list)
	}
	return list, errors.Join(says(client, server), says(server, client))
}

// acceptStubbornly calls Accept until it succeeds, or has failed too often.
func acceptStubbornly(l net.Listener, errno syscall.Errno) (c net.Conn, failures []string) {
	for range 2 * acceptFailures {
		c, err := l.Accept()
		if err == nil {
			return c, failures
		}
		text := chain(err)
		if !errors.Is(err, errno) {
			text += ", which is not " + unix.ErrnoName(errno)
		}
		failures = append(failures, text)
	}
	return nil, failures
}

// awaitParked waits until the goroutine that is in a function of this package
// waits for something itself, as opposed to in a system call.
func awaitParked(function string) error {
	stacks := make([]byte, 1<<16)
	for end := timeout(); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		for text := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			_, state, _ := strings.Cut(text, "[")
			state, _, _ = strings.Cut(state, "]")
			state, _, _ = strings.Cut(state, ",")
			inside := strings.Contains(text, "eddy_test."+function+"(")
			if inside && state != "running" && state != "runnable" && state != "syscall" {
				return nil
			}
		}
	}
	return fmt.Errorf("nobody waits in %s", function)
}

// says passes a word from one end to the other.
func says(from, to net.Conn) error {
	if err := errors.Join(from.SetDeadline(timeout()), to.SetDeadline(timeout())); err != nil {
		return err
	}
	if _, err := from.Write([]byte("word")); err != nil {
		return err
	}
	p := make([]byte, 8)
	if n, err := to.Read(p); err != nil || string(p[:n]) != "word" {
		return fmt.Errorf("read %q, %w", p[:n], err)
	}
	return nil
}

// While many connections are aborted, those that are not are all accepted.
func TestAbortedConnectionsStopTheServer(t *testing.T) { acceptInChild(t, "aborted crowd") }

func abortedCrowd() error {
	answers, err := overhearAccept()
	if err != nil {
		return err
	}
	before := leaktest.Take()
	err = withDriver(eddy.Config{}, func(d *eddy.Driver) error { return acceptCrowd(d, answers) })
	if report := before.Wait(leaktest.Grace); report != "" && err == nil {
		err = errors.New(report)
	}
	return err
}

func acceptCrowd(d *eddy.Driver, answers *acceptAnswers) error {
	const clients, acceptors, rounds = 50, 4, 4
	l, err := worldOf(d).listen(net.ListenConfig{}, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.(*eddy.Listener).SetDeadline(timeout()); err != nil {
		return err
	}
	accepted, failed := make(chan string, clients), make(chan error, acceptors)
	var wait sync.WaitGroup
	for range acceptors {
		wait.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					failed <- err
					return
				}
				c.Close()
				accepted <- c.RemoteAddr().String()
			}
		})
	}
	for round := range rounds {
		expected := map[string]bool{}
		for i := range clients {
			if i%10 == 0 {
				answers.set(unix.ECONNABORTED, 20)
			}
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return err
			}
			defer c.Close()
			expected[c.LocalAddr().String()] = true
		}
		for len(expected) > 0 {
			select {
			case name := <-accepted:
				delete(expected, name)
			case err := <-failed:
				return fmt.Errorf("round %d, %d are not accepted: %w", round, len(expected), err)
			}
		}
	}
	if left := answers.left(); left != 0 {
		return fmt.Errorf("accept4 was not called %d times", left)
	}
	l.Close()
	wait.Wait()
	for range acceptors {
		if err := <-failed; !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}
