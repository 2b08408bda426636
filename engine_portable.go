package eddy

import "io"

// portableEngine is the engine on top of os.File. What has to be abandoned runs on a
// goroutine of its own.
type portableEngine struct{}

func (portableEngine) transfer(t transfer) (n int, err error) {
	file := t.file.file
	switch {
	case t.kind == kindSync:
		return 0, file.Sync()
	case t.kind == kindRead && t.off == atCursor:
		n, err = file.Read(t.p)
	case t.kind == kindRead:
		n, err = file.ReadAt(t.p, t.off)
	case t.off == atCursor:
		return file.Write(t.p)
	default:
		return file.WriteAt(t.p, t.off)
	}
	if err == io.EOF {
		err = nil // a count of zero says it
	}
	return n, err
}

func (e portableEngine) abandonable(t transfer, s *stops) (int, error) {
	return offloadTransfer(e, t, s)
}

func (portableEngine) open(d *Driver, o opening, s *stops) (*File, error) {
	return offloadOpen(d, o, s)
}

func (portableEngine) batch(b *batch, s *stops) { b.spread(s) }
