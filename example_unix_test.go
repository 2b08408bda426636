//go:build unix

package eddy_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/poll"
)

func ExampleDriver_Signals() {
	signals, err := eddy.Default().Signals(syscall.SIGHUP)
	if err != nil {
		log.Fatal(err)
	}
	defer signals.Close()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		log.Fatal(err)
	}
	sig, err := signals.Recv(context.Background())
	fmt.Println(sig, err)
	// Output: hangup <nil>
}

func ExampleDriver_Register() {
	fds := make([]int, 2)
	if err := unix.Pipe(fds); err != nil {
		log.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if err := unix.SetNonblock(fds[0], true); err != nil {
		log.Fatal(err)
	}
	r, err := eddy.Default().Register(fds[0], poll.Readable)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Deregister()

	go func() { _, _ = unix.Write(fds[1], []byte("ping")) }()

	p := make([]byte, 10)
	for {
		event, err := r.Ready(context.Background(), poll.Readable)
		if err != nil {
			log.Fatal(err)
		}
		n, err := unix.Read(fds[0], p)
		if err == unix.EAGAIN {
			r.ClearReady(event)
			continue
		}
		fmt.Printf("%s %v\n", p[:n], err)
		break
	}
	// Output: ping <nil>
}
