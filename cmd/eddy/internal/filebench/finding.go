package filebench

import (
	"fmt"
	"strings"
)

// Within these ratios of IOPS two sides count as equally fast: runs of a second differ by as much.
const (
	slowerBelow = 0.95
	fasterAbove = 1.10
)

// Finding says in plain words what rows show.
func (p *Plan) Finding(rows []Row) string {
	var faster, equal, slower []string
	var best Row
	for _, row := range rows {
		text := fmt.Sprintf("%d (%.2f times)", row.Goroutines, row.Ratio.IOPS)
		switch {
		case row.Ratio.IOPS > fasterAbove:
			faster = append(faster, text)
		case row.Ratio.IOPS < slowerBelow:
			slower = append(slower, text)
		default:
			equal = append(equal, fmt.Sprint(row.Goroutines))
		}
		if row.Ratio.IOPS > best.Ratio.IOPS {
			best = row
		}
	}
	var s strings.Builder
	s.WriteString(p.backendFinding(rows))
	if best.Ratio.IOPS > fasterAbove {
		s.WriteString(bestFinding(best, p.Work.Write, p.Work.Busy > 0))
	}
	if len(faster) > 0 {
		fmt.Fprintf(&s, " Faster than os.File with %s goroutines.", strings.Join(faster, ", "))
	} else {
		s.WriteString(" It is nowhere faster than os.File.")
	}
	if len(equal) > 0 {
		fmt.Fprintf(&s, " As fast, within the noise, with %s.", strings.Join(equal, ", "))
	}
	if len(slower) > 0 {
		fmt.Fprintf(&s, " Slower with %s.", strings.Join(slower, ", "))
	}
	return s.String()
}

func (p *Plan) backendFinding(rows []Row) string {
	if len(rows) == 0 {
		return ""
	}
	e := rows[0].Sides[0]
	text := fmt.Sprintf("eddy ran on its %s backend", e.Backend)
	if e.Backend == "uring" && e.Submit != "" {
		text += fmt.Sprintf(" (submitting: %s)", e.Submit)
	}
	if len(e.Fallbacks) > 0 {
		text += ", without " + strings.Join(e.Fallbacks, " and ")
	}
	return text + "."
}

func bestFinding(row Row, write, busy bool) string {
	e, o := row.Sides[0], row.Sides[1]
	what := "reads"
	if write {
		what = "writes"
	}
	text := fmt.Sprintf(" With %d goroutines it does %.1f times the %s of os.File (%.0f/s against %.0f/s)",
		row.Goroutines, row.Ratio.IOPS, what, e.IOPS, o.IOPS)
	if !busy && row.Ratio.CPU > 0 {
		text += fmt.Sprintf(" for %.2f of the CPU time each", row.Ratio.CPU)
	}
	text += fmt.Sprintf(", on %d OS threads against %d", e.Threads, o.Threads)
	if e.RingShare > 0 {
		text += fmt.Sprintf("; %.0f %% of them went to the ring", e.RingShare*100)
	}
	return text + "."
}
