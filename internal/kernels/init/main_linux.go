package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/kernels"
)

func main() {
	if os.Getpid() != 1 {
		tellOnly()
	}
	if err := work(); err != nil {
		say(kernels.WordFail, err.Error())
	} else {
		say(kernels.WordDone, "")
	}
	// The console's queue is not emptied by the power switch.
	unix.IoctlSetInt(1, unix.TCSBRK, 1)
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

// tellOnly is what is left for a program that is not the first of its machine:
// it tells the facts and switches nothing off.
func tellOnly() {
	if err := tellFacts(); err != nil {
		say(kernels.WordFail, err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// say writes a line of the protocol. There is nobody to tell if that fails.
func say(word, text string) {
	fmt.Println(kernels.Prefix + word + " " + text)
}

func work() error {
	if err := setUp(); err != nil {
		return err
	}
	text, err := os.ReadFile(kernels.PlanFile)
	if err != nil {
		return err
	}
	plan, err := kernels.DecodePlan(text)
	if err != nil {
		return err
	}
	for name, value := range plan.Sysctls {
		if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0o644); err != nil {
			return err
		}
	}
	if err := tellFacts(); err != nil {
		return err
	}
	log, err := openKernelLog()
	if err != nil {
		return err
	}
	kernels.Conductor{
		Tests:       kernels.TestsDir,
		Environment: []string{"PATH=/bin", "HOME=/", "TMPDIR=/tmp"},
		Say:         say,
		After:       log.tell,
	}.Run(plan)
	return nil
}
