//go:build !unix

package eddy

import "os"

func uncatchable(s os.Signal) bool { return s == os.Kill }

// everySignal is none: they are not numbered everywhere. Those that there are, are
// few and rare.
func everySignal() []os.Signal { return nil }
