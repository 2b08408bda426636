//go:build !linux

package probe

import "runtime"

// Run reports that there is neither io_uring nor epoll on this system.
func Run() Report {
	evidence := []string{"this is " + runtime.GOOS}
	return Report{
		OS:   runtime.GOOS,
		Arch: runtime.GOARCH,
		URing: URing{
			State: Unusable, Reason: ReasonNotLinux, Evidence: evidence,
			Ops: map[string]bool{}, Features: []string{}, SetupFlags: map[string]bool{},
		},
		Epoll:  Epoll{State: Unusable, Reason: ReasonNotLinux, Evidence: evidence},
		Limits: Limits{GOMAXPROCS: runtime.GOMAXPROCS(0), CPUs: runtime.NumCPU(), Seccomp: "unknown"},
	}
}

// Explain says that this is not Linux, whatever the error; nil is Usable.
func Explain(err error) (Reason, State, []string) {
	if err == nil {
		return ReasonNone, Usable, nil
	}
	return ReasonNotLinux, Unusable, []string{"this is " + runtime.GOOS, err.Error()}
}
