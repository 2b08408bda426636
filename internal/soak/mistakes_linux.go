package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/eddyio/eddy"
)

// mistakes are what -mistake can be. Each must make the soak fail.
var mistakes = []string{
	"corrupt-file",    // a byte of one write in a hundred
	"corrupt-echo",    // a byte of one echo in a hundred
	"touch-buffer",    // a buffer is written to after the operation has returned
	"leak-descriptor", // one connection in ten is not closed
	"leak-memory",     // 100 bytes for each operation on a file or socket
	"lose-signal",     // one in ten
	"forget-driver",   // one driver is not shut down
	"leak-mapping",    // one, such as a ring has
	"leak-pin",        // an object is pinned and forgotten
	"repeat-datagram", // one in a hundred is sent back twice
}

// mistake is the one that is made, if any.
type mistake struct {
	name  string
	count atomic.Uint64

	kept atomic.Pointer[kept]

	mu   sync.Mutex
	open []*eddy.Conn
}

// kept is 100 bytes that nobody lets go of. (A list under a mutex would slow
// everything down, with a thousand goroutines in the queue for it.)
type kept struct {
	next *kept
	_    [92]byte
}

// made counts the occasions for a mistake, and reports whether this is one of
// those to take.
func (m *mistake) made(name string, every uint64) bool {
	return m.name == name && m.count.Add(1)%every == 0
}

// patience is shorter, in seconds, where it is known that it will be needed.
func (m *mistake) patience(otherwise int) int {
	if m.name != "" {
		return 1
	}
	return otherwise
}

func (m *mistake) corruptWrite(p []byte) {
	if m.made("corrupt-file", 100) {
		p[len(p)/2] ^= 1
	}
}

func (m *mistake) corruptEcho(p []byte) {
	if len(p) > 0 && m.made("corrupt-echo", 100) {
		p[len(p)/2] ^= 1
	}
}

func (m *mistake) touchBuffer(p []byte) {
	if m.made("touch-buffer", 20) {
		p[len(p)/2] ^= 1
	}
}

func (m *mistake) leakDescriptor(c *eddy.Conn) bool {
	if !m.made("leak-descriptor", 10) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = append(m.open, c)
	return c.CloseWrite() == nil // the server is not to wait for more
}

func (m *mistake) leakMemory() {
	if m.name != "leak-memory" {
		return
	}
	n := new(kept)
	for n.next = m.kept.Load(); !m.kept.CompareAndSwap(n.next, n); n.next = m.kept.Load() {
	}
}

func (m *mistake) leakMapping() error {
	if m.name != "leak-mapping" || m.count.Add(1) != 3 {
		return nil
	}
	_, err := syscall.Mmap(-1, 0, blockSize, syscall.PROT_READ, syscall.MAP_SHARED|syscall.MAP_ANON)
	return err
}

func (m *mistake) leakPin() {
	if m.name == "leak-pin" && m.count.Add(1) == 3 {
		new(runtime.Pinner).Pin(new([blockSize]byte))
	}
}

func (m *mistake) repeatDatagram() bool { return m.made("repeat-datagram", 100) }

func (m *mistake) loseSignal() bool { return m.made("lose-signal", 10) }

func (m *mistake) forgetDriver() bool { return m.name == "forget-driver" && m.count.Add(1) == 3 }
