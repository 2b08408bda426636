package filebench

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/eddyio/eddy/cmd/eddy/internal/figure"
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
			cpu, cpuRatio := fmt.Sprintf("%.2f", side.CPU), figure.Times(r.CPU)
			if p.Work.Busy > 0 || side.CPU == 0 {
				cpu, cpuRatio = "-", "" // it would be the computing goroutines'
			}
			fmt.Fprintf(t, "%s\t%s\t%.0f\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", goroutines, sideName(side.Side, p.OSProcs),
				side.IOPS, figure.Times(r.IOPS), cpu, cpuRatio, side.Threads, figure.Latency(side.P50), figure.Latency(side.P99), figure.Times(r.P99),
				figure.Latency(side.Worst), figure.Times(r.Worst), extra(side))
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
