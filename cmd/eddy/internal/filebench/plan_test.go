package filebench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// scripted is a plan whose measurements are made up: eddy at twice the rate of os.File, with the median in the last
// round.
func scripted(t *testing.T, order *[]string) *Plan {
	t.Helper()
	round := map[string]int{}
	return &Plan{
		Goroutines: []int{1, 8}, Rounds: 3, Procs: 2, OSProcs: 32,
		Work: Work{Path: "x"},
		Step: func(int, int, string) {},
		Run: func(_ context.Context, w Work, procs int) (Sample, error) {
			*order = append(*order, w.Side)
			if want := map[string]int{SideEddy: 2, SideOS: 2, SideProc: 32}[w.Side]; procs != want {
				t.Errorf("%s under GOMAXPROCS=%d, want %d", w.Side, procs, want)
			}
			rate := 1000 * float64(w.Goroutines)
			if w.Side == SideEddy {
				rate *= 2
			}
			key := w.Side + strings.Repeat("+", w.Goroutines)
			round[key]++
			offset := []float64{0, 30, 10, 20}[round[key]]
			return Sample{IOPS: rate + offset, CPU: 4, Threads: w.Goroutines, P50: 10, P99: 20, Worst: 30, Backend: "uring", Submit: "thread"}, nil
		},
	}
}

func TestSideIsAlwaysFirst(t *testing.T) {
	var order []string
	if _, err := scripted(t, &order).Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(order) != 3*2*3 {
		t.Fatalf("measured: %v", order)
	}
	for round, want := range []string{SideEddy, SideOS, SideProc} {
		if first := order[round*6]; first != want {
			t.Errorf("round %d began with %s, want %s", round, first, want)
		}
	}
}

func TestRowIsNotTheMedian(t *testing.T) {
	var order []string
	rows, err := scripted(t, &order).Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || len(rows[1].Sides) != 3 {
		t.Fatalf("%+v", rows)
	}
	e := rows[1].Sides[0]
	if e.Side != SideEddy || e.IOPS != 16020 || e.LowestIOPS != 16010 || e.HighestIOPS != 16030 || len(e.Rounds) != 3 {
		t.Errorf("%+v", e)
	}
	if r := rows[1].Ratio; r.IOPS != 16020.0/8020 || r.CPU != 1 || r.Worst != 1 {
		t.Errorf("%+v", r)
	}
}

// TestMeasurementRepeatsBlocksOfAnother: whoever comes second would find in a cache what the other has read. The streams of
// random numbers are told apart by the seed and the number of the goroutine.
func TestMeasurementRepeatsBlocksOfAnother(t *testing.T) {
	p := scripted(t, new([]string))
	seen := map[uint64]string{}
	run := p.Run
	p.Run = func(ctx context.Context, w Work, procs int) (Sample, error) {
		what := fmt.Sprint(w.Side, " with ", w.Goroutines)
		if before, taken := seen[w.Seed]; taken {
			t.Errorf("%s has the seed %d of %s", what, w.Seed, before)
		}
		seen[w.Seed] = what
		return run(ctx, w, procs)
	}
	if _, err := p.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 3*2*3 {
		t.Errorf("%d seeds", len(seen))
	}
}

func TestFailedMeasurementCounts(t *testing.T) {
	broken := errors.New("broken")
	p := scripted(t, new([]string))
	p.Run = func(context.Context, Work, int) (Sample, error) { return Sample{}, broken }
	if rows, err := p.Execute(t.Context()); !errors.Is(err, broken) || rows != nil {
		t.Errorf("%v, %v", rows, err)
	}
}

func TestFindingFlatters(t *testing.T) {
	row := func(goroutines int, ratio float64) Row {
		return Row{Goroutines: goroutines, Ratio: Ratio{IOPS: ratio, CPU: 0.25}, Sides: []Result{
			{Sample: Sample{IOPS: 1000 * ratio, Threads: 6, Backend: "uring", Submit: "thread"}},
			{Sample: Sample{IOPS: 1000, Threads: 140}},
		}}
	}
	p := &Plan{}
	text := p.Finding([]Row{row(1, 0.8), row(8, 1.0), row(32, 2.5)})
	for _, want := range []string{"uring backend", "submitting: thread", "2.5 times the reads", "0.25 of the CPU", "6 OS threads against 140",
		"Faster than os.File with 32 (2.50 times)", "within the noise, with 8.", "Slower with 1 (0.80 times)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %q", want, text)
		}
	}
	if text := p.Finding([]Row{row(1, 0.8)}); !strings.Contains(text, "nowhere faster") {
		t.Errorf("%q", text)
	}
}

func TestTableShowsCPUOfOthers(t *testing.T) {
	var order []string
	p := scripted(t, &order)
	rows, err := p.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var quiet, busy bytes.Buffer
	if err := p.WriteTable(&quiet, rows); err != nil {
		t.Fatal(err)
	}
	p.Work.Busy = 2
	if err := p.WriteTable(&busy, rows); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(quiet.String(), " 4.00 ") || strings.Contains(busy.String(), " 4.00 ") {
		t.Errorf("%s%s", quiet.String(), busy.String())
	}
	if !strings.Contains(busy.String(), "bursts/s") || strings.Contains(quiet.String(), "bursts/s") {
		t.Errorf("%s%s", quiet.String(), busy.String())
	}
}
