package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

var errInterrupted = errors.New("interrupted")

// heedInterrupts has SIGINT and SIGTERM end the soak early, in order, with all that
// is looked at in the end; the second one ends it at once. Neither leaves files.
func (s *soak) heedInterrupts() {
	told := make(chan os.Signal, 2)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	go func() {
		fmt.Fprintf(s.out, "%v: the soak ends here; once more, and it ends at once\n", <-told)
		close(s.interrupted)
		<-told
		s.quit()
	}()
}

// quit ends the process under those who still work.
func (s *soak) quit() {
	if err := s.dir.remove(); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
	os.Exit(1)
}

// wasInterrupted reports whether the soak was told to end early.
func (s *soak) wasInterrupted() bool {
	select {
	case <-s.interrupted:
		return true
	default:
		return false
	}
}
