//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

const insideArgument = "inside"

func inside([]string) int { return 1 }

func runUser(context.Context, *machine, *binaries, *report, io.Writer) error {
	return errors.New("programs of other processors are run on Linux only")
}
