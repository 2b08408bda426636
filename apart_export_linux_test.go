package eddy

import (
	"os"
	"testing"
)

// EDDY_TEST_APART=1 makes every socket apart as soon as it waits, so that all
// tests of sockets test those.
func init() { partAtOnce = os.Getenv("EDDY_TEST_APART") == "1" }

// PartAtOnce does so for one test.
func PartAtOnce(t *testing.T) {
	before := partAtOnce
	partAtOnce = true
	t.Cleanup(func() { partAtOnce = before })
}
