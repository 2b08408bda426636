package copytree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The reasons for which a copy is refused before anything is written.
var (
	ErrSameFile      = errors.New("they are the same file")
	ErrIntoItself    = errors.New("a directory cannot be copied into itself")
	ErrNotDirectory  = errors.New("not a directory")
	ErrIsDirectory   = errors.New("a directory is in the way, and only a directory can be merged into it")
	ErrNotRegular    = errors.New("the destination is not a regular file and is not replaced")
	ErrSameTarget    = errors.New("another source of this copy has the same name")
	ErrDanglingLink  = errors.New("the destination is a symbolic link to nothing")
	ErrSpecialSource = errors.New("special files are not copied")
)

// pair is one source named by the user and the path its copy gets.
type pair struct {
	src, dst string
	asDir    bool  // dst was written with a separator at its end: it cannot become a file
	contents bool  // src stands for what is in it
	err      error // why it is not copied, if it is known already
}

// pairUp finds where each source goes. As with cp, a destination that is a directory takes the sources into it; a
// source that ends in "." or ".." stands for its contents. Two named sources of the same name are a mistake, and the
// first is copied; contents that are laid over others are not, and what is copied last stays.
func pairUp(sources []string, dst string) ([]pair, error) {
	asDir := dst != "" && os.IsPathSeparator(dst[len(dst)-1])
	dst, isDir, err := resolveDestination(dst)
	if err != nil {
		return nil, err
	}
	if len(sources) > 1 && !isDir {
		return nil, fmt.Errorf("several sources need a directory to go to, and %q is %w", dst, ErrNotDirectory)
	}
	pairs := make([]pair, 0, len(sources))
	taken := make(map[string]bool, len(sources))
	for _, src := range sources {
		p := pair{src: src, dst: dst, asDir: asDir && !isDir}
		if name := lastElement(src); isDir && name != "" {
			p.dst = filepath.Join(dst, name)
			if taken[p.dst] {
				p.err = ErrSameTarget
			}
			taken[p.dst] = true
		} else {
			p.contents = isDir
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// resolveDestination follows a destination that is a symbolic link, so that what is replaced is what the
// link names and not the link. Links below it, met while a tree is merged, are replaced and never followed.
func resolveDestination(dst string) (path string, isDir bool, err error) {
	link, err := os.Lstat(dst)
	if errors.Is(err, fs.ErrNotExist) {
		if dst == "" {
			return "", false, err
		}
		return filepath.Clean(dst), false, nil
	}
	if err != nil {
		return "", false, err
	}
	if link.Mode()&fs.ModeSymlink == 0 {
		return dst, link.IsDir(), nil
	}
	to, err := filepath.EvalSymlinks(dst)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("%q: %w", dst, ErrDanglingLink)
	}
	if err != nil {
		return "", false, err
	}
	info, err := os.Stat(to)
	if err != nil {
		return "", false, err
	}
	return to, info.IsDir(), nil
}

// lastElement is the name that src gets inside a directory, or "" if src stands for its contents.
func lastElement(src string) string {
	for len(src) > 1 && os.IsPathSeparator(src[len(src)-1]) {
		src = src[:len(src)-1]
	}
	_, name := filepath.Split(src)
	if name == "." || name == ".." {
		return ""
	}
	if base := filepath.Base(src); len(base) == 1 && os.IsPathSeparator(base[0]) {
		return ""
	}
	return name
}

// checkOutside refuses a destination that is src or lies below it, by identity and not by name: symbolic links and
// bind mounts give one directory several names.
func checkOutside(src fs.FileInfo, dst string) error {
	at := dst
	if real, err := filepath.EvalSymlinks(dst); err == nil {
		at = real
	} else if parent, err := filepath.EvalSymlinks(filepath.Dir(dst)); err == nil {
		at = parent
	}
	at, err := filepath.Abs(at)
	if err != nil {
		return err
	}
	for {
		if info, err := os.Stat(at); err == nil && sameFile(src, info) {
			return ErrIntoItself
		}
		up := filepath.Dir(at)
		if up == at {
			return nil
		}
		at = up
	}
}

// checkReplaceable says whether a file or link may take the name dst: that name is free or a file's or link's.
func checkReplaceable(src fs.FileInfo, dst string) error {
	old, err := os.Lstat(dst)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case sameFile(src, old):
		return ErrSameFile
	case old.IsDir():
		return ErrIsDirectory
	case !old.Mode().IsRegular() && old.Mode()&fs.ModeSymlink == 0:
		return ErrNotRegular
	}
	return nil
}
