package filebench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// sideName is how a side is called in tables.
func sideName(side string, osProcs int) string {
	switch side {
	case SideOS:
		return "os.File"
	case SideProc:
		return fmt.Sprintf("os.File, GOMAXPROCS=%d", osProcs)
	case SideFio:
		return "fio io_uring"
	}
	return side
}

// WriteTable writes rows as a table, with eddy's ratios to os.File beside eddy's figures.
func (p *Plan) WriteTable(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	extra, extraNames := p.extraColumns()
	fmt.Fprintf(t, "goroutines\t\tIOPS\tof os\tCPU s/M\tof os\tthreads\tp50\tp99\tof os\tworst\tof os\t%s\n", extraNames)
	for _, row := range rows {
		for i, side := range row.Sides {
			var r Ratio
			goroutines := ""
			if i == 0 {
				goroutines = fmt.Sprint(row.Goroutines)
			}
			if side.Side == SideEddy {
				r = row.Ratio
			}
			cpu, cpuRatio := fmt.Sprintf("%.2f", side.CPU), times(r.CPU)
			if p.Work.Busy > 0 || side.CPU == 0 {
				cpu, cpuRatio = "-", "" // it would be the computing goroutines'
			}
			fmt.Fprintf(t, "%s\t%s\t%.0f\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", goroutines, sideName(side.Side, p.OSProcs),
				side.IOPS, times(r.IOPS), cpu, cpuRatio, side.Threads, latency(side.P50), latency(side.P99), times(r.P99),
				latency(side.Worst), times(r.Worst), extra(side))
		}
	}
	return t.Flush()
}

// extraColumns are what the goroutines beside the operations reached, if there are any.
func (p *Plan) extraColumns() (column func(Result) string, names string) {
	if p.Work.Busy > 0 {
		names += "bursts/s\t"
	}
	if p.Work.Fsync > 0 {
		names += "fsyncs/s\t"
	}
	return func(r Result) string {
		text := ""
		if p.Work.Busy > 0 {
			text += fmt.Sprintf("%.0f\t", r.Bursts)
		}
		if p.Work.Fsync > 0 {
			text += fmt.Sprintf("%.0f\t", r.Fsyncs)
		}
		return text
	}, names
}

func times(ratio float64) string {
	switch {
	case ratio == 0:
		return ""
	case ratio < 0.1:
		return fmt.Sprintf("%.3fx", ratio)
	default:
		return fmt.Sprintf("%.2fx", ratio)
	}
}

// latency writes microseconds with a unit that suits them.
func latency(us float64) string {
	switch {
	case us == 0:
		return "-"
	case us < 10:
		return fmt.Sprintf("%.1f us", us)
	case us < 1000:
		return fmt.Sprintf("%.0f us", us)
	case us < 100e3:
		return fmt.Sprintf("%.1f ms", us/1e3)
	default:
		return fmt.Sprintf("%.0f ms", us/1e3)
	}
}
