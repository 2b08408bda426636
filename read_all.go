package eddy

import (
	"errors"
	"io"
	"slices"
)

// readAll reads a file from its start. Regular files tell how long they are;
// others (and those that lie, as in /proc) are read until they end, never in small
// pieces: some give a record at a time, and cut off or refuse what does not fit.
func readAll(f *File) ([]byte, error) {
	const least = 512
	size, known := least, false
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		if info.Size() > int64(maxInt-1) {
			return nil, f.fail("read", errors.New("file is too large to be read whole"))
		}
		size = max(int(info.Size())+1, least) // one more, to find the end
		known = info.Size() > 0
	}
	data := make([]byte, 0, size)
	for {
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return data, err
		}
		if left := cap(data) - len(data); left == 0 || left < least && !known {
			data = slices.Grow(data, least)
		}
	}
}

const maxInt = int(^uint(0) >> 1)
