package doctest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// homes are where the packages that documents name have their tests.
var homes = map[string]string{
	"eddy": root, "driver": root + "/driver", "uring": root + "/uring", "poll": root + "/poll", "probe": root + "/probe",
	"slab": root + "/internal/slab", "sys": root + "/internal/sys", "fusetest": root + "/internal/fusetest",
	"copytree": root + "/cmd/eddy/internal/copytree",
}

var (
	namedTest  = regexp.MustCompile("`([a-z]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")
	looksNamed = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z][A-Za-z0-9]+`)
	testHead   = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\([a-z]+ \*testing\.[TF]\)`)
)

// read returns a document of the module.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("SKIP-SOURCE: the documents are not here, only tests")
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// testsAndFuzzing are the names of a package's tests and fuzz targets.
func testsAndFuzzing(t *testing.T, folder string) map[string]bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testHead.FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = true
		}
	}
	if len(found) == 0 {
		t.Fatalf("there are no tests in %s", folder)
	}
	return found
}

func TestDocumentNamesTestsThatAreNotThere(t *testing.T) {
	for _, document := range []string{"docs/cases.md", "SECURITY.md"} {
		t.Run(filepath.Base(document), func(t *testing.T) {
			text := read(t, document)
			named := namedTest.FindAllStringSubmatch(text, -1)
			if all := looksNamed.FindAllString(text, -1); len(all) != len(named) || len(named) == 0 {
				t.Errorf("%d tests are mentioned, %d of them as `package.TestName`", len(all), len(named))
			}
			tests := map[string]map[string]bool{}
			for _, m := range named {
				home, ok := homes[m[1]]
				if !ok {
					t.Errorf("no package %s is known", m[1])
					continue
				}
				if tests[m[1]] == nil {
					tests[m[1]] = testsAndFuzzing(t, home)
				}
				if !tests[m[1]][m[2]] {
					t.Errorf("there is no %s in package %s", m[2], m[1])
				}
			}
		})
	}
}

func TestCaseHasNoTest(t *testing.T) {
	const cases = 25
	next := 1
	for line := range strings.Lines(read(t, "docs/cases.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		n, err := strconv.Atoi(strings.TrimSpace(cells[0]))
		if err != nil || !strings.HasPrefix(line, "|") {
			continue
		}
		if n != next || len(cells) != 5 || strings.TrimSpace(cells[1]) == "" || strings.TrimSpace(cells[2]) == "" {
			t.Errorf("row %d, of %d cells, is not row %d of five", n, len(cells), next)
		}
		if !namedTest.MatchString(line) {
			t.Errorf("case %d has no test", n)
		}
		next = n + 1
	}
	if next != cases+1 {
		t.Errorf("the last case is %d, not %d", next-1, cases)
	}
}

// Each thing that SECURITY.md promises is a line that begins with "- ", and has
// a test beside it.
func TestPromiseHasNoTest(t *testing.T) {
	_, promises, ok := strings.Cut(read(t, "SECURITY.md"), "\n## What eddy promises\n")
	if !ok {
		t.Fatal("there is no section of promises")
	}
	promises, _, _ = strings.Cut(promises, "\n## ")
	n := 0
	for _, promise := range strings.Split(promises, "\n- ")[1:] {
		n++
		if !namedTest.MatchString(promise) {
			t.Errorf("no test: %s", promise)
		}
	}
	if n < 12 {
		t.Errorf("only %d promises", n)
	}
}
