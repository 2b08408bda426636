package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// options are the command line.
type options struct {
	time     time.Duration
	files    int // goroutines
	sockets  int // clients
	drivers  int // goroutines that make and shut down drivers
	report   time.Duration
	dir      string
	seed     uint64
	mistake  string
	pressure bool
}

func main() {
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(5)
	}
	good, err := soakFor(o)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	case !good:
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	set := flag.NewFlagSet("soak", flag.ContinueOnError)
	set.DurationVar(&o.time, "time", 10*time.Minute, "how `long`, 2s at least")
	set.IntVar(&o.files, "files", 256, "`goroutines` that read and write files")
	set.IntVar(&o.sockets, "sockets", 500, "client `sockets`, each with a peer; one in ten is udp")
	set.IntVar(&o.drivers, "drivers", 4, "`goroutines` that make drivers and shut them down")
	set.DurationVar(&o.report, "report", 10*time.Second, "how often to print a line")
	set.StringVar(&o.dir, "dir", "", "`directory` for the files, on a file system with O_DIRECT")
	set.Uint64Var(&o.seed, "seed", 0, "of all choices; 0 means another one each time")
	set.StringVar(&o.mistake, "mistake", "", "a mistake to make, which must be found: "+strings.Join(mistakes, ", "))
	set.BoolVar(&o.pressure, "pressure", true, "garbage and memory limits")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	switch {
	case set.NArg() > 0:
		return o, fmt.Errorf("%q is no option", set.Arg(0))
	case o.time < 2*time.Second:
		return o, fmt.Errorf("%v is too short to see anything", o.time)
	case o.files < 1 || o.sockets < 1 || o.drivers < 1 || o.report <= 0:
		return o, fmt.Errorf("-files, -sockets, -drivers and -report have to be positive")
	case o.mistake != "" && !slices.Contains(mistakes, o.mistake):
		return o, fmt.Errorf("there is no mistake %q; there are %s", o.mistake, strings.Join(mistakes, ", "))
	}
	if o.seed == 0 {
		o.seed = rand.Uint64()
	}
	return o, nil
}
