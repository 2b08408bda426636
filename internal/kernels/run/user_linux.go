package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/kernels"
)

// insideArgument makes this program the one inside the namespaces, see runUser.
const insideArgument = "inside"

// executables is how those of the processors begin that user-mode emulators
// exist for, up to e_machine.
var executables = map[string][20]byte{
	"386":   elfHeader(1, 1, 3),
	"arm64": elfHeader(2, 1, 183),
	"s390x": elfHeader(2, 2, 22),
}

// elfHeader is the beginning of an executable: class 1 is 32 bits and 2 is 64,
// order 1 is little-endian and 2 is big.
func elfHeader(class, order, machine byte) [20]byte {
	h := [20]byte{0x7f, 'E', 'L', 'F', class, order, 1}
	low := int(order - 1) // of the two bytes of a field, the one with the value
	h[16+low], h[18+low] = 2, machine
	return h
}

// registration is the line that makes the kernel start the emulator for such
// executables (Documentation/admin-guide/binfmt-misc.rst). The operating system
// in the header does not matter, nor whether the file is position independent.
func registration(arch, emulator string) string {
	elf := executables[arch]
	mask := [20]byte{}
	for i := range mask {
		mask[i] = 0xff
	}
	mask[7] = 0
	if elf[5] == 1 {
		mask[16] = 0xfe
	} else {
		mask[17] = 0xfe
	}
	var magic, bits strings.Builder
	for i := range mask {
		fmt.Fprintf(&magic, `\x%02x`, elf[i])
		fmt.Fprintf(&bits, `\x%02x`, mask[i])
	}
	return fmt.Sprintf(":eddy-%s:M::%s:%s:%s:F", arch, magic.String(), bits.String(), emulator)
}

// runUser runs the binaries under an emulator of the processor. Some tests start
// their own binary again, so the kernel has to know the emulator; it is told so
// in namespaces of this program's own (Linux 6.7), where nobody else is affected.
func runUser(ctx context.Context, m *machine, b *binaries, r *report, log io.Writer) error {
	plan := b.plan(m)
	file := filepath.Join(b.dir, m.name+".json")
	if err := os.WriteFile(file, plan.Encode(), 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, insideArgument, m.arch, b.dir, file)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		UidMappings: idMap(os.Getuid()),
		GidMappings: idMap(os.Getgid()),
		Pdeathsig:   syscall.SIGKILL,
	}
	err = r.follow(cmd, log)
	if cmd.Process == nil {
		return fmt.Errorf("user, mount and process namespaces, which a container may be refused: %w", err)
	}
	return err
}

// idMap keeps all ids for root, and makes anybody else root.
func idMap(id int) []syscall.SysProcIDMap {
	if id == 0 {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	}
	return []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
}

// inside is what runs in the namespaces.
func inside(args []string) int {
	if err := runInside(args[0], args[1], args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runInside(arch, dir, planFile string) error {
	emulator, err := exec.LookPath(userEmulators[arch])
	if err != nil {
		return err
	}
	if err := announce(arch, emulator); err != nil {
		return fmt.Errorf("binfmt_misc in a namespace, which needs Linux 6.7: %w", err)
	}
	text, err := os.ReadFile(planFile)
	if err != nil {
		return err
	}
	plan, err := kernels.DecodePlan(text)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(dir, "tmp")
	if err != nil {
		return err
	}
	if err := os.Chmod(temporary, 0o755); err != nil { // as in a guest, see package init
		return err
	}
	facts := exec.Command(filepath.Join(dir, "init"))
	facts.Stdout, facts.Stderr = os.Stdout, os.Stderr
	if len(plan.Suites) > 0 {
		facts.Env = append(os.Environ(), plan.Suites[0].Env...)
	}
	if err := facts.Run(); err != nil {
		return err
	}
	kernels.Conductor{
		Tests:       dir,
		Environment: []string{"PATH=/nonexistent", "HOME=/", "TMPDIR=" + temporary},
		Say:         func(word, text string) { fmt.Println(kernels.Prefix + word + " " + text) },
		After:       func() {},
	}.Run(plan)
	fmt.Println(kernels.Prefix + kernels.WordDone)
	return nil
}

// announce tells the kernel of the emulator, in this namespace.
func announce(arch, emulator string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	// The new process namespace has a /proc of its own.
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	const where = "/proc/sys/fs/binfmt_misc"
	if err := unix.Mount("binfmt_misc", where, "binfmt_misc", 0, ""); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(where, "register"), []byte(registration(arch, emulator)), 0)
}
