package copytree

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/eddyio/eddy"
)

// TestGrownEmptySourceIsCopiedForEver: one that was empty when it was opened is copied as empty, however fast it grows.
func TestGrownEmptySourceIsCopiedForEver(t *testing.T) {
	drv, err := eddy.New(eddy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer drv.Close()
	src, dst := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "dst")
	if err := os.WriteFile(src, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := drv.Open(src)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := drv.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	opened, err := in.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(src, make([]byte, 10000), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCopier(Options{Driver: drv, ChunkSize: 4096})
	if size, err := c.copyContents(t.Context(), in, out, opened); size != 0 || err != nil {
		t.Errorf("%d bytes, %v; want none", size, err)
	}
	if info, err := os.Stat(dst); err != nil || info.Size() != 0 {
		t.Errorf("the copy is %v, %v", info, err)
	}
}
