package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/eddyio/eddy/cmd/eddy/internal/copytree"
)

// copyBar draws how far a copy has come. A scan beside the copy finds how much there is in all.
type copyBar struct {
	bar      *progressbar.ProgressBar
	progress *copytree.Progress
	stop     context.CancelFunc
	finished chan struct{}
}

// startCopyBar draws on w until it is ended.
func startCopyBar(ctx context.Context, w io.Writer, progress *copytree.Progress, sources []string) *copyBar {
	ctx, stop := context.WithCancel(ctx)
	b := &copyBar{
		bar: progressbar.NewOptions64(1,
			progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true), progressbar.OptionShowCount(),
			progressbar.OptionUseIECUnits(true), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionSetDescription("copying")),
		progress: progress, stop: stop, finished: make(chan struct{}),
	}
	var (
		total   atomic.Int64
		counted atomic.Bool
	)
	go func() {
		countBytes(ctx, sources, &total)
		counted.Store(true)
	}()
	go func() {
		defer close(b.finished)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				b.draw(total.Load(), counted.Load())
			case <-ctx.Done():
				return
			}
		}
	}()
	return b
}

// draw shows the present state. Errors of a progress bar are nobody's concern.
func (b *copyBar) draw(total int64, counted bool) {
	done := b.progress.Bytes.Load()
	if !counted || total <= done {
		total = done + 1 // a bar that has reached its end draws no more
	}
	b.bar.Describe(count(int(b.progress.Files.Load()), "file"))
	b.bar.ChangeMax64(total)
	_ = b.bar.Set64(done)
}

// end takes the bar off the terminal.
func (b *copyBar) end() {
	b.stop()
	<-b.finished
	_ = b.bar.Clear()
}

// countBytes adds up the sizes of the regular files of sources. What it cannot read the copy reports.
func countBytes(ctx context.Context, sources []string, total *atomic.Int64) {
	for _, src := range sources {
		_ = filepath.WalkDir(src, func(_ string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return filepath.SkipAll
			}
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			if info, err := d.Info(); err == nil {
				total.Add(info.Size())
			}
			return nil
		})
	}
}

// benchBar shows on a terminal which measurement is running.
type benchBar struct{ bar *progressbar.ProgressBar }

// startBenchBar makes step, which a plan calls before each measurement, show it.
func startBenchBar(stderr io.Writer, step *func(done, total int, what string)) *benchBar {
	if show, _ := wantProgress("auto", stderr); !show {
		return &benchBar{}
	}
	b := &benchBar{progressbar.NewOptions(1, progressbar.OptionSetWriter(stderr), progressbar.OptionSetWidth(20),
		progressbar.OptionClearOnFinish(), progressbar.OptionShowDescriptionAtLineEnd())}
	*step = func(done, total int, what string) {
		b.bar.ChangeMax(total)
		b.bar.Describe(what)
		_ = b.bar.Set(done)
	}
	return b
}

func (b *benchBar) end() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
}

// wantProgress decides what --progress=when means for the stream w.
func wantProgress(when string, w io.Writer) (bool, error) {
	switch when {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto":
		f, ok := w.(*os.File)
		return ok && term.IsTerminal(int(f.Fd())), nil
	}
	return false, usagef("--progress %q: it is one of auto, always, never", when)
}
