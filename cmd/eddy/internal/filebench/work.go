package filebench

// BlockSize is the size of each read and write, in bytes, and their alignment.
const BlockSize = 4096

// The sides that are compared.
const (
	SideEddy = "eddy"
	SideOS   = "os"       // os.File
	SideProc = "os-procs" // os.File with a GOMAXPROCS of its own
	SideFio  = "fio"
)

// Work is one measurement, as the planning process hands it to the one that carries it out.
type Work struct {
	Side       string
	Path       string
	Size       int64 // of the file, in bytes; operations stay below it
	Direct     bool  // O_DIRECT
	Write      bool  // writes instead of reads
	Context    bool  // eddy's side passes a context that can end
	Tagged     bool  // the file's blocks carry their numbers: check them
	Goroutines int
	Batch      int    // blocks per ReadBatch or WriteBatch on eddy's side; 0 is one per call
	Busy       int    // goroutines that compute beside the operations
	Fsync      int    // goroutines that write 1 MiB and fsync beside the operations
	FsyncDir   string // where they do so
	Warmup     float64
	Seconds    float64
	Backend    string
	Submit     string
	Seed       uint64
}

// Sample is what one measurement found.
type Sample struct {
	IOPS    float64 `json:"iops"`
	CPU     float64 `json:"cpu_seconds_per_million"` // user and system, of the whole process
	Threads int     `json:"threads"`                 // the most seen at a time
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	Worst   float64 `json:"worst_us"`
	Bursts  float64 `json:"bursts_per_second"` // by the computing goroutines
	Fsyncs  float64 `json:"fsyncs_per_second"` // by the fsyncing goroutines

	Backend string `json:"backend,omitempty"`
	Submit  string `json:"submit,omitempty"`

	RingShare float64 `json:"ring_share"` // of eddy's operations, between 0 and 1; the others were system calls

	Fallbacks []string `json:"fallbacks,omitempty"` // what eddy could not use, and why
}
