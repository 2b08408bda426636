package filebench

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/eddyio/eddy/cmd/eddy/internal/figure"
)

// Plan is a whole comparison: each side at each number of goroutines, in each round.
type Plan struct {
	File       *TestFile
	Work       Work // what is common to all measurements
	Goroutines []int
	Rounds     int
	Procs      int  // GOMAXPROCS of eddy's and os.File's processes; 0 leaves it to the runtime
	OSProcs    int  // adds a side: os.File under this GOMAXPROCS; 0 is none
	Fio        bool // adds fio, if it is installed
	Cold       bool // the file is taken out of the page cache before each measurement

	// Run carries out one measurement in a process of its own, with GOMAXPROCS=procs if that is not 0.
	Run func(ctx context.Context, work Work, procs int) (Sample, error)

	// Step is called before each measurement: number done of total is about to start.
	Step func(done, total int, what string)
}

// Result is what one side reached at one number of goroutines: medians over the rounds.
type Result struct {
	Side string `json:"side"`
	Sample
	LowestIOPS  float64  `json:"lowest_iops"`
	HighestIOPS float64  `json:"highest_iops"`
	Rounds      []Sample `json:"rounds"`
}

// Ratio is eddy divided by os.File in the same round, the median over the rounds. Zero means that it is not known.
type Ratio struct {
	IOPS  float64 `json:"iops"`
	CPU   float64 `json:"cpu"`
	P99   float64 `json:"p99"`
	Worst float64 `json:"worst"`
}

// Row is all that was measured at one number of goroutines.
type Row struct {
	Goroutines int      `json:"goroutines"`
	Sides      []Result `json:"sides"` // eddy first, os.File second
	Ratio      Ratio    `json:"ratio"` // of these two
}

// Sides lists what the plan compares, in the order of the table.
func (p *Plan) Sides() []string {
	sides := []string{SideEddy, SideOS}
	if p.OSProcs > 0 {
		sides = append(sides, SideProc)
	}
	if p.Fio {
		sides = append(sides, SideFio)
	}
	return sides
}

// Execute carries out the plan.
func (p *Plan) Execute(ctx context.Context) ([]Row, error) {
	sides := p.Sides()
	samples := make(map[string][]Sample)
	key := func(side string, goroutines int) string { return side + " " + strconv.Itoa(goroutines) }
	total, done := p.Rounds*len(p.Goroutines)*len(sides), 0
	for round := range p.Rounds {
		for _, goroutines := range p.Goroutines {
			for _, side := range figure.InTurn(sides, round) {
				p.Step(done, total, fmt.Sprintf("%s, goroutines: %d, round %d of %d", sideName(side, p.OSProcs), goroutines, round+1, p.Rounds))
				s, err := p.measure(ctx, side, goroutines, round)
				if err != nil {
					return nil, fmt.Errorf("%s, goroutines: %d: %w", sideName(side, p.OSProcs), goroutines, err)
				}
				k := key(side, goroutines)
				samples[k] = append(samples[k], s)
				done++
			}
		}
	}
	rows := make([]Row, 0, len(p.Goroutines))
	for _, goroutines := range p.Goroutines {
		row := Row{Goroutines: goroutines}
		for _, side := range sides {
			row.Sides = append(row.Sides, combine(side, samples[key(side, goroutines)]))
		}
		row.Ratio = ratio(row.Sides[0].Rounds, row.Sides[1].Rounds)
		rows = append(rows, row)
	}
	return rows, nil
}

func (p *Plan) measure(ctx context.Context, side string, goroutines, round int) (Sample, error) {
	work := p.Work
	work.Side, work.Goroutines, work.Seed = side, goroutines, p.seed(side, goroutines, round)
	if p.Cold {
		if err := p.File.Cool(p.Work.Write); err != nil {
			return Sample{}, err
		}
	}
	switch side {
	case SideFio:
		return runFio(ctx, work)
	case SideProc:
		return p.Run(ctx, work, p.OSProcs)
	}
	return p.Run(ctx, work, p.Procs)
}

// seed is another one for each measurement: the blocks that one side has read are in some cache, of the system or of the
// disk, for a side that asks for the same ones in the same order.
func (p *Plan) seed(side string, goroutines, round int) uint64 {
	number := uint64(slices.Index(p.Sides(), side))
	return uint64(round)<<40 | uint64(goroutines)<<8 | number
}

// combine takes the median of each figure by itself.
func combine(side string, rounds []Sample) Result {
	of := func(f func(Sample) float64) float64 { return figure.MedianOf(rounds, f) }
	r := Result{Side: side, Rounds: rounds, Sample: rounds[len(rounds)-1]}
	r.IOPS = of(func(s Sample) float64 { return s.IOPS })
	r.CPU = of(func(s Sample) float64 { return s.CPU })
	r.Threads = int(of(func(s Sample) float64 { return float64(s.Threads) }))
	r.P50 = of(func(s Sample) float64 { return s.P50 })
	r.P99 = of(func(s Sample) float64 { return s.P99 })
	r.Worst = of(func(s Sample) float64 { return s.Worst })
	r.Bursts = of(func(s Sample) float64 { return s.Bursts })
	r.RingShare = of(func(s Sample) float64 { return s.RingShare })
	r.Fsyncs = of(func(s Sample) float64 { return s.Fsyncs })
	r.LowestIOPS, r.HighestIOPS = rounds[0].IOPS, rounds[0].IOPS
	for _, s := range rounds {
		r.LowestIOPS, r.HighestIOPS = min(r.LowestIOPS, s.IOPS), max(r.HighestIOPS, s.IOPS)
	}
	return r
}

// ratio divides round by round.
func ratio(eddy, std []Sample) Ratio {
	of := func(f func(Sample) float64) float64 { return figure.MedianRatio(eddy, std, f) }
	return Ratio{
		IOPS:  of(func(s Sample) float64 { return s.IOPS }),
		CPU:   of(func(s Sample) float64 { return s.CPU }),
		P99:   of(func(s Sample) float64 { return s.P99 }),
		Worst: of(func(s Sample) float64 { return s.Worst }),
	}
}
