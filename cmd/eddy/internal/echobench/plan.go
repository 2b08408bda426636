package echobench

import (
	"context"
	"fmt"

	"github.com/eddyio/eddy/cmd/eddy/internal/figure"
)

// Plan is a whole comparison: both sides at each load, in each round.
type Plan struct {
	Work   Work   // what is common to all measurements
	Loads  []Load // what is not; a row each
	Rounds int

	// Run carries out one measurement.
	Run func(ctx context.Context, work Work) (s Sample, backend string, err error)

	// Step is called before each measurement: number done of total is about to start.
	Step func(done, total int, what string)

	Backend string // what eddy's side ran on, after Execute
}

// Load is what differs between rows.
type Load struct {
	Conns int `json:"connections"`
	Idle  int `json:"idle_connections"`
	Busy  int `json:"computing_goroutines"`
	Rate  int `json:"rate"` // 0 is a closed loop
}

func (l Load) String() string {
	text := fmt.Sprintf("connections: %d", l.Conns)
	for _, more := range []struct {
		name  string
		value int
	}{{"idle", l.Idle}, {"busy", l.Busy}, {"rate", l.Rate}} {
		if more.value > 0 {
			text += fmt.Sprintf(", %s: %d", more.name, more.value)
		}
	}
	return text
}

// Loads is every combination, the connections changing fastest.
func Loads(conns, idle, busy, rate []int) (all []Load) {
	for _, r := range rate {
		for _, b := range busy {
			for _, i := range idle {
				for _, c := range conns {
					all = append(all, Load{c, i, b, r})
				}
			}
		}
	}
	return all
}

// Result is what one side reached under one load: medians over the rounds.
type Result struct {
	Side string `json:"side"`
	Sample
	LowestRequests  float64  `json:"lowest_requests_per_second"`
	HighestRequests float64  `json:"highest_requests_per_second"`
	Rounds          []Sample `json:"rounds"`
}

// Ratio is eddy divided by std in the same round, the median over the rounds. Zero means that it is not known.
type Ratio struct {
	Requests  float64 `json:"requests"`
	CPU       float64 `json:"cpu"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
	Worst     float64 `json:"worst"`
	BusyCPUs  float64 `json:"busy_cpus"`
	BusySpins float64 `json:"busy_spins"`
	Fsyncs    float64 `json:"fsyncs"`
	IdleBytes float64 `json:"bytes_per_idle_connection"`
}

// Row is all that was measured under one load.
type Row struct {
	Load
	Sides []Result `json:"sides"` // eddy first, std second
	Ratio Ratio    `json:"ratio"`
}

var sides = []string{SideEddy, SideStd}

// Execute carries out the plan.
func (p *Plan) Execute(ctx context.Context) ([]Row, error) {
	type key struct {
		load int
		side string
	}
	samples := make(map[key][]Sample)
	total, done := p.Rounds*len(p.Loads)*len(sides), 0
	for round := range p.Rounds {
		for i, load := range p.Loads {
			for _, side := range figure.InTurn(sides, round) {
				p.Step(done, total, fmt.Sprintf("%s, %v, round %d of %d", side, load, round+1, p.Rounds))
				s, err := p.measure(ctx, side, load)
				if err != nil {
					return nil, fmt.Errorf("%s, %v: %w", side, load, err)
				}
				samples[key{i, side}] = append(samples[key{i, side}], s)
				done++
			}
		}
	}
	rows := make([]Row, 0, len(p.Loads))
	for i, load := range p.Loads {
		row := Row{Load: load}
		for _, side := range sides {
			row.Sides = append(row.Sides, combine(side, samples[key{i, side}]))
		}
		row.Ratio = ratio(row.Sides[0].Rounds, row.Sides[1].Rounds)
		rows = append(rows, row)
	}
	return rows, nil
}

func (p *Plan) measure(ctx context.Context, side string, load Load) (Sample, error) {
	work := p.Work
	work.Side, work.Conns, work.Idle, work.Busy, work.Rate = side, load.Conns, load.Idle, load.Busy, load.Rate
	s, backend, err := p.Run(ctx, work)
	if side == SideEddy {
		p.Backend = backend
	}
	return s, err
}

// combine takes the median of each figure by itself.
func combine(side string, rounds []Sample) Result {
	of := func(f func(Sample) float64) float64 { return figure.MedianOf(rounds, f) }
	r := Result{Side: side, Rounds: rounds}
	r.Requests = of(func(s Sample) float64 { return s.Requests })
	r.CPU = of(func(s Sample) float64 { return s.CPU })
	r.User = of(func(s Sample) float64 { return s.User })
	r.LoadCPU = of(func(s Sample) float64 { return s.LoadCPU })
	r.P50 = of(func(s Sample) float64 { return s.P50 })
	r.P99 = of(func(s Sample) float64 { return s.P99 })
	r.Worst = of(func(s Sample) float64 { return s.Worst })
	r.BusyCPUs = of(func(s Sample) float64 { return s.BusyCPUs })
	r.BusySpins = of(func(s Sample) float64 { return s.BusySpins })
	r.Fsyncs = of(func(s Sample) float64 { return s.Fsyncs })
	r.IdleBytes = of(func(s Sample) float64 { return s.IdleBytes })
	r.Threads = int(of(func(s Sample) float64 { return float64(s.Threads) }))
	r.LowestRequests, r.HighestRequests = rounds[0].Requests, rounds[0].Requests
	for _, s := range rounds {
		r.LowestRequests, r.HighestRequests = min(r.LowestRequests, s.Requests), max(r.HighestRequests, s.Requests)
		r.Late = max(r.Late, s.Late)
	}
	return r
}

// ratio divides round by round.
func ratio(eddy, std []Sample) Ratio {
	of := func(f func(Sample) float64) float64 { return figure.MedianRatio(eddy, std, f) }
	return Ratio{
		Requests:  of(func(s Sample) float64 { return s.Requests }),
		CPU:       of(func(s Sample) float64 { return s.CPU }),
		P50:       of(func(s Sample) float64 { return s.P50 }),
		P99:       of(func(s Sample) float64 { return s.P99 }),
		Worst:     of(func(s Sample) float64 { return s.Worst }),
		BusyCPUs:  of(func(s Sample) float64 { return s.BusyCPUs }),
		BusySpins: of(func(s Sample) float64 { return s.BusySpins }),
		Fsyncs:    of(func(s Sample) float64 { return s.Fsyncs }),
		IdleBytes: of(func(s Sample) float64 { return s.IdleBytes }),
	}
}
