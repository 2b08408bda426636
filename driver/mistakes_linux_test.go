//go:build linux && mistakes

package driver_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestExplorerCatchesEveryMistake makes the mistakes of testdata/mistakes, one
// at a time, in a copy of the module, and wants the explorer to find each. With
// EDDY_MISTAKES set to a file's name it writes there what was found, as it
// stands in docs/exploration.md.
//
// It compiles the package once for each mistake, which is why it has a build tag
// of its own.
func TestExplorerCatchesEveryMistake(t *testing.T) {
	patches, err := filepath.Glob("testdata/mistakes/*.patch")
	if err != nil || len(patches) < 64 {
		t.Fatalf("%d mistakes: %v", len(patches), err)
	}
	module := copyModule(t)
	if _, out := exploreIn(t, module, ""); !strings.HasPrefix(out, "ok") {
		t.Fatalf("the explorer fails without a mistake:\n%s", out)
	}
	var r report
	for _, p := range patches {
		name := strings.TrimSuffix(filepath.Base(p), ".patch")
		path, err := filepath.Abs(p)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			breaks, rest, _ := strings.Cut(string(text), "\n")
			run(t, module, "git", "apply", path)
			defer run(t, module, "git", "apply", "-R", path)
			var found *finding
			var out string
			if hint, _, _ := strings.Cut(rest, "\n"); strings.HasPrefix(hint, lookIn) {
				found, out = exploreIn(t, module, strings.TrimPrefix(hint, lookIn))
			}
			if found == nil {
				found, out = exploreIn(t, module, "")
			}
			if found == nil {
				t.Fatalf("not caught:\n%s", out)
			}
			t.Logf("%s, after %s states of %q, by\n%s", found.what, found.states, found.scenario, strings.Join(found.schedule, "\n"))
			r.add(name, breaks, found)
		})
	}
	if to := os.Getenv("EDDY_MISTAKES"); to != "" {
		if r.mistakes != len(patches) {
			t.Fatalf("%d of %d mistakes were caught or looked for: nothing is written", r.mistakes, len(patches))
		}
		if err := os.WriteFile(to, []byte(r.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// report is what was found, in Markdown: a table, and the schedules, to which it
// refers.
type report struct {
	mistakes         int
	table, schedules strings.Builder
}

func (r *report) add(name, breaks string, f *finding) {
	r.mistakes++
	fmt.Fprintf(&r.table, "| [`%s`](#%s) | %s | %s | %s |\n", name, name, breaks, f.scenario, f.states)
	fmt.Fprintf(&r.schedules, "\n#### %s\n\n%s\nIn *%s*: %s.\n\n```text\n%s\n```\n", name, breaks, f.scenario, f.what, wrap(f.schedule, "; ", 100))
}

func (r *report) String() string {
	return fmt.Sprintf("All %d mistakes are caught:\n\n| mistake | what it is | found in | after states |\n|---|---|---|--:|\n%s\n### The schedules\n%s",
		r.mistakes, r.table.String(), r.schedules.String())
}

// wrap joins the parts to lines of at most so many columns.
func wrap(parts []string, sep string, columns int) string {
	var lines []string
	line := ""
	for i, p := range parts {
		if i < len(parts)-1 {
			p += sep
		}
		if line != "" && len(line)+len(strings.TrimSpace(p)) > columns {
			lines, line = append(lines, strings.TrimSpace(line)), ""
		}
		line += p
	}
	return strings.Join(append(lines, line), "\n")
}

// finding is what the explorer prints when something is broken.
type finding struct {
	scenario, what, states string
	schedule               []string
}

var (
	scenarioLine = regexp.MustCompile(`(?m)^ *--- FAIL: TestExplore[A-Za-z]*/(\S+)`)
	brokenLines  = regexp.MustCompile(`(?m)^ *\w+_test\.go:\d+: (.*)\n +after (\d+) states, by this schedule:\n((?: {10}.*\n)*)`)
	endlessLine  = regexp.MustCompile(`(?m)^ *\w+_test\.go:\d+: (no schedule comes to an end.*)$`)
)

// lookIn begins the second line of a mistake: the scenario to begin with, which
// is where it was found the last time.
const lookIn = "Look in: "

// exploreIn runs the explorer in a copy of the module, on one scenario or, if
// that is empty, on all. A failure that is not the explorer's finding, such as
// code that does not compile, is none.
func exploreIn(t *testing.T, module, only string) (*finding, string) {
	t.Helper()
	which := "^TestExplore(EverySchedule|Readiness)$"
	if only != "" {
		which += "/^" + strings.ReplaceAll(only, " ", "_") + "$"
	}
	cmd := exec.Command("go", "test", "-tags", "explore", "-run", which, "-failfast", "-count=1", "-vet=off", "-timeout", "5m", "./driver")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if only != "" {
		cmd.Env = append(cmd.Env, "EDDY_EXPLORE=all") // it may be one of the long ones
	}
	bytes, err := cmd.CombinedOutput()
	out := string(bytes)
	scenario, broken := scenarioLine.FindStringSubmatch(out), brokenLines.FindStringSubmatch(out)
	switch {
	case err == nil:
		return nil, out
	case scenario != nil && broken != nil:
		steps := strings.Split(strings.TrimSpace(broken[3]), "\n")
		for i := range steps {
			steps[i] = strings.TrimSpace(steps[i])
		}
		return &finding{strings.ReplaceAll(scenario[1], "_", " "), broken[1], broken[2], steps}, out
	case scenario != nil && endlessLine.MatchString(out):
		return &finding{strings.ReplaceAll(scenario[1], "_", " "), endlessLine.FindStringSubmatch(out)[1], "all", []string{"all"}}, out
	}
	return nil, out
}

// copyModule copies what the explorer needs. The tests from outside of the
// package, this one among them, would only be compiled over and over.
func copyModule(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "driver", "uring", "poll", "probe", "internal"} {
		run(t, "..", "cp", "-r", name, to)
	}
	tests, err := filepath.Glob(filepath.Join(to, "driver", "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tests {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\npackage driver_test\n") || strings.HasPrefix(string(text), "package driver_test\n") {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return to
}

func run(t *testing.T, dir string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// TestSeamIsLeftInAnOrdinaryBuild wants the compiler to inline each call of the
// functions of seam.go and seam_linux.go, where there is no explorer: what they
// hold then is nothing, or the plain call.
func TestSeamIsLeftInAnOrdinaryBuild(t *testing.T) {
	set := token.NewFileSet()
	parse := func(name string) *ast.File {
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	seam := map[string]bool{}
	for _, name := range []string{"seam.go", "seam_linux.go"} {
		for _, d := range parse(name).Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				seam[f.Name.Name] = true
			}
		}
	}
	build := func(args ...string) string {
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	inlined := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)(\w+\.go:\d+):\d+: inlining call to (\w+)`).FindAllStringSubmatch(build("build", "-gcflags=-m", "."), -1) {
		inlined[m[1]+" "+m[2]] = true
	}
	calls := 0
	for _, name := range strings.Fields(build("list", "-f", `{{join .GoFiles " "}}`, ".")) {
		if strings.HasPrefix(name, "seam") {
			continue
		}
		ast.Inspect(parse(name), func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.Ident); ok && seam[f.Name] {
				calls++
				if at := fmt.Sprintf("%s:%d", name, set.Position(f.Pos()).Line); !inlined[at+" "+f.Name] {
					t.Errorf("%s: %s is called", at, f.Name)
				}
			}
			return true
		})
	}
	t.Logf("%d calls of %d functions", calls, len(seam))
	if calls < 30 {
		t.Error("the calls are not where they are looked for")
	}
}
