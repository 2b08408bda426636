package eddy_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// Who reads a pipe waits in Go's poller, and learns of a shutdown all the same.
func TestShutdownLeavesFIFOReadersAsleep(t *testing.T) {
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		d := newDriver(t, cfg)
		f := open(t, d, makeFIFO(t), os.O_RDWR)
		ended := make(chan error, 1)
		go func() {
			_, err := f.Read(make([]byte, 8))
			ended <- err
		}()
		time.Sleep(20 * time.Millisecond)
		shutdown(t, d)
		select {
		case err := <-ended:
			if !errors.Is(err, eddy.ErrShutdown) {
				t.Error(err)
			}
		case <-time.After(time.Second):
			t.Error("a second after Shutdown, Read still waits")
			f.Close()
			<-ended
		}
	})
}
