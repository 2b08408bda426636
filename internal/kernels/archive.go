package kernels

import (
	"bytes"
	"fmt"
)

// Archive is a cpio archive of the "newc" kind, which the kernel unpacks into
// its first file system (Documentation/driver-api/early-userspace/
// buffer-format.rst). Archives may follow one another in a file.
type Archive struct {
	bytes.Buffer
	inode uint32
}

// File types, <linux/stat.h>.
const (
	typeDirectory = 0o040000
	typeRegular   = 0o100000
	typeCharacter = 0o020000
)

// Directory adds a directory; its parent must have been added.
func (a *Archive) Directory(name string) { a.entry(name, typeDirectory|0o755, 0, 0, nil) }

// File adds a regular file.
func (a *Archive) File(name string, permissions uint32, content []byte) {
	a.entry(name, typeRegular|permissions, 0, 0, content)
}

// Character adds a character device.
func (a *Archive) Character(name string, major, minor uint32) {
	a.entry(name, typeCharacter|0o600, major, minor, nil)
}

// End adds the trailer. Nothing may follow but another archive.
func (a *Archive) End() { a.entry("TRAILER!!!", 0, 0, 0, nil) }

// entry writes a header, the name and the content, each up to a multiple of four
// bytes. All numbers are eight hexadecimal digits.
func (a *Archive) entry(name string, mode, major, minor uint32, content []byte) {
	a.inode++
	links := uint32(1)
	fmt.Fprintf(a, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		a.inode, mode, 0, 0, links, 0, // no owner but root, no time
		len(content), 0, 0, major, minor,
		len(name)+1, 0) // no checksum
	a.WriteString(name)
	a.WriteByte(0)
	a.pad()
	a.Write(content)
	a.pad()
}

func (a *Archive) pad() {
	for a.Len()%4 != 0 {
		a.WriteByte(0)
	}
}
