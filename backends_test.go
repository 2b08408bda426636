package eddy_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/driver"
)

// setting is a way to run the suite.
type setting struct {
	name    string
	backend string // what EDDY_BACKEND calls it
	cfg     eddy.Config
}

var allSettings = []setting{
	{"uring-shared", "uring", eddy.Config{Backend: eddy.BackendURing, Submit: driver.SubmitShared}},
	{"uring-thread", "uring", eddy.Config{Backend: eddy.BackendURing, Submit: driver.SubmitThread}},
	{"auto", "auto", eddy.Config{}},
	{"epoll", "epoll", eddy.Config{Backend: eddy.BackendEpoll}},
	{"portable", "portable", eddy.Config{Backend: eddy.BackendPortable}},
}

// environment makes another process take the setting's backend by default.
func (s setting) environment() []string {
	if s.backend == "auto" {
		return nil
	}
	return []string{"EDDY_BACKEND=" + s.backend}
}

// settings are those that this system has and that EDDY_BACKEND allows.
func settings(tb testing.TB) []setting {
	only := os.Getenv("EDDY_BACKEND")
	var list []setting
	for _, s := range allSettings {
		switch {
		case only != "" && only != s.backend:
		case runtime.GOOS != "linux" && s.backend != "auto" && s.backend != "portable":
		default:
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		tb.Fatalf("EDDY_BACKEND=%s leaves nothing to test", only)
	}
	return list
}

// eachBackend runs a test once per setting, with a driver that is shut down at
// its end; nothing may be left then.
func eachBackend(t *testing.T, test func(t *testing.T, d *eddy.Driver)) {
	t.Helper()
	withDrivers(t, settings(t), test)
}

// eachBackendOnce is eachBackend, but in short mode with one setting of a kind:
// for what has little to do with how requests come to the ring.
func eachBackendOnce(t *testing.T, test func(t *testing.T, d *eddy.Driver)) {
	t.Helper()
	list := settings(t)
	if testing.Short() {
		list = slices.DeleteFunc(list, func(s setting) bool { return s.name == "uring-thread" })
	}
	withDrivers(t, list, test)
}

func withDrivers(t *testing.T, list []setting, test func(t *testing.T, d *eddy.Driver)) {
	t.Helper()
	withSettings(t, list, func(t *testing.T, cfg eddy.Config) {
		d := newDriver(t, cfg)
		test(t, d)
		shutdown(t, d)
		if m := d.Metrics(); m.Leases != 0 || m.Driver.InFlight != 0 || m.Driver.Strays != 0 || m.Driver.Quarantined != 0 {
			t.Errorf("after shutdown there are %d leases, %d requests in flight, %d strays, %d in quarantine",
				m.Leases, m.Driver.InFlight, m.Driver.Strays, m.Driver.Quarantined)
		}
	})
}

// eachSetting is eachBackend for tests that make their own drivers.
func eachSetting(t *testing.T, test func(t *testing.T, cfg eddy.Config)) {
	t.Helper()
	withSettings(t, settings(t), test)
}

func withSettings(t *testing.T, list []setting, test func(t *testing.T, cfg eddy.Config)) {
	t.Helper()
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			needRing(t, s)
			checkLeaks(t)
			test(t, s.cfg)
		})
	}
}

// needRing skips a setting that needs a ring where there is none, unless it was
// asked for by name.
func needRing(t *testing.T, s setting) {
	t.Helper()
	if s.backend != "uring" {
		return
	}
	d, err := eddy.New(s.cfg)
	if errors.Is(err, driver.ErrNoRing) && os.Getenv("EDDY_BACKEND") == "" {
		t.Skipf("SKIPPED: no io_uring here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func newDriver(t testing.TB, cfg eddy.Config) *eddy.Driver {
	t.Helper()
	d, err := eddy.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// soon is enough for what is going to happen, and the end of a test that hangs.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func shutdown(t testing.TB, d *eddy.Driver) {
	t.Helper()
	if err := d.Shutdown(soon(t)); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// tempFile makes a file with this content and returns its name.
func tempFile(t testing.TB, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func open(t testing.TB, d *eddy.Driver, name string, flag int) *eddy.File {
	t.Helper()
	f, err := d.OpenFile(name, flag, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// pattern is n bytes that differ from place to place.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return p
}

const canary = 0xa5

func fillCanary(p []byte) {
	for i := range p {
		p[i] = canary
	}
}

func isCanary(p []byte) bool {
	return len(p) == bytes.Count(p, []byte{canary})
}

// within fails the test if f takes longer than a hang would be noticed by.
func within(t testing.TB, limit time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		stacks := make([]byte, 1<<20)
		t.Fatalf("%s hangs\n%s", what, stacks[:runtime.Stack(stacks, true)])
	}
}

// becomes waits until the condition holds.
func becomes(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for range 4000 { // counted, for a process that is stopped meanwhile loses one
		if condition() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("it never happened that %s", what)
}
