package filebench

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const directFlag = unix.O_DIRECT

// fileSystems names the file systems that are worth naming, by the magic number of statfs(2).
var fileSystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.F2FS_SUPER_MAGIC: "f2fs", unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.NFS_SUPER_MAGIC: "nfs", unix.V9FS_MAGIC: "9p",
	unix.FUSE_SUPER_MAGIC: "fuse", 0x2fc12fc1: "zfs",
}

// disk describes the file system under path.
func disk(path string) (d Disk, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return d, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	magic := int64(uint32(st.Type)) //nolint:unconvert // the type's width differs between architectures
	d.Free = int64(st.Bavail) * int64(st.Bsize)
	d.Memory = magic == unix.TMPFS_MAGIC || magic == unix.RAMFS_MAGIC
	d.Name = fileSystems[magic]
	if d.Name == "" {
		d.Name = fmt.Sprintf("file system %#x", magic)
	}
	return d, nil
}

// supportsDirect says whether the file at path can be read with O_DIRECT, by doing it. open(2), EINVAL.
func supportsDirect(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|directFlag, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	n, _ := f.ReadAt(alignedBuffer(BlockSize), 0)
	return n == BlockSize
}

// dropCache takes the clean pages of f out of the page cache. posix_fadvise(2).
func dropCache(f *os.File) { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }
