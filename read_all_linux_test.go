package eddy_test

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// A file whose reads give a record each, and cut off what does not fit, is read
// in large pieces (go.dev/issue/72080), by os.ReadFile.
func TestReadFileCutsRecordsOff(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		read := func(readFile func(string) ([]byte, error)) []byte {
			name := makeFIFO(t)
			// A reader of our own keeps the records there until ReadFile has opened.
			keep, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(keep)
			w, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := unix.FcntlInt(uintptr(w), unix.F_SETFL, unix.O_DIRECT); err != nil {
				t.Fatal(err)
			}
			for _, c := range []byte("abcd") {
				if _, err := unix.Write(w, bytes.Repeat([]byte{c}, 400)); err != nil {
					t.Fatal(err)
				}
			}
			opened := make(chan []byte)
			go func() {
				data, err := readFile(name)
				if err != nil {
					t.Error(err)
				}
				opened <- data
			}()
			// ReadFile blocks at the end as long as there is a writer.
			becomes(t, "all records are read", func() bool {
				n, _ := unix.IoctlGetInt(keep, unix.TIOCINQ)
				return n == 0
			})
			unix.Close(w)
			return <-opened
		}
		want, got := read(os.ReadFile), read(d.ReadFile)
		if !bytes.Equal(got, want) {
			t.Errorf("os.ReadFile gives %d bytes, eddy's %d", len(want), len(got))
		}
	})
}
