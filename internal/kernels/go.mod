module github.com/eddyio/eddy/internal/kernels

go 1.25.0

require (
	github.com/eddyio/eddy v0.0.0
	golang.org/x/sys v0.45.0
)

replace github.com/eddyio/eddy => ../..
