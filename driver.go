package eddy

import (
	"context"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Driver performs I/O. Most programs use the one that [Default] returns;
// [New] makes one with other settings, or for a test. All methods may be called
// concurrently.
type Driver struct {
	cfg     Config
	backend Backend // what is in use; never BackendAuto
	engine  engine

	system system
	notes  []Fallback // what New could not have

	down    atomic.Bool   // Shutdown was called
	ended   chan struct{} // closed then
	over    chan struct{} // closed when Shutdown is through, and endErr is set
	endErr  error
	metrics counters

	offloads offloads
	signals  receivers
	streams  streams
}

// unstarted is a driver without a backend yet.
func unstarted(cfg Config) *Driver {
	return &Driver{cfg: cfg, ended: make(chan struct{}), over: make(chan struct{})}
}

// New makes a driver. It fails if a field of cfg is out of range; if
// EDDY_BACKEND is set to something that is not a backend, and cfg leaves the
// choice open; if the process has no descriptors left; or if BackendURing or
// BackendEpoll was requested, by cfg or by EDDY_BACKEND, and is not available.
func New(cfg Config) (*Driver, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	d := unstarted(cfg)
	if err := d.start(); err != nil {
		return nil, err
	}
	return d, nil
}

var (
	defaultMu     sync.Mutex
	defaultDriver *Driver
)

// Default returns the driver that the package's functions use. The first call
// makes it, with the zero Config. It never fails: if something is not available
// the driver does without, if necessary down to BackendPortable, and
// [Driver.Status] says so. After the driver was shut down, the next call makes
// a new one.
func Default() *Driver {
	defaultMu.Lock()
	defer defaultMu.Unlock()
	if defaultDriver != nil && !defaultDriver.down.Load() {
		return defaultDriver
	}
	d, err := New(Config{})
	if err != nil {
		d = unstarted(Config{Backend: BackendPortable})
		d.startPortable()
		d.notes = append(d.notes, fallbackFrom(err))
	}
	defaultDriver = d
	return d
}

// Shutdown refuses new work, wakes everybody who waits, cancels what is in
// flight, and returns when the kernel has given all of it back. It always
// returns: if ctx ends first, the error is a [*ShutdownError] that lists what
// the kernel still has, and that memory is kept until the process exits. Open
// files can then only be closed; everything else fails with [ErrShutdown].
// Later calls wait for the first one and return the same result, or ctx.Err()
// if their own ctx ends before.
func (d *Driver) Shutdown(ctx context.Context) error {
	if d.down.CompareAndSwap(false, true) {
		close(d.ended)
		d.signals.shutdown()
		d.streams.shutdown()
		err := d.system.shutdown(ctx)
		stuck := d.offloads.drain(ctx)
		d.endErr = withStuck(err, stuck, context.Cause(ctx))
		close(d.over)
		return d.endErr
	}
	select {
	case <-d.over:
		return d.endErr
	case <-ctx.Done():
	}
	select {
	case <-d.over: // first: the result does not depend on luck
		return d.endErr
	default:
		return ctx.Err()
	}
}

// closePatience is how long Close waits for the kernel.
const closePatience = time.Second

// Close is [Driver.Shutdown] with a context that ends after one second.
func (d *Driver) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	return d.Shutdown(ctx)
}

// Open opens the named file for reading, like os.Open.
func (d *Driver) Open(name string) (*File, error) { return d.OpenFile(name, os.O_RDONLY, 0) }

// Create creates or truncates the named file, for reading and writing, like
// os.Create.
func (d *Driver) Create(name string) (*File, error) {
	return d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile opens the named file, like os.OpenFile. It is opened by the calling
// thread, and cannot be abandoned; see [Driver.OpenFileContext]. With
// syscall.O_DIRECT in flag, reads and writes bypass the page cache; offsets,
// lengths and addresses of buffers must then be multiples of the device's block
// size, see open(2). Errors are of type *fs.PathError.
func (d *Driver) OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	if d.down.Load() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: ErrShutdown}
	}
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return d.newFile(f, flag), nil
}

// AdoptFile turns an open file into a File. From then on only the result may be
// used and closed, not f.
func (d *Driver) AdoptFile(f *os.File) (*File, error) {
	if f == nil {
		return nil, os.ErrInvalid
	}
	if d.down.Load() {
		return nil, &fs.PathError{Op: "adopt", Path: f.Name(), Err: ErrShutdown}
	}
	return d.newFile(f, unknownFlags), nil
}

// ReadFile reads the whole of the named file, like os.ReadFile.
func (d *Driver) ReadFile(name string) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := readAll(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return data, err
}

// WriteFile writes data to the named file, like os.WriteFile. It creates the
// file with permissions perm (before umask) if it does not exist, and truncates
// it otherwise.
func (d *Driver) WriteFile(name string, data []byte, perm fs.FileMode) error {
	f, err := d.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Open calls [Driver.Open] on the default driver.
func Open(name string) (*File, error) { return Default().Open(name) }

// Create calls [Driver.Create] on the default driver.
func Create(name string) (*File, error) { return Default().Create(name) }

// OpenFile calls [Driver.OpenFile] on the default driver.
func OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	return Default().OpenFile(name, flag, perm)
}

// AdoptFile calls [Driver.AdoptFile] on the default driver.
func AdoptFile(f *os.File) (*File, error) { return Default().AdoptFile(f) }

// ReadFile calls [Driver.ReadFile] on the default driver.
func ReadFile(name string) ([]byte, error) { return Default().ReadFile(name) }

// WriteFile calls [Driver.WriteFile] on the default driver.
func WriteFile(name string, data []byte, perm fs.FileMode) error {
	return Default().WriteFile(name, data, perm)
}
