package echobench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/eddyio/eddy/cmd/eddy/internal/group"
)

// child is a process of a measurement: it is told things on its standard input, and says things, a line each.
type child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	ctx    context.Context
}

// stopPatience is how long a process may take to end once its input has.
const stopPatience = 5 * time.Second

// startChild starts this program again with args. procs is its GOMAXPROCS if it is not 0.
func startChild(ctx context.Context, args []string, where placement, procs int) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, args...), ctx: ctx}
	group.Own(c.cmd)
	c.cmd.Env = os.Environ()
	if procs > 0 {
		c.cmd.Env = append(c.cmd.Env, "GOMAXPROCS="+strconv.Itoa(procs))
	}
	c.cmd.Stderr = &c.stderr
	c.cmd.WaitDelay = stopPatience
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, where.start(c.cmd)
}

func (c *child) tell(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.say(string(line))
}

func (c *child) say(line string) error {
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		return c.failure(err)
	}
	return nil
}

func (c *child) hear(v any) error {
	if err := readJSON(c.out, v); err != nil {
		return c.failure(err)
	}
	return nil
}

// expect waits for a line.
func (c *child) expect(word string) error {
	line, err := c.out.ReadString('\n')
	if err != nil {
		return c.failure(err)
	}
	if line != word+"\n" {
		return fmt.Errorf("%q instead of %q", line, word)
	}
	return nil
}

// failure finds out why a process does not talk any more.
func (c *child) failure(err error) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if waitErr := c.stop(); waitErr != nil {
		err = waitErr
	}
	return err
}

// stop ends the process, or waits until it has ended, and returns what it complained about.
func (c *child) stop() error {
	c.in.Close()
	timer := time.AfterFunc(stopPatience, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	err := c.cmd.Wait()
	if text := strings.TrimSpace(c.stderr.String()); text != "" {
		return errors.New(text)
	}
	return err
}

// kill ends the process, whatever it does.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}
