package probe_test

import (
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/eddyio/eddy/probe"
)

func TestReportSurvivesJSON(t *testing.T) {
	report := probe.Run()
	report.Limits.Memlock = probe.Limit{Soft: 65536, Hard: probe.Unlimited}
	two, none := 2, -1
	report.Limits.URingDisabled, report.Limits.URingGroup = &two, &none
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var back probe.Report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(report, back) {
		t.Errorf("report changed on the way:\n%+v\n%+v", report, back)
	}
	if !strings.Contains(string(text), `"memlock":{"soft":65536,"hard":"unlimited"}`) {
		t.Errorf("the limit reads otherwise in %s", text)
	}
	if strings.Contains(string(text), `:null`) {
		t.Errorf("null where a list or a map is promised: %s", text)
	}
}

func TestBoundRefusesJunk(t *testing.T) {
	for _, text := range []string{`"many"`, `-1`, `1.5`, `{}`, `18446744073709551616`} {
		var b probe.Bound
		if err := json.Unmarshal([]byte(text), &b); err == nil {
			t.Errorf("%s was read as %v", text, b)
		}
	}
	if got := probe.Unlimited.String(); got != "unlimited" {
		t.Errorf("Unlimited is %q", got)
	}
	if got := probe.Bound(1024).String(); got != "1024" {
		t.Errorf("1024 is %q", got)
	}
}

func TestReportNamesTheSystem(t *testing.T) {
	report := probe.Get()
	if report.OS != runtime.GOOS || report.Arch != runtime.GOARCH {
		t.Errorf("report is for %s/%s", report.OS, report.Arch)
	}
	if report.Limits.CPUs < 1 || report.Limits.GOMAXPROCS < 1 {
		t.Errorf("limits are %+v", report.Limits)
	}
	if runtime.GOOS != "linux" {
		if report.URing.State != probe.Unusable || report.URing.Reason != probe.ReasonNotLinux ||
			report.Epoll.Reason != probe.ReasonNotLinux {
			t.Errorf("not Linux, but %+v, %+v", report.URing, report.Epoll)
		}
	}
}

// TestCallerCannotSpoilTheCache also lets the race detector look at Get.
func TestCallerCannotSpoilTheCache(t *testing.T) {
	want, err := json.Marshal(probe.Get())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			got := probe.Get()
			clear(got.URing.Ops)
			clear(got.URing.SetupFlags)
			for _, list := range [][]string{got.URing.Evidence, got.URing.Features, got.Epoll.Evidence} {
				for i := range list {
					list[i] = "spoilt"
				}
			}
			if got.Limits.URingDisabled != nil {
				*got.Limits.URingDisabled = 9
			}
			if got.Limits.URingGroup != nil {
				*got.Limits.URingGroup = 9
			}
		})
	}
	all.Wait()
	got, err := json.Marshal(probe.Get())
	if err != nil || string(got) != string(want) {
		t.Errorf("the cached report became %s, %v; it was %s", got, err, want)
	}
}

func TestEveryReasonIsExplained(t *testing.T) {
	seen := map[string]probe.Reason{}
	for _, r := range append(probe.Reasons(), probe.ReasonNone) {
		text := r.Explanation()
		if strings.HasPrefix(text, "No explanation") || !strings.HasSuffix(text, ".") || strings.Count(text, ". ") > 0 {
			t.Errorf("%q is explained as %q, want one sentence", r, text)
		}
		if other, dup := seen[text]; dup {
			t.Errorf("%q and %q have the same explanation", r, other)
		}
		seen[text] = r
	}
	if got := probe.Reason("made-up").Explanation(); !strings.Contains(got, "made-up") {
		t.Errorf("an unknown reason is explained as %q", got)
	}
}

func TestOperationNames(t *testing.T) {
	for op, want := range map[uint8]string{
		0: "nop", 1: "readv", 14: "async_cancel", 18: "openat", 22: "read", 33: "tee", 46: "uring_cmd",
		55: "ftruncate", 62: "pipe", 64: "uring_cmd128", 65: "op65", 255: "op255",
	} {
		if got := probe.OpName(op); got != want {
			t.Errorf("operation %d is %q, want %q", op, got, want)
		}
	}
	seen := map[string]int{}
	for op := range probe.OpCount {
		name := probe.OpName(uint8(op))
		if other, dup := seen[name]; dup {
			t.Errorf("operations %d and %d are both %q", other, op, name)
		}
		seen[name] = op
	}
}
