package eddy

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// When the kernel has lost a completion the driver keeps what the request held,
// for the kernel may still write there. A caller who gave the buffer back all
// the same would lend that memory to the next one.
func TestBufferOfALostRequestIsLentAgain(t *testing.T) {
	for _, lost := range []bool{true, false} {
		d, err := New(Config{Backend: BackendURing})
		if err != nil {
			t.Skipf("SKIPPED: no ring: %v", err)
		}
		e, ok := d.engine.(*ringEngine)
		if !ok {
			t.Skipf("SKIPPED: EDDY_BACKEND allows no ring: %v", d.Close())
		}
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, []byte("hello"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := d.OpenFile(name, os.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		to := transfer{file: f, kind: kindRead, p: make([]byte, 5)}
		own := lease(to)
		u := to
		u.p = own.bytes
		r := newRequest(u)
		r.own, r.Hold = own, own
		r.OwnBytes(own.bytes)
		if err := e.register(&r.Op); err != nil {
			t.Fatal(err)
		}
		r.Wait()
		if lost {
			r.Hold = nil // what the driver does to a request before it says EBADR
		}
		n, err := e.collect(to, r)
		if n != 5 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		kept := d.Metrics().Leases == 1 && own.file != nil
		if kept != lost {
			t.Errorf("lost: %v, and the buffer is kept: %v", lost, kept)
		}
		if lost == (string(to.p) == "hello") {
			t.Errorf("lost: %v, and the caller was given %q", lost, to.p)
		}
		if kept {
			own.Release()
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := d.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}
