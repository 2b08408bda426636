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

// endings are the signals that end a command in good order.
func endings() (wanted []os.Signal) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // by nohup, or by a shell for what it runs in the background: it stays ignored
			wanted = append(wanted, s)
		}
	}
	return wanted
}

// notifyContext returns a context that one of the endings ends. It is for processes in which there is no driver, because
// it would take part in what is measured. A second signal ends the process at once. stop gives the signals back.
func notifyContext(ctx context.Context) (_ context.Context, stop func()) {
	wanted := endings()
	if len(wanted) == 0 {
		return ctx, func() {} // for signal.Notify, none would be all
	}
	ctx, cancel := context.WithCancelCause(ctx)
	received := make(chan os.Signal, 1)
	signal.Notify(received, wanted...)
	go func() {
		select {
		case s := <-received:
			cancel(&interruptedError{s.(syscall.Signal)})
			signal.Stop(received)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(received)
		cancel(nil)
	}
}

// interruptible returns a context that ends when the driver receives one of the endings. A second signal ends
// the process at once, for the case that something hangs. stop gives the signals back.
func interruptible(ctx context.Context, drv *eddy.Driver) (_ context.Context, stop func(), err error) {
	wanted := endings()
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
