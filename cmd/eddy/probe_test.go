package main

import (
	"encoding/json"
	"runtime"
	"testing"
)

// TestProbeJSONLosesItsKeys: programs read these.
func TestProbeJSONLosesItsKeys(t *testing.T) {
	var report struct {
		Kernel  string
		Backend string
		URing   struct {
			State    string
			Reason   *string
			Ops      map[string]bool
			Evidence []string
		}
		Limits map[string]any
	}
	o := eddyCommand(t, 0, "probe", "--json")
	if err := json.Unmarshal([]byte(o.stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, o.stdout)
	}
	switch u := report.URing; {
	case report.Kernel == "" && runtime.GOOS == "linux":
		t.Error("no kernel")
	case report.Backend == "":
		t.Error("no backend")
	case u.Reason == nil:
		t.Error("no uring.reason")
	case u.State == "usable" && !u.Ops["read"]:
		t.Errorf("usable, but uring.ops has no read: %v", u.Ops)
	case u.State == "unusable" && (*u.Reason == "" || len(u.Evidence) == 0):
		t.Error("unusable without a reason and evidence")
	case u.State != "usable" && u.State != "unusable" && u.State != "unknown":
		t.Errorf("uring.state is %q", u.State)
	}
}

func TestForcedBackendIsNotShown(t *testing.T) {
	wantText(t, eddyCommand(t, 0, "probe", "--backend=portable").stdout, "portable", "io_uring")
	cmd := command(t, "probe", "--json")
	cmd.Env = append(cmd.Env, "EDDY_BACKEND=portable")
	wantText(t, finish(t, cmd).stdout, `"backend": "portable"`)
}
