package main

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/driver"
)

// setting is a way to make a driver, with what was done by that way.
type setting struct {
	name string
	cfg  eddy.Config

	// d is the driver that lives as long as the soak.
	d    *eddy.Driver
	base eddy.Metrics // of it when it was new

	files, sockets, datagrams, drivers atomic.Uint64 // operations
}

func allSettings() []*setting {
	return []*setting{
		{name: "auto"},
		{name: "uring-thread", cfg: eddy.Config{Backend: eddy.BackendURing, Submit: driver.SubmitThread}},
		{name: "uring-shared", cfg: eddy.Config{Backend: eddy.BackendURing, Submit: driver.SubmitShared}},
		{name: "epoll", cfg: eddy.Config{Backend: eddy.BackendEpoll}},
		{name: "portable", cfg: eddy.Config{Backend: eddy.BackendPortable}},
	}
}

// usableSettings makes a driver for each setting that this machine has, and says
// which it has not, and why.
func (s *soak) usableSettings() error {
	for _, set := range allSettings() {
		d, err := eddy.New(set.cfg)
		if errors.Is(err, driver.ErrNoRing) {
			fmt.Fprintf(s.out, "SKIPPED: %s: %v\n", set.name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", set.name, err)
		}
		set.d = d
		status := d.Status()
		set.base = d.Metrics()
		fmt.Fprintf(s.out, "%-12s %v\n", set.name, status)
		s.settings = append(s.settings, set)
	}
	return nil
}

// gauge is a number that has to be zero when all is done.
type gauge struct {
	name  string
	value int64
}

// gauges of a driver that nobody uses any more. Before its shutdown it has some
// registrations of its own, which base knows.
func gauges(m, base eddy.Metrics) []gauge {
	return []gauge{
		{"InFlight", m.Driver.InFlight},
		{"Leases", m.Leases},
		{"Strays", m.Driver.Strays},
		{"Quarantined", m.Driver.Quarantined},
		{"Registrations", m.Driver.Registrations - base.Driver.Registrations},
		{"Sockets", m.Sockets},
		{"Solos", m.Solos},
		{"Apart", m.Apart},
		{"Files", m.Files},
		{"Lost", int64(m.Driver.Lost)},
	}
}

// remaining names the gauges that are not zero, "" if all are.
func remaining(all []gauge) string {
	text := ""
	for _, g := range all {
		if g.value != 0 {
			text += fmt.Sprintf(" %s %d", g.name, g.value)
		}
	}
	return text
}
