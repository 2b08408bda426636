package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/driver"
)

// driverFlags are the flags of every command that opens a driver.
type driverFlags struct{ backend, submit string }

var (
	backends    = []eddy.Backend{eddy.BackendAuto, eddy.BackendURing, eddy.BackendEpoll, eddy.BackendPortable}
	submitModes = []driver.SubmitMode{driver.SubmitAuto, driver.SubmitShared, driver.SubmitThread}
)

func (f *driverFlags) register(flags *pflag.FlagSet) {
	registerBackend(flags, &f.backend)
	flags.StringVar(&f.submit, "submit", "auto", "how requests get to the ring, a `way`: "+names(submitModes))
}

// registerBackend is for commands on whose driver nothing is submitted.
func registerBackend(flags *pflag.FlagSet, backend *string) {
	flags.StringVar(backend, "backend", "auto", "the driver's `backend`: "+names(backends))
}

// parseBackend reads the flag of registerBackend.
func parseBackend(name string) (eddy.Backend, error) {
	b, err := eddy.ParseBackend(name)
	if err != nil {
		return b, &usageError{err}
	}
	return b, nil
}

// config returns the driver configuration that the flags ask for.
func (f *driverFlags) config() (eddy.Config, error) {
	cfg, err := driverConfig(f.backend, f.submit)
	if err != nil {
		return cfg, &usageError{err}
	}
	return cfg, nil
}

func driverConfig(backend, submit string) (cfg eddy.Config, err error) {
	if cfg.Backend, err = eddy.ParseBackend(backend); err != nil {
		return cfg, err
	}
	for _, mode := range submitModes {
		if mode.String() == submit {
			cfg.Submit = mode
			return cfg, nil
		}
	}
	return cfg, fmt.Errorf("there is no way to submit called %q; there are %s", submit, names(submitModes))
}

// names lists values by their names.
func names[T fmt.Stringer](values []T) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.String()
	}
	return strings.Join(all, ", ")
}
