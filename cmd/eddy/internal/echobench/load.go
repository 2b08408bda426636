package echobench

// What the load generator says, a line each, before its loadResult.
const (
	saidIdle  = "idle"  // the silent connections are there
	saidBegin = "begin" // the measured time begins
	saidEnd   = "end"   // and ends
)

// askGo lets the load generator go on after saidIdle.
const askGo = "go"

// loadOrder is what the load generator is to do.
type loadOrder struct {
	Work    Work
	Address string
}

// loadResult is what it found.
type loadResult struct {
	Requests int64
	Seconds  float64
	CPU      float64 // seconds
	P50      float64 // microseconds
	P99      float64
	Worst    float64
	Late     int64
}
