module github.com/eddyio/eddy/internal/fusetest

go 1.25.0

require (
	github.com/eddyio/eddy v0.0.0
	github.com/hanwen/go-fuse/v2 v2.12.1
	golang.org/x/sys v0.45.0
)

replace github.com/eddyio/eddy => ../..
