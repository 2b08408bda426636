//go:build !unix

package eddy

import "os"

func uncatchable(s os.Signal) bool { return s == os.Kill }
