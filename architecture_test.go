package eddy_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/eddyio/eddy"

// layers is who may import whom: only what stands further down. Packages on
// the last line may import each other.
var layers = []string{
	module + "/internal/soak", // a program, not a library
	module,
	module + "/driver",
	module + "/uring",
	module + "/poll",
	module + "/probe",
	module + "/internal/...",
}

// outside is everything that is not ours and not the standard library's.
const outside = "golang.org/x/sys"

func layer(path string) int {
	if i := slices.Index(layers, path); i >= 0 {
		return i
	}
	if strings.HasPrefix(path, module+"/internal/") {
		return len(layers) - 1
	}
	return -1
}

// list runs go list and returns its lines.
func list(t *testing.T, goos string, args ...string) []string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Env = append(cmd.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestImportsGoDownOnly(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows", "freebsd"} {
		seen := 0
		for _, line := range list(t, goos, "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...") {
			fields := strings.Fields(line)
			path, imports := fields[0], fields[1:]
			from := layer(path)
			if from < 0 {
				t.Errorf("%s: %s has no place among the layers", goos, path)
			}
			seen++
			for _, imported := range imports {
				if !strings.HasPrefix(imported, module) {
					continue
				}
				if to := layer(imported); to < from || to == from && to != len(layers)-1 {
					t.Errorf("%s: %s imports %s, which is above it", goos, path, imported)
				}
			}
		}
		if seen < len(layers) {
			t.Errorf("%s: only %d packages were looked at", goos, seen)
		}
	}
}

func TestDependsOnNothingButSys(t *testing.T) {
	deps := list(t, "linux", "-deps", "-f", `{{if not .Standard}}{{.ImportPath}}{{end}}`, "./...")
	found := false
	for _, path := range deps {
		switch {
		case path == "", path == module, strings.HasPrefix(path, module+"/"):
		case path == outside, strings.HasPrefix(path, outside+"/"):
			found = true
		default:
			t.Errorf("depends on %s", path)
		}
	}
	if !found {
		t.Errorf("no trace of %s: nothing was tested", outside)
	}
}

func TestNoCgo(t *testing.T) {
	for _, line := range list(t, "linux", "-f", `{{.ImportPath}}{{range .CgoFiles}} {{.}}{{end}}`, "./...") {
		if fields := strings.Fields(line); len(fields) > 1 {
			t.Errorf("%s uses cgo: %v", fields[0], fields[1:])
		}
	}
}
