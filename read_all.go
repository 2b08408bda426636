package eddy

import (
	"errors"
	"io"
)

// readAll reads a file from its start. Regular files tell how long they are;
// others (and those that lie, as in /proc) are read until they end.
func readAll(f *File) ([]byte, error) {
	const least = 512
	size := least
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		if info.Size() > int64(maxInt-1) {
			return nil, f.fail("read", errors.New("file is too large to be read whole"))
		}
		size = max(int(info.Size())+1, least) // one more, to find the end
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
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}

const maxInt = int(^uint(0) >> 1)
