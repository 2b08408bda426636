package kernels_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/eddyio/eddy/internal/kernels"
)

// unpack reads an archive as the kernel does (init/initramfs.c).
func unpack(t *testing.T, archive string) map[string]string {
	t.Helper()
	files := map[string]string{}
	align := func(n int) int { return (n + 3) &^ 3 }
	for at := 0; ; {
		header := archive[at : at+110]
		if header[:6] != "070701" {
			t.Fatalf("at %d: %q", at, header)
		}
		field := func(i int) int {
			n, err := strconv.ParseUint(header[6+8*i:14+8*i], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		name := archive[at+110 : at+110+field(11)]
		if !strings.HasSuffix(name, "\x00") {
			t.Fatalf("the name %q", name)
		}
		name = strings.TrimSuffix(name, "\x00")
		if name == "TRAILER!!!" {
			return files
		}
		start := align(at + 110 + field(11))
		files[name] = strconv.FormatInt(int64(field(1)), 8) + " " + archive[start:start+field(6)]
		at = align(start + field(6))
	}
}

func TestArchiveIsNotWhatTheKernelUnpacks(t *testing.T) {
	var a kernels.Archive
	a.Directory("d")
	want := map[string]string{"d": "40755 "}
	for n := range 9 { // every remainder, for names and contents
		name := "d/" + strings.Repeat("n", n+1)
		a.File(name, 0o755, []byte(strings.Repeat("x", n)))
		want[name] = "100755 " + strings.Repeat("x", n)
	}
	a.Character("console", 5, 1)
	want["console"] = "20600 "
	a.End()
	got := unpack(t, a.String())
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
	for name, entry := range want {
		if got[name] != entry {
			t.Errorf("%s: %q, want %q", name, got[name], entry)
		}
	}
}
