package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Debian's archive, unless this machine's apt is set up to use another mirror.
const archive = "http://deb.debian.org/debian"

// keyring is what the archive's lists are signed with; package
// debian-archive-keyring.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// kernelFile is where the cache has a kernel. Beside it, with ".package", is the
// name of the package and the file's checksum.
func kernelFile(s settings, m *machine) string {
	return filepath.Join(s.cache, m.suite+"-"+m.kernelFor(), "vmlinuz")
}

// fetchKernels sees to it that the cache has the kernel of every machine. One
// that it has already is kept: remove the directory to have the newest.
// All are fetched at the same time: most of it is waiting.
func fetchKernels(ctx context.Context, s settings, list []*machine) error {
	var all sync.WaitGroup
	failed := make([]error, len(list))
	begun := map[string]bool{}
	for i, m := range list {
		if m.suite == "" || begun[kernelFile(s, m)] || cached(kernelFile(s, m)) {
			continue
		}
		begun[kernelFile(s, m)] = true
		all.Go(func() {
			if err := fetch(ctx, s, m); err != nil {
				failed[i] = fmt.Errorf("kernel of %s for %s: %w", m.suite, m.kernelFor(), err)
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

// cached reports whether the file is there and has the checksum it was stored
// with.
func cached(file string) bool {
	content, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	note, err := os.ReadFile(file + ".package")
	return err == nil && slices.Contains(strings.Fields(string(note)), checksum(content))
}

func checksum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// fetch has apt, in directories of its own and without touching what is
// installed, update a list of one release, and download the package that the
// kernel's meta-package depends on. apt refuses lists that are not signed with
// the keyring, and packages that differ from the lists.
func fetch(ctx context.Context, s settings, m *machine) error {
	dir := filepath.Dir(kernelFile(s, m))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	apt, err := os.MkdirTemp(dir, "apt-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(apt)
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(apt, sub), 0o755); err != nil {
			return err
		}
	}
	source := fmt.Sprintf("deb [arch=%s signed-by=%s] %s %s main\n", m.kernelFor(), keyring, mirror(ctx), m.suite)
	if err := os.WriteFile(filepath.Join(apt, "sources.list"), []byte(source), 0o644); err != nil {
		return err
	}
	options := []string{
		"-o", "Dir::Etc::sourcelist=" + filepath.Join(apt, "sources.list"), "-o", "Dir::Etc::sourceparts=-",
		"-o", "Dir::State::lists=" + filepath.Join(apt, "lists"), "-o", "Dir::Cache=" + filepath.Join(apt, "cache"),
		"-o", "APT::Architectures::=" + m.kernelFor(), "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none",
		"-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"-o", "APT::Get::AllowUnauthenticated=false", "-q",
	}
	fmt.Printf("fetching the kernel of %s for %s\n", m.suite, m.kernelFor())
	if _, err := output(ctx, apt, "apt-get", append(options, "update", "--error-on=any")...); err != nil {
		return err
	}
	depends, err := output(ctx, apt, "apt-cache", append(options, "depends", "--important",
		"linux-image-"+m.kernelFor()+":"+m.kernelFor())...)
	if err != nil {
		return err
	}
	name, err := dependency(depends)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(name, ":"+m.kernelFor()) {
		name += ":" + m.kernelFor()
	}
	if _, err := output(ctx, apt, "apt-get", append(options, "download", name)...); err != nil {
		return err
	}
	return extract(ctx, apt, kernelFile(s, m))
}

// mirror is the archive that this machine's apt uses.
func mirror(ctx context.Context) string {
	targets, err := output(ctx, "", "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
	if err == nil {
		for uri := range strings.FieldsSeq(targets) {
			if uri = strings.TrimSuffix(uri, "/"); strings.HasSuffix(uri, "/debian") {
				return uri
			}
		}
	}
	return archive
}

// dependency is the first package that a meta-package depends on.
func dependency(depends string) (string, error) {
	for line := range strings.Lines(depends) {
		if kind, name, found := strings.Cut(strings.TrimSpace(line), ": "); found && kind == "Depends" {
			return name, nil
		}
	}
	return "", fmt.Errorf("the meta-package depends on nothing: %q", depends)
}

// extract takes the kernel out of the one package in dir.
func extract(ctx context.Context, dir, file string) error {
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(packages) != 1 {
		return fmt.Errorf("one package was to be downloaded: %q", packages)
	}
	root := filepath.Join(dir, "root")
	if _, err := output(ctx, dir, "dpkg-deb", "-x", packages[0], root); err != nil {
		return err
	}
	kernels, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		return fmt.Errorf("%s has not one kernel: %q", packages[0], kernels)
	}
	content, err := os.ReadFile(kernels[0])
	if err != nil {
		return err
	}
	note := filepath.Base(packages[0]) + " " + checksum(content) + "\n"
	for name, text := range map[string][]byte{file: content, file + ".package": []byte(note)} {
		// Another run may be reading it.
		fresh := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(fresh, text, 0o644); err != nil {
			return err
		}
		if err := os.Rename(fresh, name); err != nil {
			return err
		}
	}
	return nil
}

// output runs a command and returns what it wrote; an error has what it
// complained of.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		text := strings.TrimSpace(complaint.String())
		return "", errors.Join(fmt.Errorf("%s: %w", name, err), errors.New(text))
	}
	return string(out), nil
}
