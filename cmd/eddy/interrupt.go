package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/eddyio/eddy"
)

// interruptedError is the cause of a context that a signal ended.
type interruptedError struct{ signal syscall.Signal }

func (e *interruptedError) Error() string { return fmt.Sprintf("interrupted (%s)", e.signal) }
func (e *interruptedError) exitCode() int { return 128 + int(e.signal) }

// interruptible returns a context that ends when the driver receives SIGINT, SIGTERM or SIGHUP. A second signal ends
// the process at once, for the case that something hangs. stop gives the signals back.
func interruptible(ctx context.Context, drv *eddy.Driver) (_ context.Context, stop func(), err error) {
	var wanted []os.Signal
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // by nohup, or by a shell for what it runs in the background: it stays ignored
			wanted = append(wanted, s)
		}
	}
	if len(wanted) == 0 {
		return ctx, func() {}, nil
	}
	signals, err := drv.Signals(wanted...)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot receive signals: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	receiving, stopReceiving := context.WithCancel(context.WithoutCancel(ctx))
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		first, err := signals.Recv(receiving)
		if err != nil {
			return
		}
		cause := &interruptedError{first.(syscall.Signal)}
		cancel(cause)
		if _, err := signals.Recv(receiving); err == nil {
			os.Exit(cause.exitCode())
		}
	}()
	return ctx, func() {
		stopReceiving()
		<-finished
		signals.Close()
		cancel(nil)
	}, nil
}
