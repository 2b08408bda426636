package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFilesOfAKilledSoakStay(t *testing.T) {
	parent := t.TempDir()
	running, err := makeDirectory(parent)
	if err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(parent, "eddy-soak-1")
	if err := os.MkdirAll(filepath.Join(killed, "within"), 0o700); err != nil {
		t.Fatal(err)
	}
	other, err := makeDirectory(parent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(killed); !os.IsNotExist(err) {
		t.Errorf("a directory without an owner: %v", err)
	}
	for _, d := range []directory{running, other} {
		if _, err := os.Stat(d.name); err != nil {
			t.Errorf("a directory with an owner: %v", err)
		}
		if err := d.remove(); err != nil {
			t.Error(err)
		}
	}
}
