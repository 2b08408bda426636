package echobench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/eddyio/eddy/cmd/eddy/internal/figure"
)

// column is one of the table. ratio is nil where there is none.
type column struct {
	name  string
	value func(Row, Result) string
	ratio func(Ratio) float64
}

// columns are those that say something under the plan's loads.
func (p *Plan) columns() []column {
	busy, idle := false, false
	for _, l := range p.Loads {
		busy, idle = busy || l.Busy > 0, idle || l.Idle > 0
	}
	columns := []column{
		{"requests/s", func(_ Row, s Result) string { return fmt.Sprintf("%.0f", s.Requests) }, func(r Ratio) float64 { return r.Requests }},
	}
	if !busy { // it would be the computing goroutines'
		columns = append(columns, column{"CPU s/M", func(_ Row, s Result) string { return fmt.Sprintf("%.2f", s.CPU) }, func(r Ratio) float64 { return r.CPU }})
	}
	columns = append(columns,
		column{"p50", func(_ Row, s Result) string { return figure.Latency(s.P50) }, func(r Ratio) float64 { return r.P50 }},
		column{"p99", func(_ Row, s Result) string { return figure.Latency(s.P99) }, func(r Ratio) float64 { return r.P99 }},
		column{"worst", func(_ Row, s Result) string { return figure.Latency(s.Worst) }, nil})
	if busy {
		columns = append(columns,
			column{"computing", func(_ Row, s Result) string { return fmt.Sprintf("%.2f CPUs", s.BusyCPUs) }, func(r Ratio) float64 { return r.BusyCPUs }},
			column{"its work", func(_ Row, s Result) string { return fmt.Sprintf("%.1f M/s", s.BusySpins/1e6) }, func(r Ratio) float64 { return r.BusySpins }})
	}
	if p.Work.Fsync > 0 {
		columns = append(columns, column{"fsyncs/s", func(_ Row, s Result) string { return fmt.Sprintf("%.0f", s.Fsyncs) }, func(r Ratio) float64 { return r.Fsyncs }})
	}
	if idle {
		columns = append(columns, column{"B/idle conn", func(r Row, s Result) string {
			if r.Idle == 0 {
				return "-"
			}
			return fmt.Sprintf("%.0f", s.IdleBytes)
		}, func(r Ratio) float64 { return r.IdleBytes }})
	}
	return columns
}

// WriteTable writes rows as a table, with eddy's ratios to std beside eddy's figures.
func (p *Plan) WriteTable(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := p.columns()
	names := []string{"load", ""}
	for _, c := range columns {
		names = append(names, c.name)
		if c.ratio != nil {
			names = append(names, "of std")
		}
	}
	fmt.Fprintln(t, strings.Join(names, "\t")+"\t")
	for _, row := range rows {
		for i, side := range row.Sides {
			cells := []string{"", side.Side}
			if i == 0 {
				cells[0] = row.title()
			}
			for _, c := range columns {
				cells = append(cells, c.value(row, side))
				switch {
				case c.ratio == nil:
				case side.Side == SideEddy:
					cells = append(cells, figure.Times(c.ratio(row.Ratio)))
				default:
					cells = append(cells, "")
				}
			}
			fmt.Fprintln(t, strings.Join(cells, "\t")+"\t")
		}
	}
	return t.Flush()
}

// title is the load in few letters.
func (l Load) title() string {
	text := fmt.Sprintf("%d conns", l.Conns)
	if l.Idle > 0 {
		text += fmt.Sprintf(" +%d idle", l.Idle)
	}
	if l.Rate > 0 {
		text += fmt.Sprintf(" %d/s", l.Rate)
	}
	if l.Busy > 0 {
		text += fmt.Sprintf(" K=%d", l.Busy)
	}
	return text
}
