package echobench

import "time"

// The sides that are compared.
const (
	SideEddy = "eddy"
	SideStd  = "std" // package net
)

// Work is one measurement.
type Work struct {
	Side    string
	Network string // tcp, unix or udp
	HTTP    bool   // net/http instead of an echo
	Conns   int    // connections that send
	Idle    int    // connections that sent once and stay silent
	Size    int    // of a request, in bytes
	Depth   int    // requests that are sent together
	Rate    int    // requests per second over all connections; 0 is as many as the server answers
	Warmup  time.Duration
	Length  time.Duration

	Busy     int           // goroutines that compute in the server
	Burst    time.Duration // for how long at a time
	Fsync    int           // goroutines that write and fsync in the server
	FsyncDir string
	Garbage  bool // GOGC=20 and 200 MB of live heap in the server

	SocketDir string // of a unix socket; made and removed by Commands.Run

	Procs int  // GOMAXPROCS of the server; 0 leaves it to the runtime
	Pin   bool // the server on one processor, the load generator on the others

	Backend    string // of eddy's driver
	Loops      int    // eddy.Config.Loops
	ParkAtOnce bool   // eddy.Config.ParkAtOnce
}

// Sample is what one measurement found. What is counted is counted in the measured time only.
type Sample struct {
	Requests float64 `json:"requests_per_second"`
	CPU      float64 `json:"cpu_seconds_per_million"`      // user and system time of the server, per million requests
	User     float64 `json:"user_cpu_seconds_per_million"` // the user part of it
	LoadCPU  float64 `json:"load_cpu_seconds_per_million"` // user and system time of the load generator
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	Worst    float64 `json:"worst_us"`

	BusyCPUs  float64 `json:"busy_cpus"`             // processors' worth of bursts the computing goroutines got
	BusySpins float64 `json:"busy_spins_per_second"` // what they got done
	Fsyncs    float64 `json:"fsyncs_per_second"`
	IdleBytes float64 `json:"bytes_per_idle_connection"` // resident memory of the server
	Threads   int     `json:"threads"`                   // of the server, at the end
	Late      int64   `json:"late_requests"`             // with a rate: not answered within a second of the end
}

// lateLimit is how long after the measured time a reply of an open loop is waited for.
const lateLimit = time.Second

// batch is how many bytes a connection sends before it waits for the reply.
func (w *Work) batch() int { return w.Size * w.Depth }
