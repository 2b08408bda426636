package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eddyio/eddy/cmd/eddy/internal/filebench"
)

// quick makes a measurement as short as it can be; what it measures is worth nothing.
var quick = []string{"bench", "file", "--json", "--warmup=0.01", "--seconds=0.04", "--rounds=1", "--goroutines=1,4"}

func benchJSON(t *testing.T, args ...string) benchReport {
	t.Helper()
	o := eddyCommand(t, 0, append(append([]string{}, quick...), args...)...)
	var r benchReport
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatalf("%v in %s", err, o.stdout)
	}
	return r
}

func TestBenchJSONLosesItsFields(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	// No disk that others keep busy, nor a processor that is somebody else's for longer than this takes.
	r := benchJSON(t, "--size=4MiB", "--os-procs=8", "--cached", "--seconds=0.3")
	if r.Backend == "" || r.Kernel == "" || r.File == nil || r.File.Size != 4<<20 || !r.File.Made || r.Finding == "" {
		t.Errorf("incomplete: %+v", r)
	}
	if len(r.Rows) != 2 || r.Rows[0].Goroutines != 1 || r.Rows[1].Goroutines != 4 {
		t.Fatalf("rows: %+v", r.Rows)
	}
	for _, row := range r.Rows {
		if len(row.Sides) != 3 || row.Ratio.IOPS <= 0 {
			t.Fatalf("%d goroutines: %+v", row.Goroutines, row)
		}
		for i, want := range []string{filebench.SideEddy, filebench.SideOS, filebench.SideProc} {
			s := row.Sides[i]
			if s.Side != want || s.IOPS <= 0 || s.CPU <= 0 || s.Threads < 1 || s.P50 <= 0 || s.P99 < s.P50 || s.Worst < s.P99*0.99 || len(s.Rounds) != 1 {
				t.Errorf("%d goroutines, side %q: %+v", row.Goroutines, want, s)
			}
		}
	}
}

// TestBenchLeavesItsFile: a gigabyte in /tmp for each run.
func TestBenchLeavesItsFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	benchJSON(t, "--size=1MiB", "--fsync=1")
	wantNames(t, dir)
}

// TestBenchMissesAWrongBlock: a fast wrong read is no result.
func TestBenchMissesAWrongBlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tagged")
	const blocks = 64 * 64
	tagged(t, path, blocks*filebench.BlockSize)
	if r := benchJSON(t, path); !r.File.Tagged {
		t.Fatal("the file is not recognised")
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := range int64(blocks) {
		if block%65 == 0 {
			continue // the blocks by which the file is recognised
		}
		if _, err := f.WriteAt([]byte{0xee, 0xee}, block*filebench.BlockSize+2); err != nil {
			t.Fatal(err)
		}
	}
	for _, how := range []string{"--cached", "--batch=4", "--context", "--backend=portable"} {
		o := eddyCommand(t, exitFailure, append(append([]string{}, quick...), how, path)...)
		wantText(t, o.stderr, "bench file: eddy, goroutines: 1", "got the data of block")
	}
}

// tagged makes a file as the benchmark does.
func tagged(t *testing.T, path string, size int64) {
	t.Helper()
	file, err := filebench.MakeFile(t.Context(), []string{filepath.Dir(path)}, size)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file.Path, path); err != nil {
		t.Fatal(err)
	}
}

// TestBenchDestroysAUsersFile: --write is for files that the benchmark made.
func TestBenchDestroysAUsersFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "precious")
	write(t, path, 1<<20, 0o644)
	before := describe(t, dir)["precious"]
	args := append(append([]string{}, quick...), "--write", path)
	wantText(t, eddyCommand(t, exitUsage, args...).stderr, "--overwrite")
	benchJSON(t, path)
	if after := describe(t, dir)["precious"]; after != before {
		t.Errorf("it was %s and is %s", before, after)
	}
	r := benchJSON(t, "--write", "--overwrite", path)
	if r.Operation != "write" || describe(t, dir)["precious"] == before {
		t.Errorf("nothing was written: %+v", r)
	}
}

// TestBatchIsSmallerThanItSays: a batch has no block twice.
func TestBatchIsSmallerThanItSays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tagged")
	tagged(t, path, 1<<20)
	wantText(t, eddyCommand(t, exitUsage, append(quick, "--write", "--batch=257", path)...).stderr, "--batch 257", "256 blocks")
}

func TestBenchWritesWrongBlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tagged")
	tagged(t, path, 1<<20)
	for _, extra := range []string{"--context", "--cached", "--batch=8", "--batch=256", "--batch=8 --context"} {
		benchJSON(t, append(strings.Fields(extra), "--write", path)...)
		if r := benchJSON(t, path); !r.File.Tagged {
			t.Fatalf("after --write %s the blocks do not carry their numbers any more", extra)
		}
	}
}

func TestBenchVariantFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tagged")
	tagged(t, path, 1<<20)
	for _, flags := range [][]string{
		{"--batch=8"}, {"--batch=8", "--context"}, {"--context"}, {"--cached"}, {"--busy=1", "--seconds=0.5"}, {"--fsync=1"}, {"--procs=1"},
		{"--backend=epoll"}, {"--backend=portable"}, {"--backend=uring", "--submit=shared"}, {"--backend=uring", "--submit=thread"},
	} {
		r := benchJSON(t, append(flags, path)...)
		for _, row := range r.Rows {
			e := row.Sides[0]
			// One that ended too late to be counted on a busy disk has a latency all the same. A burst has no such
			// thing, and takes many times its 2 ms where cached reads share the processors with it.
			if e.P50 <= 0 || (r.Busy > 0) != (e.Bursts > 0) {
				t.Errorf("%q: %+v", flags, e)
			}
		}
	}
	wantNames(t, filepath.Dir(path), "tagged")
}

func TestBenchBadFileIsUnclear(t *testing.T) {
	dir := t.TempDir()
	small := filepath.Join(dir, "small")
	write(t, small, 100, 0o644)
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file", dir: "not a regular file", small: "less than one block",
	} {
		wantText(t, eddyCommand(t, 1, append(append([]string{}, quick...), path)...).stderr, want)
	}
}

func TestBenchTableIsEmpty(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	o := eddyCommand(t, 0, "bench", "file", "--size=1MiB", "--warmup=0", "--seconds=0.05", "--rounds=1", "--goroutines=2")
	wantText(t, o.stdout, "goroutines", "IOPS", "os.File", "threads", "worst", "eddy ran on its")
}

func TestSizeIsMisread(t *testing.T) {
	for text, want := range map[string]int64{
		"1GiB": 1 << 30, "256MiB": 256 << 20, "512k": 512 << 10, "1048577": 1 << 20, "2G": 2 << 30, "3mb": 3 << 20, "1TiB": 1 << 40,
	} {
		if got, err := parseSize(text); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "GiB", "1GG", "1.5GiB", "0", "4K", "9223372036854775807G", "1 GiB", "-1G", "i", "b", "1iB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: %d and no error", text, got)
		}
	}
}

func TestLongLineIsNotWrapped(t *testing.T) {
	text := wrap(strings.Repeat("word ", 50), 20)
	for _, line := range strings.Split(text, "\n") {
		if len(line) > 20 || strings.TrimSpace(line) != line {
			t.Errorf("%q", line)
		}
	}
	if strings.Join(strings.Fields(text), " ") != strings.TrimSpace(strings.Repeat("word ", 50)) {
		t.Errorf("words were lost: %q", text)
	}
}
