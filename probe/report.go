package probe

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// A Report is what was found out about this process on this machine. It is
// plain data, and can be marshalled to JSON and back.
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
	// Evidence lists what the verdict is based on, one statement per element.
	Evidence []string `json:"evidence"`
	// Ops says for each operation that this package knows whether the kernel has it.
	// Operations have their kernel name in lower case without prefix ("openat",
	// "async_cancel"). Ops is empty if there was no ring to ask.
	Ops map[string]bool `json:"ops"`
	// Features are the IORING_FEAT_ flags that the kernel reports, named in the same
	// way ("ext_arg"). A flag that this package does not know is named after its bit
	// ("bit18").
	Features []string `json:"features"`
	// SetupFlags says for each IORING_SETUP_ flag that this package knows whether the
	// kernel knows it, named in the same way ("defer_taskrun"). Some flags need
	// others or privileges in addition. SetupFlags is empty if there was no ring to
	// ask.
	SetupFlags map[string]bool `json:"setup_flags"`
}

// Epoll says whether epoll(7) can be used.
type Epoll struct {
	State    State    `json:"state"`
	Reason   Reason   `json:"reason"`
	Evidence []string `json:"evidence"`
	// Nanoseconds says whether timeouts are exact: epoll_pwait2(2), Linux 5.11.
	// Otherwise they are rounded up to milliseconds.
	Nanoseconds bool `json:"nanoseconds"`
}

// Limits are what may restrict or forbid what eddy does. On systems other than
// Linux only GOMAXPROCS and CPUs are set.
type Limits struct {
	NoFile     Limit `json:"nofile"`  // RLIMIT_NOFILE, in descriptors
	Memlock    Limit `json:"memlock"` // RLIMIT_MEMLOCK, in bytes
	GOMAXPROCS int   `json:"gomaxprocs"`
	CPUs       int   `json:"cpus"` // those this process may run on
	// URingDisabled is the sysctl kernel.io_uring_disabled (Linux 6.6). 0: everybody
	// may use io_uring; 1: only privileged processes and members of the group below;
	// 2: nobody. Nil if there is no such sysctl.
	URingDisabled *int `json:"io_uring_disabled"`
	// URingGroup is the sysctl kernel.io_uring_group; -1 means no group. Nil if there
	// is no such sysctl.
	URingGroup *int `json:"io_uring_group"`
	// Seccomp is the seccomp(2) mode of the thread that probed: "disabled", "strict",
	// "filter", or "unknown" if /proc does not say.
	Seccomp string `json:"seccomp"`
	// Container is a guess at what kind of container the process runs in: "docker",
	// "podman", "kubernetes", or another name from the environment variable named
	// container. It is "" if nothing hints at a container.
	Container string `json:"container"`
}

// A Limit is a resource limit, see setrlimit(2).
type Limit struct {
	Soft Bound `json:"soft"` // in force
	Hard Bound `json:"hard"` // up to which the process may raise it
}

// A Bound is one value of a Limit. In JSON it is a number or the string
// "unlimited".
type Bound uint64

// Unlimited stands for RLIM_INFINITY.
const Unlimited Bound = math.MaxUint64

// String returns the number in decimal, or "unlimited".
func (b Bound) String() string {
	if b == Unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(uint64(b), 10)
}

// MarshalJSON returns a number, or the string "unlimited".
func (b Bound) MarshalJSON() ([]byte, error) {
	if b == Unlimited {
		return []byte(`"unlimited"`), nil
	}
	return strconv.AppendUint(nil, uint64(b), 10), nil
}

// UnmarshalJSON reads what MarshalJSON returns.
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
