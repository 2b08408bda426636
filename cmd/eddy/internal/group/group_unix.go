//go:build unix

package group

import (
	"os/exec"
	"syscall"
)

// Own gives cmd a process group of its own: a terminal sends the signal of ^C to every process of a group, and the
// planning process could not tell a measurement that was interrupted from one that failed. It ends cmd itself.
func Own(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
