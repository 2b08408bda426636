package leaktest_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eddyio/eddy/internal/leaktest"
)

// recorder is a test that does not fail this one.
type recorder struct {
	cleanups []func()
	errors   []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool     { return false }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) finish() string {
	for _, f := range r.cleanups {
		f()
	}
	return strings.Join(r.errors, "\n")
}

// parkedForLeakTest is in the stack from the moment it has begun.
func parkedForLeakTest(begun, stop chan bool) {
	close(begun)
	<-stop
}

func TestLeakedGoroutineIsReportedWithItsStack(t *testing.T) {
	before := leaktest.Take()
	begun, stop := make(chan bool), make(chan bool)
	go parkedForLeakTest(begun, stop)
	<-begun
	report := before.Wait(20 * time.Millisecond)
	if !strings.Contains(report, "parkedForLeakTest") {
		t.Errorf("a goroutine that waits was not reported: %q", report)
	}
	close(stop)
	if report := before.Wait(leaktest.Grace); report != "" {
		t.Errorf("after it ended: %s", report)
	}
}

func TestLeakedDescriptorIsReportedWithWhatItRefersTo(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("descriptors are compared on Linux only")
	}
	before := leaktest.Take()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	report := before.Difference()
	if want := fmt.Sprintf("leaked descriptor %d: /dev/null", f.Fd()); !strings.Contains(report, want) {
		t.Errorf("got %q, want %q", report, want)
	}
	f.Close()
	if report := before.Difference(); report != "" {
		t.Errorf("after its close: %s", report)
	}
}

func TestForeignCloseIsReported(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("descriptors are compared on Linux only")
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	before := leaktest.Take()
	f.Close()
	if report := before.Difference(); !strings.Contains(report, "closed by somebody") {
		t.Errorf("got %q", report)
	}
}

func TestCheckAcceptsWhatEndsLate(t *testing.T) {
	r := new(recorder)
	leaktest.Check(r)
	go time.Sleep(50 * time.Millisecond)
	if report := r.finish(); report != "" {
		t.Error(report)
	}
}
