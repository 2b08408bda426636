package eddy

import (
	"io"
	"io/fs"
	"syscall"
)

// noLimit stands for a reader that is to be read to its end.
const noLimit = 1<<63 - 1

// limited looks into an io.LimitedReader.
func limited(r io.Reader) (io.Reader, int64) {
	if l, ok := r.(*io.LimitedReader); ok {
		return l.R, max(l.N, 0)
	}
	return r, noLimit
}

// lending calls f with r, or, if that reads a File, with what packages os and net
// know: the os.File itself, or an io.LimitedReader of it. A File that cannot be
// lent is left to say so itself when it is read.
func lending(r io.Reader, f func(io.Reader) (int64, error)) (int64, error) {
	source, limit := limited(r)
	file, ok := source.(*File)
	if !ok || file.readsEnd() || file.acquire("read") != nil {
		return f(r)
	}
	defer file.release()
	outer, ok := r.(*io.LimitedReader)
	if !ok {
		return f(file.file)
	}
	inner := &io.LimitedReader{R: file.file, N: limit}
	n, err := f(inner)
	outer.N = inner.N
	return n, err
}

// isRegular reports whether a reader is a regular file, as os.File.
func isRegular(r io.Reader) bool {
	file, ok := r.(interface {
		Stat() (fs.FileInfo, error)
		syscall.Conn
	})
	if _, ours := r.(*File); ours || !ok { // one that could not be lent, with a deadline
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular()
}

// onlyWriter hides what else a writer can do, such as read from a reader.
type onlyWriter struct{ io.Writer }

// onlyReader hides what else a reader can do, such as write to a writer.
type onlyReader struct{ io.Reader }
