package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/eddyio/eddy/internal/kernels"
)

// emulators are qemu's programs and what a processor's machine needs of them.
var emulators = map[string]struct {
	program string
	args    []string
	kernel  string // of its command line
}{
	"amd64": {"qemu-system-x86_64", []string{"-cpu", "max"}, "console=ttyS0 no_timer_check"},
	"arm64": {"qemu-system-aarch64", []string{"-M", "virt", "-cpu", "max,pauth-impdef=on"}, "console=ttyAMA0"},
}

// commandLine is the kernel's: it speaks up only when it dies, so that it does
// not write into the tests' lines, and then the machine stops. What it complains
// of short of that, the init program reads in its log. Mitigations cost emulated
// machines most of their time. On a busy host the first ticks of the timer can
// come too late for the kernel's liking (no_timer_check).
const commandLine = "panic=-1 oops=panic loglevel=1 mitigations=off random.trust_cpu=on"

// boot runs a machine from power-on to power-off and gives its console to r.
func boot(ctx context.Context, s settings, work string, m *machine, b *binaries, r *report, log io.Writer) error {
	initramfs, err := b.initramfs(m, b.plan(m))
	if err != nil {
		return err
	}
	file := filepath.Join(work, m.name+".cpio")
	if err := os.WriteFile(file, initramfs, 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	e, ok := emulators[m.kernelFor()]
	if !ok {
		return fmt.Errorf("no emulator for %s", m.kernelFor())
	}
	args := append([]string{
		"-accel", s.accel, "-smp", "2", "-m", strconv.Itoa(m.memory),
		"-nographic", "-no-reboot", "-nic", "none", "-monitor", "none", "-serial", "stdio",
		"-kernel", kernelFile(s, m), "-initrd", file, "-append", e.kernel + " " + commandLine,
	}, e.args...)
	cmd := exec.CommandContext(ctx, e.program, args...)
	err = r.follow(cmd, log)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped: %w", context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("%s: %w", e.program, err)
	}
	return nil
}

// follow runs a command that writes a transcript, and gives that to r.
func (r *report) follow(cmd *exec.Cmd, log io.Writer) error {
	cmd.WaitDelay = 5 * time.Second
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	read := listen(out, &r.transcript, log)
	err = cmd.Wait()
	r.used(cmd)
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return read
}

// listen gives t the console's lines until the machine is off.
func listen(console io.Reader, t *kernels.Transcript, log io.Writer) error {
	lines := bufio.NewReader(console)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if _, err := io.WriteString(log, line); err != nil {
				return err
			}
			t.Line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
