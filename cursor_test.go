package eddy

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Who waits for a file's own offset, which somebody uses that may never come back,
// is told when there is no more reason to.
func TestReadWaitsForTheOffsetBeyondItsEnd(t *testing.T) {
	far := time.Now().Add(time.Hour)
	for what, end := range map[string]struct {
		deadline time.Time
		end      func(d *Driver, f *File)
		want     error
	}{
		"deadline": {time.Now().Add(50 * time.Millisecond), func(*Driver, *File) {}, os.ErrDeadlineExceeded},
		"Close":    {far, func(_ *Driver, f *File) { f.Close() }, os.ErrClosed},
		"Shutdown": {far, func(d *Driver, _ *File) { d.Shutdown(context.Background()) }, ErrShutdown},
	} {
		t.Run(what, func(t *testing.T) {
			d, err := New(Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			name := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := d.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.lockCursor(nil); err != nil {
				t.Fatal(err)
			}
			if err := f.SetReadDeadline(end.deadline); err != nil {
				t.Fatal(err)
			}
			got := make(chan error, 1)
			go func() {
				_, err := f.Read(make([]byte, 1))
				got <- err
			}()
			time.Sleep(10 * time.Millisecond)
			end.end(d, f)
			select {
			case err := <-got:
				if !errors.Is(err, end.want) {
					t.Errorf("%v, want %v", err, end.want)
				}
			case <-time.After(10 * time.Second):
				t.Error("it still waits")
				f.unlockCursor()
				<-got
			}
		})
	}
}
