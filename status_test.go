package eddy_test

import (
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/probe"
)

func TestStatusTellsAnotherStory(t *testing.T) {
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		d := newDriver(t, cfg)
		s := d.Status()
		if s.Backend == eddy.BackendAuto || cfg.Backend != eddy.BackendAuto && s.Backend != cfg.Backend {
			t.Errorf("the backend is %v, asked for was %v", s.Backend, cfg.Backend)
		}
		if s.Backend == eddy.BackendURing {
			asked := cfg.Submit
			older := asked != driver.SubmitShared && !probe.Get().URing.SetupFlags["defer_taskrun"]
			if older {
				asked = driver.SubmitShared
			}
			if s.Submit == driver.SubmitAuto || asked != driver.SubmitAuto && s.Submit != asked {
				t.Errorf("the submit mode is %v, asked for was %v", s.Submit, cfg.Submit)
			}
			switch {
			case older && cfg.Submit == driver.SubmitThread &&
				(len(s.Fallbacks) != 1 || s.Fallbacks[0].Wanted != "submit thread" || s.Fallbacks[0].Reason != probe.ReasonFlags):
				t.Errorf("the kernel is too old for a submit thread, and yet: %v", s)
			case !older && len(s.Fallbacks) != 0:
				t.Errorf("everything was to be had, and yet: %v", s)
			}
		}
		if runtime.GOOS == "linux" {
			release, err := os.ReadFile("/proc/sys/kernel/osrelease")
			if err == nil && s.Kernel != strings.TrimSpace(string(release)) {
				t.Errorf("the kernel is %q, not %q", s.Kernel, release)
			}
		}
		if !strings.Contains(s.String(), s.Backend.String()) {
			t.Errorf("%q does not name the backend", s)
		}
		shutdown(t, d)
	})
}

func TestForcedOffHasNoReason(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: there is no ring to be forced off")
	}
	checkLeaks(t)
	d := newDriver(t, eddy.Config{Backend: eddy.BackendEpoll})
	s := d.Status()
	if len(s.Fallbacks) != 1 || s.Fallbacks[0].Reason != probe.ReasonForced || s.Fallbacks[0].Wanted != "io_uring" {
		t.Errorf("%v", s)
	}
	shutdown(t, d)
}

func TestMetricsMissOperations(t *testing.T) {
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		d := newDriver(t, cfg)
		if m := d.Metrics(); m.Files != 0 || m.Leases != 0 || m.Owned+m.Offloaded+m.Abandoned != 0 {
			t.Errorf("a new driver has done things: %+v", m)
		}
		name := tempFile(t, pattern(100))
		files := make([]*eddy.File, 10)
		for i := range files {
			files[i] = open(t, d, name, os.O_RDONLY)
		}
		if n := d.Metrics().Files; n != 10 {
			t.Errorf("10 files are open, the gauge says %d", n)
		}
		for range 5 {
			if _, err := files[0].ReadAt(make([]byte, 200), 0); err != io.EOF { //nolint:errorlint // bare
				t.Error(err)
			}
		}
		m := d.Metrics()
		switch d.Status().Backend {
		case eddy.BackendURing:
			if cfg.Backend == eddy.BackendURing && m.Driver.Completed < 5 {
				t.Errorf("5 reads went through the ring, %d completions", m.Driver.Completed)
			}
		default:
			if m.Driver.Submitted != 0 {
				t.Errorf("%d requests submitted without a ring", m.Driver.Submitted)
			}
		}
		for _, f := range files {
			f.Close()
			f.Close()
		}
		if n := d.Metrics().Files; n != 0 {
			t.Errorf("no file is open, the gauge says %d", n)
		}
		shutdown(t, d)
	})
}
