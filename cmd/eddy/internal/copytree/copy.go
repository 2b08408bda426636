package copytree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/eddyio/eddy"
)

// The defaults of Options. 64 chunks of 512 KiB keep a fast disk busy and cost 32 MiB.
const (
	DefaultChunkSize = 512 << 10
	DefaultChunks    = 64
	DefaultFiles     = 64
)

// maxFailures bounds how many failures a Report keeps: a tree of a million unreadable files must not fill the memory.
const maxFailures = 1000

// Options says how to copy. Only Driver has no useful zero value.
type Options struct {
	Driver    *eddy.Driver
	ChunkSize int       // bytes per read and write; 0 is DefaultChunkSize
	Chunks    int       // chunks in flight over all files, each with a buffer of ChunkSize; 0 is DefaultChunks
	Files     int       // files open at once; 0 is DefaultFiles
	Sync      bool      // fsync each file before it gets its name, and each changed directory at the end
	KeepMode  bool      // permission bits as in the source; otherwise the source's less the umask
	KeepTimes bool      // modification and access times as in the source
	MustKeep  bool      // a mode or time that the file system refuses is a failure, and not left out
	Progress  *Progress // counted up while copying, if not nil
}

// Progress is read by others while a copy runs.
type Progress struct {
	Bytes atomic.Int64 // of the sources' sizes, holes included
	Files atomic.Int64 // files and links that are complete
}

// Failure is one source that was not copied, or not with its mode and times (an [UnkeptError]), and why. The rest of the
// tree is copied all the same.
type Failure struct {
	Source, Destination string
	Err                 error
}

// Report is what a copy did.
type Report struct {
	Files, Directories, Links int64
	Bytes                     int64     // of the files that were completed, holes included
	Failures                  []Failure // at most 1000 of them
	Failed                    int64     // how many were not copied, in all
	Unkept                    int64     // how many were, but without a mode or times that had to be kept
}

// Copy copies each source to dst, or into it if it is a directory. It goes on after a failure, which it reports; its
// error is about the whole: a destination that cannot be one, or the cause of the context's end, after which nothing
// incomplete is left in the destination.
func Copy(ctx context.Context, opts Options, sources []string, dst string) (Report, error) {
	pairs, err := pairUp(sources, dst)
	if err != nil {
		return Report{}, err
	}
	c := newCopier(opts)
	merged := false
	for _, p := range pairs {
		if ctx.Err() != nil {
			break
		}
		// What stands for its contents may hold names of the sources before and after it: the later one wins, so the
		// earlier one is to be done.
		if merged = merged || p.contents; merged {
			c.running.Wait()
		}
		c.top(ctx, p)
	}
	c.running.Wait()
	c.finishDirectories()
	if ctx.Err() == nil && c.opts.Sync {
		c.syncDirectories(ctx)
	}
	if ctx.Err() != nil {
		return c.report, context.Cause(ctx)
	}
	return c.report, nil
}

type copier struct {
	opts    Options
	buffers chan []byte   // the free ones; all of a copy's memory
	files   chan struct{} // one element per open file
	running sync.WaitGroup

	// Only the walking goroutine touches these.
	directories []directory
	known       map[string]int // the index of a path in directories
	root        fs.FileInfo    // the directory being copied into: met again below the source, it is left out

	mu      sync.Mutex // guards report, changed
	report  Report
	changed map[string]struct{} // directories that got a new entry
}

// directory is a copied directory whose mode and times are set once everything below it is in place.
type directory struct {
	path  string
	info  fs.FileInfo // of the last source that was copied into it
	extra fs.FileMode // permissions that it has only for as long as it is copied into
}

