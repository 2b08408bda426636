//go:build !linux

package echobench

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// Possible says whether measurements can be made here.
func Possible() error {
	return fmt.Errorf("the load generator is made of epoll, which only Linux has: %w", errors.ErrUnsupported)
}

// Generate is the load generator's process.
func Generate(io.Reader, io.Writer) error { return Possible() }

func wantFiles(int) error { return nil }

func residentMemory() int64 { return 0 }

// placement says where and how a process is to run.
type placement struct{}

func places(bool) (server, load placement, err error) { return placement{}, placement{}, Possible() }

func (placement) start(cmd *exec.Cmd) error { return cmd.Start() }
