package uring

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// probeSource is the package probe, which stands below this one and has tables
// of its own for what both know of the kernel's header.
type probeSource struct {
	scope *types.Scope
	names map[string][]string // the lists of strings, by the variable's name
}

func readProbe(t *testing.T) probeSource {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "probe", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var parsed []*ast.File
	source := probeSource{names: map[string][]string{}}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_other.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
		source.collect(t, f)
	}
	if len(parsed) == 0 {
		t.Skip("SKIP-SOURCE: the source of package probe is not here")
	}
	// Imports are not resolved: no table needs them.
	config := types.Config{Error: func(error) {}, IgnoreFuncBodies: true}
	checked, _ := config.Check("probe", set, parsed, nil) // the missing imports
	source.scope = checked.Scope()
	return source
}

// collect notes every variable that is a list of strings.
func (s probeSource) collect(t *testing.T, f *ast.File) {
	t.Helper()
	for _, declaration := range f.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.VAR {
			continue
		}
		for _, spec := range general.Specs {
			variable := spec.(*ast.ValueSpec)
			if len(variable.Values) != 1 {
				continue
			}
			list, ok := variable.Values[0].(*ast.CompositeLit)
			if !ok {
				continue
			}
			for _, element := range list.Elts {
				text, ok := element.(*ast.BasicLit)
				if !ok || text.Kind != token.STRING {
					break
				}
				name, err := strconv.Unquote(text.Value)
				if err != nil {
					t.Fatal(err)
				}
				s.names[variable.Names[0].Name] = append(s.names[variable.Names[0].Name], name)
			}
		}
	}
}

// TestProbeNamesOrValuesDrift: one package would report an operation or a flag
// under a name that the other has for another.
func TestProbeNamesOrValuesDrift(t *testing.T) {
	probe := readProbe(t)
	lower := func(names []string) (all []string) {
		for _, name := range names {
			all = append(all, strings.ToLower(name))
		}
		return all
	}
	for list, own := range map[string][]string{"opNames": opNames[:], "setupNames": lower(setupNames), "featureNames": lower(featureNames)} {
		if got := probe.names[list]; !slices.Equal(got, own) {
			t.Errorf("%s: probe has\n%q\nand uring\n%q", list, got, own)
		}
	}
	own, _ := goConstants(t)
	renamed := map[string]string{
		"setupregisteredfd": "setupregisteredfdonly", "registerprobe": "registeropprobe", "featurenodrop": "featnodrop",
	}
	compared := 0
	for _, name := range probe.scope.Names() {
		c, ok := probe.scope.Lookup(name).(*types.Const)
		key := strings.ToLower(name)
		if !ok || !strings.HasPrefix(key, "setup") && renamed[key] == "" && name != "opSupported" {
			continue
		}
		if other, ok := renamed[key]; ok {
			key = other
		}
		if want := own[key]; want == nil || !constant.Compare(c.Val(), token.EQL, constant.ToInt(want)) {
			t.Errorf("probe's %s is %v, uring's %s is %v", name, c.Val(), key, want)
		}
		compared++
	}
	if compared < 17 {
		t.Errorf("only %d constants were found in probe", compared)
	}
}

// TestProbeStructsDrift: a field at another place would be read as garbage.
func TestProbeStructsDrift(t *testing.T) {
	probe := readProbe(t)
	table := readTable(t)
	sizes := types.SizesFor("gc", runtime.GOARCH)
	layout := func(name string) (*types.Struct, map[string]int64) {
		t.Helper()
		object := probe.scope.Lookup(name)
		if object == nil {
			t.Fatalf("probe has no struct %s", name)
		}
		s := object.Type().Underlying().(*types.Struct)
		var fields []*types.Var
		for field := range s.Fields() {
			fields = append(fields, field)
		}
		at := map[string]int64{}
		for i, offset := range sizes.Offsetsof(fields) {
			at[fields[i].Name()] = offset
		}
		return s, at
	}
	params, at := layout("params")
	if got, want := sizes.Sizeof(params), int64(table.fields["io_uring_params ."][1]); got != want {
		t.Errorf("probe's params has %d bytes, the kernel's %d", got, want)
	}
	for field, c := range map[string]string{
		"sqEntries": "sq_entries", "cqEntries": "cq_entries", "flags": "flags", "sqThreadCPU": "sq_thread_cpu",
		"sqThreadIdle": "sq_thread_idle", "features": "features", "wqFd": "wq_fd", "offsets": "sq_off",
	} {
		want, ok := table.fields["io_uring_params "+c]
		if got, found := at[field]; !ok || !found || got != int64(want[0]) {
			t.Errorf("probe's params.%s is at %d, the kernel's %s at %d", field, got, c, want[0])
		}
	}
	list, at := layout("operations")
	header, each := int64(table.fields["io_uring_probe ."][1]), int64(table.fields["io_uring_probe_op ."][1])
	if got, want := sizes.Sizeof(list), header+256*each; got != want || at["ops"] != header || at["count"] != int64(table.fields["io_uring_probe ops_len"][0]) {
		t.Errorf("probe's operations has %d bytes with ops at %d and count at %d; want %d bytes, ops at %d", got, at["ops"], at["count"], want, header)
	}
	for i := range list.NumFields() {
		if list.Field(i).Name() != "ops" {
			continue
		}
		one := list.Field(i).Type().Underlying().(*types.Array).Elem().Underlying().(*types.Struct)
		var fields []*types.Var
		for field := range one.Fields() {
			fields = append(fields, field)
		}
		offsets := sizes.Offsetsof(fields)
		for j, field := range fields {
			if c := field.Name(); c == "op" || c == "flags" {
				if want := int64(table.fields["io_uring_probe_op "+c][0]); offsets[j] != want {
					t.Errorf("probe's operation has %s at %d, the kernel at %d", c, offsets[j], want)
				}
			}
		}
	}
}
