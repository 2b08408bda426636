package copytree

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"unicode/utf8"
)

// maxName is NAME_MAX of Linux and of most file systems, in bytes.
const maxName = 255

// leftBehindError says that a temporary file could not be removed: the one thing that an interruption must not hide.
type leftBehindError struct {
	path string
	err  error
}

func (e *leftBehindError) Error() string {
	return fmt.Sprintf("its temporary file %q could not be removed: %v", e.path, e.err)
}

func (e *leftBehindError) Unwrap() error { return e.err }

func leftBehind(err error) bool {
	var e *leftBehindError
	return errors.As(err, &e)
}

// inventName calls create with names beside dst until one is free, and returns it. Beside, because a rename
// works only within a file system.
func inventName(dst string, create func(name string) error) (string, error) {
	dir, base := filepath.Split(dst)
	for {
		name := dir + temporaryName(base, rand.Uint32())
		err := create(name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
}

// temporaryName is ".base.eddy-XXXXXXXX", with base cut where the whole would be longer than a name may be.
func temporaryName(base string, number uint32) string {
	suffix := fmt.Sprintf(".eddy-%08x", number)
	if room := maxName - 1 - len(suffix); len(base) > room {
		for room > 0 && !utf8.RuneStart(base[room]) {
			room-- // some file systems refuse half a character
		}
		base = base[:room]
	}
	return "." + base + suffix
}

func removeTemporary(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &leftBehindError{path, err}
	}
	return nil
}
