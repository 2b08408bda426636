package filebench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

// Disk is what is known about a file system.
type Disk struct {
	Name   string
	Free   int64 // bytes
	Memory bool  // it has no disk under it
}

// TestFile is the file that is read or written.
type TestFile struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	System string `json:"file_system"`
	Made   bool   `json:"made"`   // by the benchmark, and removed at its end
	Tagged bool   `json:"tagged"` // each block carries its number, and each read is checked
	Direct bool   `json:"direct"` // O_DIRECT is used

	directPossible bool
}

// spare is what a file made for the benchmark leaves free on its disk, in bytes.
const spare = 512 << 20

// UseFile describes the existing file at path.
func UseFile(path string) (*TestFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "bench", Path: path, Err: errors.New("not a regular file")}
	}
	if info.Size() < BlockSize {
		return nil, &os.PathError{Op: "bench", Path: path, Err: fmt.Errorf("%d bytes are less than one block of %d", info.Size(), BlockSize)}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t := &TestFile{Path: path, Size: info.Size() / BlockSize * BlockSize}
	t.Tagged, err = looksTagged(f, t.Size)
	if err != nil {
		return nil, err
	}
	return t, t.lookAtDisk()
}

// MakeFile makes a file of size bytes in the first of dirs that is on a disk with enough room.
func MakeFile(ctx context.Context, dirs []string, size int64) (*TestFile, error) {
	dir, err := pickDirectory(dirs, size)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, "eddy-bench-*.dat")
	if err != nil {
		return nil, err
	}
	t := &TestFile{Path: f.Name(), Size: size, Made: true, Tagged: true}
	err = writeBlocks(ctx, f, size)
	if err == nil {
		err = f.Sync()
	}
	dropCache(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = t.lookAtDisk()
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(t.Path))
	}
	return t, nil
}

// Remove removes the file if the benchmark made it.
func (t *TestFile) Remove() error {
	if !t.Made {
		return nil
	}
	return os.Remove(t.Path)
}

// Warm reads the file once, so that the page cache holds it.
func (t *TestFile) Warm(ctx context.Context) error {
	f, err := os.Open(t.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	for buf := make([]byte, 1<<20); ctx.Err() == nil; {
		switch _, err := f.Read(buf); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
	return context.Cause(ctx)
}

// Cool takes the file out of the page cache, as far as the system can be asked for that. written says that there may be
// pages of it that are not on the disk yet, which would stay.
func (t *TestFile) Cool(written bool) error {
	f, err := os.Open(t.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	if written {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	dropCache(f)
	return nil
}

// DirectPossible says whether the file can be read with O_DIRECT.
func (t *TestFile) DirectPossible() bool { return t.directPossible }

func (t *TestFile) lookAtDisk() error {
	d, err := disk(t.Path)
	if err != nil {
		return err
	}
	t.System = d.Name
	t.directPossible = !d.Memory && supportsDirect(t.Path) // a memory file system may take the flag and ignore it
	return nil
}

// Directory is where small files may be written and synced: the first of dirs that is on a disk.
func Directory(dirs []string) (string, error) { return pickDirectory(dirs, 0) }

// pickDirectory prefers a disk to memory, which would measure copying and not I/O.
func pickDirectory(dirs []string, size int64) (string, error) {
	inMemory := ""
	var problems []error
	for _, dir := range dirs {
		d, err := disk(dir)
		switch {
		case err != nil:
			problems = append(problems, err)
		case d.Free < size+spare:
			problems = append(problems, fmt.Errorf("%q has %d MiB free", dir, d.Free>>20))
		case !writable(dir):
			problems = append(problems, fmt.Errorf("%q cannot be written to", dir))
		case !d.Memory:
			return dir, nil
		case inMemory == "":
			inMemory = dir
		}
	}
	if inMemory != "" {
		return inMemory, nil
	}
	return "", fmt.Errorf("no room for a file of %d MiB and %d MiB to spare (name a FILE, or a smaller --size): %w",
		size>>20, spare>>20, errors.Join(problems...))
}

func writable(dir string) bool {
	f, err := os.CreateTemp(dir, ".eddy-bench-*")
	if err != nil {
		return false
	}
	f.Close()
	return os.Remove(f.Name()) == nil
}

// writeBlocks writes size bytes of tagged blocks. Their random part repeats only after 4 MiB, beyond
// what a compressing file system looks at.
func writeBlocks(ctx context.Context, f *os.File, size int64) error {
	buf := make([]byte, 4<<20)
	fillBlock(buf, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	for off := int64(0); off < size; off += int64(len(buf)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		part := buf[:min(int64(len(buf)), size-off)]
		for at := 0; at < len(part); at += BlockSize {
			tagBlock(part[at:], uint64(off+int64(at))/BlockSize)
		}
		if _, err := f.WriteAt(part, off); err != nil {
			return err
		}
	}
	return nil
}

// looksTagged says whether f was made by writeBlocks, judging by blocks all over it.
func looksTagged(f *os.File, size int64) (bool, error) {
	const looks = 64
	blocks := size / BlockSize
	head := make([]byte, 16)
	for i := range int64(looks) {
		block := (blocks - 1) * i / (looks - 1)
		if _, err := f.ReadAt(head, block*BlockSize); err != nil {
			return false, err
		}
		if binary.LittleEndian.Uint64(head) != uint64(block) || binary.LittleEndian.Uint64(head[8:]) != blockMagic {
			return false, nil
		}
	}
	return true, nil
}
