package eddy

import (
	"context"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// Driver does I/O. A program needs one, and Default is it; New is for other
// settings, and for tests. All methods may be called by any goroutine.
type Driver struct {
	cfg     Config
	backend Backend // what is in use; never BackendAuto
	engine  engine
	inlines bool // reads look into the page cache first
	system  system
	notes   []Fallback // what New could not have

	down    atomic.Bool   // Shutdown was called
	ended   chan struct{} // closed then
	end     sync.Once
	endErr  error
	metrics counters

	offloads offloads
	signals  receivers
	watched  watched // the portable backend's registrations
}

// New makes a driver. It fails if the Config is out of range, if EDDY_BACKEND
// is set to something that is no backend, if the process may have no more
// descriptors, or if BackendURing or BackendEpoll was asked for and cannot be
// had.
func New(cfg Config) (*Driver, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	d := &Driver{cfg: cfg, ended: make(chan struct{})}
	if err := d.start(); err != nil {
		return nil, err
	}
	return d, nil
}

var (
	defaultMu     sync.Mutex
	defaultDriver *Driver
)

// Default is the driver that the package's functions use. It is made when it
// is first asked for, with the zero Config, and never fails: what cannot be had
// is done without, down to BackendPortable, and Status says so. After it was
// shut down the next call makes a new one.
func Default() *Driver {
	defaultMu.Lock()
	defer defaultMu.Unlock()
	if defaultDriver != nil && !defaultDriver.down.Load() {
		return defaultDriver
	}
	d, err := New(Config{})
	if err != nil {
		d = &Driver{cfg: Config{Backend: BackendPortable}, ended: make(chan struct{})}
		d.startPortable()
		d.notes = append(d.notes, fallbackFrom(err))
	}
	defaultDriver = d
	return d
}

// Shutdown refuses new work, wakes everybody who waits, cancels what is in
// flight and returns when the kernel has given all of it back. It always
// returns: what the kernel has not given back when ctx ends is named in a
// *ShutdownError, and its memory kept for ever. Files stay open; they can be
// closed and nothing else. A second call returns what the first did.
func (d *Driver) Shutdown(ctx context.Context) error {
	d.end.Do(func() {
		d.down.Store(true)
		close(d.ended)
		d.signals.shutdown()
		err := d.system.shutdown(ctx)
		stuck := d.offloads.drain(ctx)
		d.endErr = withStuck(err, stuck, context.Cause(ctx))
	})
	return d.endErr
}

// Close is Shutdown that does not wait for anything the kernel does not give
// back at once.
func (d *Driver) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	return d.Shutdown(ctx)
}

// Open opens a file for reading, as os.Open does.
func (d *Driver) Open(name string) (*File, error) { return d.OpenFile(name, os.O_RDONLY, 0) }

// Create makes or truncates a file for reading and writing, as os.Create does.
func (d *Driver) Create(name string) (*File, error) {
	return d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile opens a file, as os.OpenFile does. Add syscall.O_DIRECT to go past
// the page cache; offsets, lengths and memory must be multiples of the
// device's block size then, as open(2) says. Errors are *fs.PathError.
func (d *Driver) OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	if d.down.Load() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: ErrShutdown}
	}
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return d.newFile(f), nil
}

// AdoptFile takes over an open file: use and close the result instead.
func (d *Driver) AdoptFile(f *os.File) (*File, error) {
	if f == nil {
		return nil, os.ErrInvalid
	}
	if d.down.Load() {
		return nil, &fs.PathError{Op: "adopt", Path: f.Name(), Err: ErrShutdown}
	}
	return d.newFile(f), nil
}

// ReadFile reads a whole file, as os.ReadFile does.
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

// WriteFile writes a whole file, as os.WriteFile does: made with perm, less
// the umask, if it is not there, and truncated if it is.
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

// Open is Driver.Open on Default.
func Open(name string) (*File, error) { return Default().Open(name) }

// Create is Driver.Create on Default.
func Create(name string) (*File, error) { return Default().Create(name) }

// OpenFile is Driver.OpenFile on Default.
func OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	return Default().OpenFile(name, flag, perm)
}

// ReadFile is Driver.ReadFile on Default.
func ReadFile(name string) ([]byte, error) { return Default().ReadFile(name) }

// WriteFile is Driver.WriteFile on Default.
func WriteFile(name string, data []byte, perm fs.FileMode) error {
	return Default().WriteFile(name, data, perm)
}
