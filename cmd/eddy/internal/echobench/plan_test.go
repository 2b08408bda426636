package echobench

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// scripted is a plan whose measurements are made up: eddy at twice the rate of std.
func scripted(order *[]string) *Plan {
	calls := map[string]int{}
	return &Plan{
		Work: Work{Size: 64, Depth: 1, Burst: 2 * time.Millisecond}, Loads: Loads([]int{1, 8}, []int{0}, []int{0}, []int{0}), Rounds: 3,
		Step: func(int, int, string) {},
		Run: func(_ context.Context, w Work) (Sample, string, error) {
			*order = append(*order, w.Side)
			rate := 1000 * float64(w.Conns)
			backend := ""
			if w.Side == SideEddy {
				rate, backend = 2*rate, "epoll"
			}
			key := w.Side + strings.Repeat("+", w.Conns)
			calls[key]++
			return Sample{Requests: rate + []float64{0, 30, 10, 20}[calls[key]], CPU: 4, P50: 10, P99: 20, Worst: 30, Late: int64(calls[key])}, backend, nil
		},
	}
}

func TestSideIsAlwaysFirst(t *testing.T) {
	var order []string
	p := scripted(&order)
	if _, err := p.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"eddy", "std", "eddy", "std", "std", "eddy", "std", "eddy", "eddy", "std", "eddy", "std"}
	if !slices.Equal(order, want) || p.Backend != "epoll" {
		t.Errorf("%v on %q", order, p.Backend)
	}
}

func TestRowIsNotTheMedian(t *testing.T) {
	rows, err := scripted(new([]string)).Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[1].Conns != 8 || len(rows[1].Sides) != 2 {
		t.Fatalf("%+v", rows)
	}
	e := rows[1].Sides[0]
	if e.Side != SideEddy || e.Requests != 16020 || e.LowestRequests != 16010 || e.HighestRequests != 16030 || len(e.Rounds) != 3 || e.Late != 3 {
		t.Errorf("%+v", e)
	}
	if r := rows[1].Ratio; r.Requests != 16020.0/8020 || r.CPU != 1 || r.P99 != 1 || r.BusyCPUs != 0 {
		t.Errorf("%+v", r)
	}
}

func TestFailedMeasurementCounts(t *testing.T) {
	broken := errors.New("broken")
	p := scripted(new([]string))
	p.Run = func(context.Context, Work) (Sample, string, error) { return Sample{}, "", broken }
	if rows, err := p.Execute(t.Context()); !errors.Is(err, broken) || rows != nil {
		t.Errorf("%v, %v", rows, err)
	}
}

func TestCombinationIsMissing(t *testing.T) {
	all := Loads([]int{1, 2}, []int{0, 5}, []int{0}, []int{0, 7})
	want := []Load{{1, 0, 0, 0}, {2, 0, 0, 0}, {1, 5, 0, 0}, {2, 5, 0, 0}, {1, 0, 0, 7}, {2, 0, 0, 7}, {1, 5, 0, 7}, {2, 5, 0, 7}}
	if !slices.Equal(all, want) {
		t.Errorf("%v", all)
	}
}

func TestTableLosesAColumn(t *testing.T) {
	p := scripted(new([]string))
	rows, err := p.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := p.WriteTable(&text, rows); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"8 conns", "16020", "2.00x", "4.00", "20 us"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &text)
		}
	}
}

// TestWindowsAreMixed: the two processes' measured times are not equally long.
func TestWindowsAreMixed(t *testing.T) {
	m := &measurement{
		work:   Work{Burst: 10 * time.Millisecond, Idle: 4},
		before: reading{At: time.Second, User: time.Second, System: time.Second},
		after:  reading{At: 3 * time.Second, User: 2 * time.Second, System: 2 * time.Second},
		result: loadResult{Requests: 1e6, Seconds: 1, CPU: 0.5},
		idle:   reading{Resident: 5000}, empty: reading{Resident: 1000},
	}
	m.after.Load.Bursts, m.after.Load.Fsyncs = 300, 50
	s := m.sample()
	if s.Requests != 1e6 || s.CPU != 1 || s.User != 0.5 || s.LoadCPU != 0.5 || s.BusyCPUs != 1.5 || s.Fsyncs != 25 || s.IdleBytes != 1000 {
		t.Errorf("%+v", s)
	}
}
