package probe

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Report is what was found out about this process on this machine. It is plain
// data and marshals to JSON and back.
type Report struct {
	OS     string `json:"os"`     // runtime.GOOS
	Arch   string `json:"arch"`   // runtime.GOARCH
	Kernel string `json:"kernel"` // the release uname(2) gives, "" if unknown
	URing  URing  `json:"uring"`
	Epoll  Epoll  `json:"epoll"`
	Limits Limits `json:"limits"`
}

// URing says whether io_uring can be used, and what it can do.
type URing struct {
	State  State  `json:"state"`
	Reason Reason `json:"reason"`
	// Evidence is what the verdict rests on, a clause each.
	Evidence []string `json:"evidence"`
	// Ops tells for each operation known here, by its kernel name in lower case
	// without prefix ("openat", "async_cancel"), whether this kernel has it. It
	// is empty if there was no ring to ask.
	Ops map[string]bool `json:"ops"`
	// Features are the IORING_FEAT_ flags this kernel reports, named likewise
	// ("ext_arg"); one that is not known here is "bit18".
	Features []string `json:"features"`
	// SetupFlags tells for each IORING_SETUP_ flag known here, named likewise
	// ("defer_taskrun"), whether this kernel knows it. Some need others beside
	// them, or privileges. It is empty if there was no ring to ask.
	SetupFlags map[string]bool `json:"setup_flags"`
}

// Epoll says whether readiness can be polled.
type Epoll struct {
	State    State    `json:"state"`
	Reason   Reason   `json:"reason"`
	Evidence []string `json:"evidence"`
	// Nanoseconds is whether timeouts are exact: epoll_pwait2(2), Linux 5.11.
	// They are rounded up to milliseconds otherwise.
	Nanoseconds bool `json:"nanoseconds"`
}

// Limits is what may bound or forbid what eddy does. On systems other than Linux
// only GOMAXPROCS and CPUs are filled in.
type Limits struct {
	NoFile     Limit `json:"nofile"`  // RLIMIT_NOFILE, in descriptors
	Memlock    Limit `json:"memlock"` // RLIMIT_MEMLOCK, in bytes
	GOMAXPROCS int   `json:"gomaxprocs"`
	CPUs       int   `json:"cpus"` // those this process may run on
	// URingDisabled is kernel.io_uring_disabled (Linux 6.6): 0 everybody may,
	// 1 the group below and the privileged, 2 nobody. Nil if it is not there.
	URingDisabled *int `json:"io_uring_disabled"`
	// URingGroup is kernel.io_uring_group, -1 for no group. Nil if not there.
	URingGroup *int `json:"io_uring_group"`
	// Seccomp is the mode of this thread: "disabled", "strict", "filter", or
	// "unknown" if /proc does not tell.
	Seccomp string `json:"seccomp"`
	// Container is a guess at what encloses this process: "docker", "podman",
	// "kubernetes", another name that the environment variable container has,
	// or "" if nothing hints at any.
	Container string `json:"container"`
}

// Limit is a resource limit, setrlimit(2).
type Limit struct {
	Soft Bound `json:"soft"` // in force
	Hard Bound `json:"hard"` // up to which the process may raise it
}

// Bound is one value of a [Limit]. In JSON it is a number or "unlimited".
type Bound uint64

// Unlimited is RLIM_INFINITY.
const Unlimited Bound = math.MaxUint64

// String is the number, or "unlimited".
func (b Bound) String() string {
	if b == Unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(uint64(b), 10)
}

// MarshalJSON writes a number, or "unlimited" as a string.
func (b Bound) MarshalJSON() ([]byte, error) {
	if b == Unlimited {
		return []byte(`"unlimited"`), nil
	}
	return strconv.AppendUint(nil, uint64(b), 10), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (b *Bound) UnmarshalJSON(data []byte) error {
	if string(data) == `"unlimited"` {
		*b = Unlimited
		return nil
	}
	var n uint64
	if err := json.Unmarshal(data, &n); err != nil {
		return fmt.Errorf("resource limit: %w", err)
	}
	*b = Bound(n)
	return nil
}
