package filebench

import "github.com/eddyio/eddy/cmd/eddy/internal/background"

// startLoad starts what runs beside the operations.
func startLoad(work Work) (*background.Work, error) {
	return background.Start(background.Load{Busy: work.Busy, Fsync: work.Fsync, Dir: work.FsyncDir})
}
