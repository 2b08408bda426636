package kernels

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// longest is how much of a line is told; some tests print files.
const longest = 2000

// How a test binary ends: well, with failed tests, or as Run says.
const (
	statusOK     = "ok"
	statusFailed = "exit status 1"
)

// Run runs the test binary in dir, gives tell every line it writes, and returns
// how it ended: "ok", or what went wrong.
func (s Suite) Run(dir string, args, environment []string, tell func(line string)) string {
	r, w, err := os.Pipe()
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	cmd := exec.Command(filepath.Join(dir, s.Name+".test"), args...)
	cmd.Dir = dir
	cmd.Env = append(slices.Clip(environment), s.Env...)
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err.Error()
	}
	var late atomic.Bool
	timer := time.AfterFunc(s.Timeout, func() {
		late.Store(true)
		_ = cmd.Process.Kill() // an error means that it has just ended
	})
	told := make(chan struct{})
	go func() {
		defer close(told)
		tellLines(r, tell)
	}()
	err = cmd.Wait()
	timer.Stop()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		return "ended, but a process that it started lives on and has its output open"
	}
	switch {
	case late.Load():
		return fmt.Sprintf("killed after %v", s.Timeout)
	case err != nil:
		return err.Error()
	}
	return statusOK
}

func tellLines(r io.Reader, tell func(string)) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			line = strings.TrimSuffix(line, "\n")
			tell(line[:min(len(line), longest)])
		}
		if err != nil {
			return
		}
	}
}
