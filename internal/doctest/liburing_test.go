package doctest

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	root     = "../.."
	document = root + "/docs/liburing-tests.md"

	// wanted is how many of liburing's programs must have tests of ours.
	wanted = 120
)

// folders are where the packages that the table names have their tests.
var folders = map[string]string{"eddy": root, "driver": root + "/driver", "uring": root + "/uring"}

// testsOf are the names of a package's tests, as the source has them.
func testsOf(t *testing.T, folder string) map[string]bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	set := token.NewFileSet()
	for _, name := range names {
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range f.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") && f.Name.Name != "TestMain" {
				found[f.Name.Name] = true
			}
		}
	}
	return found
}

// row is one of liburing's programs.
type row struct {
	program, state, behaviour, last string
}

// readRows returns the table's rows, and the numbers of the table of states.
func readRows(t *testing.T) (rows []row, counts map[string]int) {
	t.Helper()
	text, err := os.ReadFile(document)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("SKIP-SOURCE: the documents are not here, only tests")
	}
	if err != nil {
		t.Fatal(err)
	}
	counts = map[string]int{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch len(cells) {
		case 2:
			if n, err := strconv.Atoi(cells[1]); err == nil {
				counts[cells[0]] = n
			}
		case 4:
			if cells[0] != "program" {
				rows = append(rows, row{cells[0], cells[1], cells[2], cells[3]})
			}
		default:
			t.Errorf("%d cells in %q", len(cells), line)
		}
	}
	return rows, counts
}

var testName = regexp.MustCompile("^`([a-z]+)\\.(Test[A-Za-z0-9]+)`$")

func TestTableOfLiburingNamesTestsThatAreNotThere(t *testing.T) {
	rows, _ := readRows(t)
	tests := map[string]map[string]bool{}
	for name, folder := range folders {
		if tests[name] = testsOf(t, folder); len(tests[name]) == 0 {
			t.Fatalf("package %s has no tests in %s", name, folder)
		}
	}
	for _, r := range rows {
		if r.state != "covered" {
			continue
		}
		for _, cell := range strings.Split(r.last, ", ") {
			m := testName.FindStringSubmatch(cell)
			if m == nil {
				t.Errorf("%s: %q is no `package.TestName`", r.program, cell)
			} else if !tests[m[1]][m[2]] {
				t.Errorf("%s: there is no test %s in package %s", r.program, m[2], m[1])
			}
		}
	}
}

func TestTableOfLiburingIsIncomplete(t *testing.T) {
	rows, counts := readRows(t)
	got := map[string]int{}
	seen := map[string]bool{}
	for _, r := range rows {
		got[r.state]++
		switch {
		case seen[r.program]:
			t.Errorf("%s has two rows", r.program)
		case r.behaviour == "" || r.last == "":
			t.Errorf("%s says nothing", r.program)
		case r.state == "covered", r.state == "not applicable", r.state == "to come":
		default:
			t.Errorf("%s has the state %q", r.program, r.state)
		}
		seen[r.program] = true
	}
	for state, n := range got {
		if counts[state] != n {
			t.Errorf("%d rows are %s, and the document says %d", n, state, counts[state])
		}
	}
	if got["covered"] < wanted {
		t.Errorf("%d programs are covered, and %d are wanted", got["covered"], wanted)
	}
}
