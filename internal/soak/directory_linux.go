package main

import (
	"os"
	"path/filepath"
	"syscall"
)

// directory is where a soak has its files. It is locked, flock(2), for as long as
// the process lives: one without an owner was left by a soak that was killed.
type directory struct {
	name string
	lock *os.File
}

const directoryPattern = "eddy-soak-*"

// makeDirectory makes one, and removes those that have no owner any more.
func makeDirectory(parent string) (d directory, err error) {
	if parent == "" {
		parent = os.TempDir()
	}
	left, err := filepath.Glob(filepath.Join(parent, directoryPattern))
	if err != nil {
		return d, err
	}
	for _, name := range left {
		old := directory{name: name}
		if old.own() == nil {
			_ = old.remove() // somebody else's problem, if it is one
		}
	}
	if d.name, err = os.MkdirTemp(parent, directoryPattern); err != nil {
		return d, err
	}
	return d, d.own()
}

// own locks the directory, if nobody else has.
func (d *directory) own() (err error) {
	if d.lock, err = os.Open(d.name); err != nil {
		return err
	}
	if err = syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = d.lock.Close()
	}
	return err
}

// remove may be called while files are still made in there.
func (d *directory) remove() error {
	err := os.RemoveAll(d.name)
	for tries := 0; err != nil && tries < 100; tries++ {
		err = os.RemoveAll(d.name)
	}
	_ = d.lock.Close()
	return err
}