func newCopier(opts Options) *copier {
	if opts.ChunkSize <= 0 {
		opts.ChunkSize = DefaultChunkSize
	}
	if opts.Chunks <= 0 {
		opts.Chunks = DefaultChunks
	}
	if opts.Files <= 0 {
		opts.Files = DefaultFiles
	}
	if opts.Progress == nil {
		opts.Progress = new(Progress)
	}
	c := &copier{
		opts:    opts,
		buffers: make(chan []byte, opts.Chunks),
		files:   make(chan struct{}, opts.Files),
		known:   make(map[string]int),
		changed: make(map[string]struct{}),
	}
	for range opts.Chunks {
		c.buffers <- nil // allocated at first use: a single small file needs one buffer, not all
	}
	return c
}

// buffer waits for a free buffer. The caller puts it back into c.buffers.
func (c *copier) buffer(ctx context.Context) ([]byte, error) {
	select {
	case b := <-c.buffers:
		if b == nil {
			b = make([]byte, c.opts.ChunkSize)
		}
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *copier) fail(ctx context.Context, src, dst string, err error) {
	// The interruption is reported once, not per file. errors.Is looks into joined errors too, so what closing or removing
	// adds to one is hidden with it: nobody can act on that, but for what was left behind.
	if ctx.Err() != nil && (errors.Is(err, context.Cause(ctx)) || errors.Is(err, context.Canceled)) && !leftBehind(err) {
		return
	}
	var unkept *UnkeptError
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.As(err, &unkept) {
		c.report.Unkept++
	} else {
		c.report.Failed++
	}
	if len(c.report.Failures) < maxFailures {
		c.report.Failures = append(c.report.Failures, Failure{src, dst, err})
	}
}

// done counts one complete file or link at dst.
func (c *copier) done(dst string, count *int64, bytes int64) {
	c.opts.Progress.Files.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	*count++
	c.report.Bytes += bytes
	c.changed[filepath.Dir(dst)] = struct{}{}
}

// finishDirectories sets modes and times, the deepest directories first: a directory's time changes with each entry
// made in it, and one without write permission takes no entries.
func (c *copier) finishDirectories() {
	for i := len(c.directories) - 1; i >= 0; i-- {
		d := c.directories[i]
		if err := c.finishDirectory(d); err != nil {
			c.fail(context.Background(), d.path, d.path, err)
		}
	}
}

func (c *copier) finishDirectory(d directory) (err error) {
	var unkept, alsoUnkept error
	if c.opts.KeepMode || d.extra != 0 {
		now, failed := os.Stat(d.path)
		if failed != nil {
			return failed
		}
		mode := now.Mode() &^ d.extra
		if c.opts.KeepMode {
			// The set-gid bit hands the directory's group on to what is made in it, and is its own or its parent's; a
			// sticky bit protects entries of others. Neither is the source's to take away.
			mode = d.info.Mode()&(fs.ModePerm|fs.ModeSticky) | now.Mode()&(fs.ModeSetgid|fs.ModeSticky)
		}
		unkept, err = c.kept(os.Chmod(d.path, mode))
	}
	if err == nil && c.opts.KeepTimes {
		alsoUnkept, err = c.kept(os.Chtimes(d.path, accessTime(d.info), d.info.ModTime()))
	}
	return earlier(err, earlier(unkept, alsoUnkept))
}

// syncDirectories makes the new names durable.
func (c *copier) syncDirectories(ctx context.Context) {
	if !directoriesSync {
		return
	}
	for path := range c.changed {
		select {
		case c.files <- struct{}{}:
		case <-ctx.Done():
			c.running.Wait()
			return
		}
		c.running.Go(func() {
			defer func() { <-c.files }()
			if err := c.syncDirectory(ctx, path); err != nil {
				c.fail(ctx, path, path, err)
			}
		})
	}
	c.running.Wait()
}

func (c *copier) syncDirectory(ctx context.Context, path string) error {
	d, err := c.opts.Driver.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil // one may write to a directory that one may not read: there is no way to sync it
	}
	if err != nil {
		return err
	}
	err = d.SyncContext(ctx)
	if errors.Is(err, errors.ErrUnsupported) || isInvalid(err) {
		err = nil // fsync(2), EINVAL: the file system has no such thing for directories
	}
	return errors.Join(err, d.Close())
}
