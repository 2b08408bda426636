package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/eddyio/eddy/internal/kernels"
)

const module = "github.com/eddyio/eddy"

// binaries are the test binaries for one processor.
type binaries struct {
	arch   string
	dir    string // as TestsDir in a guest
	wanted []*machine
	all    []string // every package with tests
	suites []string // those that some machine runs
	init   []byte
}

// lazy is binaries that are built when the first machine needs them, while
// others are at work.
type lazy struct {
	once   sync.Once
	arch   string
	wanted []*machine // those that need them
	result *binaries
	err    error
}

func (l *lazy) get(ctx context.Context, work string) (*binaries, error) {
	l.once.Do(func() {
		b := &binaries{arch: l.arch, dir: filepath.Join(work, l.arch), wanted: l.wanted}
		if l.err = b.build(ctx); l.err != nil {
			l.err = fmt.Errorf("tests for %s: %w", l.arch, l.err)
			return
		}
		l.result = b
	})
	return l.result, l.err
}

func (b *binaries) build(ctx context.Context) error {
	root, err := output(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return err
	}
	root = strings.TrimSpace(root)
	if err := b.buildTests(ctx, root); err != nil {
		return err
	}
	return b.buildInit(ctx, root)
}

// command is a go command for a static binary without symbols.
func (b *binaries) command(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+b.arch, "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, out)
	}
	return string(out), nil
}

// buildTests builds the test binary of every package of the module that has
// tests, and lays beside each what its tests read.
func (b *binaries) buildTests(ctx context.Context, root string) error {
	const withTests = `{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}`
	packages, err := b.command(ctx, root, "list", "-f", withTests, "./...")
	if err != nil {
		return err
	}
	flat := filepath.Join(b.dir, "flat")
	if err := os.MkdirAll(flat, 0o755); err != nil {
		return err
	}
	directories := map[string]string{}
	arguments := []string{"test", "-c", "-ldflags=-s -w", "-o", flat + "/"}
	for line := range strings.Lines(packages) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		name := path[strings.LastIndexByte(path, '/')+1:]
		if path == "" {
			continue
		}
		b.all = append(b.all, name)
		if !b.wants(name) {
			continue
		}
		if slices.Contains(b.suites, name) {
			return fmt.Errorf("there are two packages %s", name)
		}
		b.suites = append(b.suites, name)
		directories[name] = dir
		arguments = append(arguments, path)
	}
	if _, err := b.command(ctx, root, arguments...); err != nil {
		return err
	}
	for name, dir := range directories {
		to := filepath.Join(b.dir, name)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		file := name + ".test"
		if err := os.Rename(filepath.Join(flat, file), filepath.Join(to, file)); err != nil {
			return err
		}
		if err := copySurroundings(dir, to); err != nil {
			return err
		}
	}
	return os.RemoveAll(flat)
}

// shunned are packages whose tests are not for these machines, and why.
var shunned = map[string]string{
	"soak": "it takes minutes of a real processor's time",
}

// wants reports whether some machine runs the suite.
func (b *binaries) wants(suite string) bool {
	return shunned[suite] == "" && slices.ContainsFunc(b.wanted, func(m *machine) bool {
		return len(m.only) == 0 || slices.Contains(m.only, suite)
	})
}

// copySurroundings copies what tests may look for where they are run: the
// package's source and its testdata.
func copySurroundings(from, to string) error {
	data := filepath.Join(from, "testdata")
	if _, err := os.Stat(data); err == nil {
		if err := os.CopyFS(filepath.Join(to, "testdata"), os.DirFS(data)); err != nil {
			return err
		}
	}
	sources, err := filepath.Glob(filepath.Join(from, "*.go"))
	if err != nil {
		return err
	}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		text, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(source)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (b *binaries) buildInit(ctx context.Context, root string) error {
	file := filepath.Join(b.dir, "init")
	_, err := b.command(ctx, filepath.Join(root, "internal", "kernels"), "build", "-ldflags=-s -w", "-o", file, "./init")
	if err != nil {
		return err
	}
	b.init, err = os.ReadFile(file)
	return err
}

// initramfs is the first file system of a machine.
func (b *binaries) initramfs(m *machine, plan kernels.Plan) ([]byte, error) {
	var a kernels.Archive
	a.Directory("dev")
	a.Character("dev/console", 5, 1)
	a.File("init", 0o755, b.init)
	a.File(strings.TrimPrefix(kernels.PlanFile, "/"), 0o644, plan.Encode())
	a.Directory(strings.TrimPrefix(kernels.TestsDir, "/"))
	for _, suite := range plan.Suites {
		dir := filepath.Join(b.dir, suite.Name)
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			relative, err := filepath.Rel(b.dir, path)
			if err != nil {
				return err
			}
			name := filepath.ToSlash(filepath.Join(strings.TrimPrefix(kernels.TestsDir, "/"), relative))
			if entry.IsDir() {
				a.Directory(name)
				return nil
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			permissions := uint32(0o644)
			if strings.HasSuffix(name, ".test") {
				permissions = 0o755
			}
			a.File(name, permissions, content)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	a.End()
	return a.Bytes(), nil
}

// plan is what the machine is to run.
func (b *binaries) plan(m *machine) kernels.Plan {
	p := kernels.Plan{Sysctls: m.sysctls}
	for _, name := range b.suites {
		if len(m.only) > 0 && !slices.Contains(m.only, name) {
			continue
		}
		pattern := m.patterns[name]
		if m.pattern != "" {
			pattern = m.pattern
		}
		p.Suites = append(p.Suites, kernels.Suite{
			Name: name, Pattern: pattern, Skip: m.omitted(name), Env: m.env, Timeout: m.timeout,
		})
	}
	return p
}

// omissions are the tests that the machine leaves out.
func (m *machine) omissions() []omission {
	var list []omission
	for _, o := range m.without {
		if len(m.only) == 0 || slices.Contains(m.only, o.suite) {
			list = append(list, o)
		}
	}
	return list
}

func (m *machine) omitted(suite string) []string {
	var names []string
	for _, o := range m.omissions() {
		if o.suite == suite {
			names = append(names, o.test)
		}
	}
	return names
}
