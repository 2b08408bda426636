package uring_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// anonymous is n bytes of memory at a page's start, outside of the Go heap.
func anonymous(t *testing.T, n int) []byte {
	t.Helper()
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	fatalIf(t, err)
	t.Cleanup(func() { unix.Munmap(p) })
	return p
}

// patternFile is a file with the pattern, opened once more with the flags.
func patternFile(t *testing.T, n, flags int) int {
	t.Helper()
	f := openFile(t, string(pattern(n)))
	fd, err := unix.Open(f.Name(), unix.O_RDWR|unix.O_CLOEXEC|flags, 0)
	if err == unix.EINVAL && flags&unix.O_DIRECT != 0 {
		skipKernel(t, "no O_DIRECT on this file system")
	}
	fatalIf(t, err)
	return closeLater(t, fd)
}

// transfer is one way to read or write part of a buffer, which is registered.
type transfer struct {
	name  string
	fixed bool // needs SQEFixedFile
	read  func(s *uring.SQE, fd int, p []byte, off uint64)
	write func(s *uring.SQE, fd int, p []byte, off uint64)
}

func transfers(t *testing.T) []transfer {
	vector := pin(t, new([1]unix.Iovec))
	plain := transfer{"plain", false,
		func(s *uring.SQE, fd int, p []byte, off uint64) { s.PrepRead(fd, p, off) },
		func(s *uring.SQE, fd int, p []byte, off uint64) { s.PrepWrite(fd, p, off) }}
	registered := transfer{"registered buffer", false,
		func(s *uring.SQE, fd int, p []byte, off uint64) { s.PrepReadFixed(fd, p, off, 0) },
		func(s *uring.SQE, fd int, p []byte, off uint64) { s.PrepWriteFixed(fd, p, off, 0) }}
	vectored := transfer{"vectors", false,
		func(s *uring.SQE, fd int, p []byte, off uint64) {
			vector[0] = iovec(p)
			s.PrepReadv(fd, vector[:], off, 0)
		},
		func(s *uring.SQE, fd int, p []byte, off uint64) {
			vector[0] = iovec(p)
			s.PrepWritev(fd, vector[:], off, 0)
		}}
	all := []transfer{plain, registered, vectored}
	for _, t := range all[:3] {
		t.name, t.fixed = t.name+", registered file", true
		all = append(all, t)
	}
	return all
}

// TestTransferVariantsDiffer writes and reads a file in every way there is, at
// odd places, and compares with what the file should have.
func TestTransferVariantsDiffer(t *testing.T) {
	const size = 1 << 16
	for _, open := range []int{0, unix.O_DIRECT} {
		eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
			fd := patternFile(t, size, open)
			expect := pattern(size)
			memory := anonymous(t, size)
			fatalIf(t, r.RegisterBuffers([][]byte{memory}))
			fatalIf(t, r.RegisterFiles([]int32{int32(fd)}))
			places := [][2]int{{0, size}, {1, 1}, {4095, 2}, {4097, 12345}, {size - 5, 100}, {size, 10}}
			if open != 0 {
				places = [][2]int{{0, size}, {4096, 4096}, {8192, 20480}, {size - 4096, 8192}}
			}
			for round, how := range transfers(t) {
				for _, flags := range []uring.SQEFlags{0, uring.SQEAsync} {
					run := func(prepare func(s *uring.SQE, fd int, p []byte, off uint64), p []byte, off int) int {
						return must(t, r, func(s *uring.SQE) {
							use := fd
							if how.fixed {
								use = 0
								fixed(s)
							}
							s.Flags |= flags
							prepare(s, use, p, uint64(off))
						})
					}
					for _, place := range places {
						off, n := place[0], min(place[1], len(memory))
						at := off % 4096 &^ (open / unix.O_DIRECT * 4095)
						n = min(n, len(memory)-at)
						p := memory[at : at+n]
						want := expect[off:min(off+n, size)]
						if got := run(how.read, p, off); !bytes.Equal(p[:got], want) {
							t.Fatalf("%s, flags %v: read of %d at %d: %d bytes, right: %v", how.name, flags, n, off, got, bytes.HasPrefix(want, p[:got]))
						}
						if n = len(want); n == 0 {
							continue
						}
						for i := range p[:n] {
							p[i] += byte(round + 1)
						}
						if got := run(how.write, p[:n], off); got != n {
							t.Fatalf("%s, flags %v: write of %d at %d: %d", how.name, flags, n, off, got)
						}
						copy(expect[off:], p[:n])
					}
				}
			}
			got := make([]byte, size+1)
			check, err := unix.Open(fmt.Sprint("/proc/self/fd/", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			fatalIf(t, err)
			defer unix.Close(check)
			if n, err := unix.Pread(check, got, 0); n != size || !bytes.Equal(got[:n], expect) {
				t.Errorf("the file has %d bytes (%v), as expected: %v", n, err, bytes.Equal(got[:max(n, 0)], expect))
			}
		})
	}
}

// TestRegisteredBufferOffsetIsWrong uses every kind of stretch of a registered
// buffer of many pages, huge ones if there are any, registered at an odd place.
func TestRegisteredBufferOffsetIsWrong(t *testing.T) {
	const huge = 2 << 20
	r := newRing(t, 8, uring.Config{})
	memory := anonymous(t, 3*huge)
	at := huge - int(uintptr(unsafe.Pointer(&memory[0]))%huge)
	_ = unix.Madvise(memory[at:at+huge], unix.MADV_HUGEPAGE) // small pages do as well
	f := openFile(t, string(pattern(huge)))
	for _, start := range []int{at, at + 1, at + 4096, at - 100, at + 123457} {
		buffer := memory[start : start+huge]
		if err := r.RegisterBuffers([][]byte{buffer}); err == unix.ENOMEM {
			skipKernel(t, "RegisterBuffers: %v", err)
		} else {
			fatalIf(t, err)
		}
		content := pattern(huge)
		for _, place := range [][2]int{{0, huge}, {1, 4096}, {4095, 2}, {4096, 1}, {huge - 1, 1}, {huge / 2, huge / 2}, {12345, 100000}} {
			p := buffer[place[0] : place[0]+place[1]]
			clear(p)
			n := must(t, r, func(s *uring.SQE) { s.PrepReadFixed(int(f.Fd()), p, uint64(huge-len(p)), 0) })
			if n != len(p) || !bytes.Equal(p, content[huge-len(p):]) {
				t.Fatalf("start %d: %d bytes at %d: read %d, right: %v", start-at, len(p), place[0], n, bytes.Equal(p, content[huge-len(p):]))
			}
		}
		outside := memory[start+huge-1 : start+huge+1]
		c := do(t, r, func(s *uring.SQE) { s.PrepReadFixed(int(f.Fd()), outside, 0, 0) })
		wantErr(t, "one byte too many", c.Err(), unix.EFAULT)
		c = do(t, r, func(s *uring.SQE) { s.PrepReadFixed(int(f.Fd()), memory[start-1:start+1], 0, 0) })
		wantErr(t, "one byte too early", c.Err(), unix.EFAULT)
		fatalIf(t, r.UnregisterBuffers())
	}
}

// TestFilePositionMovesWrong reads and writes at the file's own position.
func TestFilePositionMovesWrong(t *testing.T) {
	eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
		needFeature(t, r, uring.FeatRWCurPos)
		fd := patternFile(t, 100, 0)
		p := pinnedBytes(t, 100)
		// In a chain, so one after another.
		for i := range 10 {
			s := next(t, r, uint64(i))
			s.PrepRead(fd, p[i*7:i*7+7], uring.CurrentPosition)
			if i != 9 {
				linked(s)
			}
			if i%3 == 0 {
				s.Flags |= uring.SQEAsync
			}
		}
		for _, c := range reap(t, r, 10) {
			if c.Res != 7 {
				t.Errorf("%+v", c)
			}
		}
		if !bytes.Equal(p[:70], pattern(100)[:70]) {
			t.Errorf("read %v", p[:70])
		}
		must(t, r, func(s *uring.SQE) { s.PrepRead(fd, p[:5], 20) })
		if off, err := unix.Seek(fd, 0, 1); off != 70 {
			t.Errorf("after a read at an offset the position is %d, %v; want 70", off, err)
		}
		must(t, r, func(s *uring.SQE) { s.PrepWrite(fd, pinnedText(t, "xyz"), uring.CurrentPosition) })
		if n := must(t, r, func(s *uring.SQE) { s.PrepRead(fd, p, uring.CurrentPosition) }); n != 27 {
			t.Errorf("read to the end: %d bytes, want 27", n)
		}
	})
}

// TestReadsBehindFourGiB writes and reads where an offset needs more than 32
// bits, in a file opened through the ring.
func TestReadsBehindFourGiB(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	name := path(t, t.TempDir(), "large")
	fd := closeLater(t, must(t, r, func(s *uring.SQE) {
		s.PrepOpenat(unix.AT_FDCWD, name, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	}))
	const off = 5<<30 + 3
	c := do(t, r, func(s *uring.SQE) { s.PrepWrite(fd, pinnedText(t, "far"), off) })
	if errors.Is(c.Err(), unix.EFBIG) {
		skipKernel(t, "no large files on this file system")
	}
	p := pinnedBytes(t, 8)
	n := must(t, r, func(s *uring.SQE) { s.PrepRead(fd, p, off-1) })
	var st unix.Stat_t
	fatalIf(t, unix.Fstat(fd, &st))
	if c.Res != 3 || string(p[:n]) != "\x00far" || st.Size != off+3 {
		t.Errorf("wrote %+v, read %q, the size is %d", c, p[:n], st.Size)
	}
}

// TestSpecialFilesReadAsFiles: these give one event, whatever fits the buffer,
// and say when there is nothing.
func TestSpecialFilesReadAsFiles(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		p := pinnedBytes(t, 64)
		fd, err := unix.Eventfd(3, unix.EFD_CLOEXEC)
		fatalIf(t, err)
		closeLater(t, fd)
		n := must(t, r, func(s *uring.SQE) { s.PrepRead(fd, p, uring.CurrentPosition) })
		if n != 8 || binary.NativeEndian.Uint64(p) != 3 {
			t.Errorf("eventfd: %d bytes, %v", n, p[:8])
		}
		next(t, r, 1).PrepRead(fd, p, uring.CurrentPosition)
		submit(t, r)
		quiet(t, r, "the eventfd has no events")
		signalEventfd(t, fd)
		if c := sequence(t, r, 1)[0]; c.Res != 8 {
			t.Errorf("eventfd: %+v", c)
		}
		timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
		fatalIf(t, err)
		closeLater(t, timer)
		fatalIf(t, unix.TimerfdSettime(timer, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(1e6)}, nil))
		n = must(t, r, func(s *uring.SQE) { s.PrepRead(timer, p, uring.CurrentPosition) })
		if n != 8 || binary.NativeEndian.Uint64(p) != 1 {
			t.Errorf("timerfd: %d bytes, %v", n, p[:8])
		}
	})
}

// TestPipeEndIsMissed reads pipes and FIFOs, blocking and not, whose data or
// end comes later.
func TestPipeEndIsMissed(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		dir := t.TempDir()
		fifo := filepath.Join(dir, "fifo")
		fatalIf(t, unix.Mkfifo(fifo, 0o600))
		open := func(flags int) int {
			fd, err := unix.Open(fifo, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
			fatalIf(t, err)
			return fd
		}
		read := closeLater(t, open(unix.O_RDONLY))
		in, out := pipe(t)
		out, err := unix.Dup(out)
		fatalIf(t, err)
		for name, ends := range map[string][2]int{"pipe": {in, out}, "fifo": {read, open(unix.O_WRONLY)}} {
			p := pinnedBytes(t, 16)
			next(t, r, 1).PrepRead(ends[0], p, uring.CurrentPosition)
			submit(t, r)
			if name == "pipe" { // the FIFO is not blocking: EAGAIN or waiting
				quiet(t, r, "the pipe is empty")
			}
			write(t, ends[1], "late")
			c := sequence(t, r, 1)[0]
			if name == "fifo" && c.Err() == unix.EAGAIN {
				unix.Close(ends[1])
				continue
			}
			if string(p[:max(c.Res, 0)]) != "late" {
				t.Errorf("%s: %+v, %q", name, c, p)
			}
			next(t, r, 2).PrepRead(ends[0], p, uring.CurrentPosition)
			submit(t, r)
			unix.Close(ends[1])
			if name == "fifo" {
				if c := sequence(t, r, 2)[0]; c.Res != 0 {
					t.Errorf("%s: at the end: %+v", name, c)
				}
				continue
			}
			quiet(t, r, "there is another writer") // pipe's own end is open
			next(t, r, 3).PrepCancel(2, 0)
			reap(t, r, 2)
		}
	})
}

// TestVectorsAreReadAfterSubmission wipes the vectors as soon as they have been
// submitted, of requests that must wait and of those that a worker makes.
func TestVectorsAreReadAfterSubmission(t *testing.T) {
	for _, flags := range []uring.SQEFlags{0, uring.SQEAsync} {
		r := newRing(t, 8, uring.Config{})
		needFeature(t, r, uring.FeatSubmitStable)
		f := openFile(t, "0123456789")
		in, out := pipe(t)
		p := pinnedBytes(t, 40)
		vectors := make([]unix.Iovec, 20)
		pin(t, &vectors[0])
		fill := func() {
			for i := range vectors {
				vectors[i] = iovec(p[2*i : 2*i+2])
			}
		}
		submitted := func(fd int) {
			fill()
			s := next(t, r, 1)
			s.PrepReadv(fd, vectors, 0, 0)
			s.Flags |= flags
			submit(t, r)
			clear(vectors)
		}
		submitted(int(f.Fd()))
		if c := sequence(t, r, 1)[0]; c.Res != 10 || string(p[:10]) != "0123456789" {
			t.Errorf("file, flags %v: %+v, %q", flags, c, p)
		}
		submitted(in)
		write(t, out, strings.Repeat("pipe", 10))
		if c := sequence(t, r, 1)[0]; c.Res != 40 || string(p) != strings.Repeat("pipe", 10) {
			t.Errorf("pipe, flags %v: %+v, %q", flags, c, p)
		}
	}
}

// TestOneBlockedReadBlocksOthers has a read of an empty pipe wait while reads of
// a file, before and at its end, come and go.
func TestOneBlockedReadBlocksOthers(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	release := waiting(t, r, 1, 0)
	f := openFile(t, string(pattern(4096)))
	p := pinnedBytes(t, 4096)
	for _, tc := range []struct{ off, want int }{{4096, 0}, {2048, 2048}, {0, 4096}} {
		next(t, r, 2).PrepRead(int(f.Fd()), p, uint64(tc.off))
		if c := sequence(t, r, 2)[0]; int(c.Res) != tc.want || !bytes.Equal(p[:tc.want], pattern(4096)[tc.off:]) {
			t.Errorf("at %d: %+v", tc.off, c)
		}
	}
	release()
	sequence(t, r, 1)
}

// TestBadMemoryIsNotEFAULT points to memory that is not there or may not be
// used, for the data, vectors and paths.
func TestBadMemoryIsNotEFAULT(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		memory := anonymous(t, 2*os.Getpagesize())
		none := memory[os.Getpagesize():]
		fatalIf(t, unix.Mprotect(none, unix.PROT_NONE))
		f := openFile(t, string(pattern(8192)))
		fd := int(f.Fd())
		a, z := socketPair(t)
		write(t, z, "x")
		for name, prepare := range map[string]func(s *uring.SQE){
			"read":    func(s *uring.SQE) { s.PrepRead(fd, none, 0) },
			"write":   func(s *uring.SQE) { s.PrepWrite(fd, none, 0) },
			"recv":    func(s *uring.SQE) { s.PrepRecv(a, none, 0) },
			"send":    func(s *uring.SQE) { s.PrepSend(a, none, 0) },
			"vectors": func(s *uring.SQE) { s.PrepReadv(fd, unsafe.Slice((*unix.Iovec)(unsafe.Pointer(&none[0])), 2), 0, 0) },
			"path":    func(s *uring.SQE) { s.PrepOpenat(unix.AT_FDCWD, &none[0], unix.O_RDONLY, 0) },
			"statx": func(s *uring.SQE) {
				s.PrepStatx(fd, path(t, ""), unix.AT_EMPTY_PATH, 0, (*unix.Statx_t)(unsafe.Pointer(&none[0])))
			},
			"message": func(s *uring.SQE) { s.PrepRecvmsg(a, (*unix.Msghdr)(unsafe.Pointer(&none[0])), 0) },
		} {
			wantErr(t, name, do(t, r, prepare).Err(), unix.EFAULT)
		}
		// Half good: what fits is moved.
		half := memory[os.Getpagesize()-100 : os.Getpagesize()+100]
		if n := must(t, r, func(s *uring.SQE) { s.PrepRead(fd, half, 0) }); n != 100 || !bytes.Equal(half[:100], pattern(100)) {
			t.Errorf("half good: %d", n)
		}
	})
}

// TestNowaitReadWaits asks not to wait: data, or EAGAIN, at once.
func TestNowaitReadWaits(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	fd := patternFile(t, 4096, 0)
	p := pinnedBytes(t, 4096)
	vector := []unix.Iovec{iovec(p)}
	pin(t, &vector[0])
	fatalIf(t, unix.Fsync(fd))
	_ = unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) // a hint
	next(t, r, 1).PrepReadv(fd, vector, 0, unix.RWF_NOWAIT)
	submit(t, r)
	if r.Completions() != 1 {
		t.Fatal("it did not complete at once")
	}
	switch c := sequence(t, r, 1)[0]; {
	case c.Err() == unix.EOPNOTSUPP:
		skipKernel(t, "RWF_NOWAIT is not supported by this file system")
	case c.Err() == unix.EAGAIN:
	case c.Res != 4096 || !bytes.Equal(p, pattern(4096)):
		t.Errorf("%+v", c)
	}
	in, _ := pipe(t)
	vector[0] = iovec(p[:1])
	next(t, r, 2).PrepReadv(in, vector, 0, unix.RWF_NOWAIT)
	submit(t, r)
	if c := sequence(t, r, 2)[0]; c.Err() != unix.EAGAIN && c.Err() != unix.EOPNOTSUPP {
		t.Errorf("an empty pipe: %+v", c)
	}
}

// TestProcFilesAreReadForAnotherProcess reads files that the kernel makes up,
// also from its worker threads: /proc/self is ours there too.
func TestProcFilesAreReadForAnotherProcess(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	if _, err := os.ReadFile("/proc/self/stat"); err != nil {
		skipKernel(t, "no /proc: %v", err)
	}
	p := pinnedBytes(t, 4096)
	fatalIf(t, r.RegisterBuffers([][]byte{p}))
	vector := []unix.Iovec{iovec(p[:1]), iovec(p[1:])}
	pin(t, &vector[0])
	for _, flags := range []uring.SQEFlags{0, uring.SQEAsync} {
		fd := must(t, r, func(s *uring.SQE) {
			s.PrepOpenat(unix.AT_FDCWD, path(t, "/proc/self/stat"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			s.Flags |= flags
		})
		for name, prepare := range map[string]func(s *uring.SQE){
			"plain":      func(s *uring.SQE) { s.PrepRead(fd, p, 0) },
			"vectors":    func(s *uring.SQE) { s.PrepReadv(fd, vector, 0, 0) },
			"registered": func(s *uring.SQE) { s.PrepReadFixed(fd, p, 0, 0) },
		} {
			clear(p)
			n := must(t, r, func(s *uring.SQE) { prepare(s); s.Flags |= flags })
			if pid, _, _ := strings.Cut(string(p[:n]), " "); pid != strconv.Itoa(os.Getpid()) {
				t.Errorf("%s, flags %v: process %q, want %d", name, flags, pid, os.Getpid())
			}
		}
		fatalIf(t, unix.Close(fd))
	}
}

// TestFileWatcherMissesRing watches a file that the ring opens, reads, writes
// and closes.
func TestFileWatcherMissesRing(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	watcher, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		skipKernel(t, "no inotify: %v", err)
	}
	closeLater(t, watcher)
	f := openFile(t, "watched")
	_, err = unix.InotifyAddWatch(watcher, f.Name(), unix.IN_ALL_EVENTS)
	fatalIf(t, err)
	p := pinnedBytes(t, 4096)
	events := func() (mask uint32) {
		n := must(t, r, func(s *uring.SQE) { s.PrepRead(watcher, p, uring.CurrentPosition) })
		for at := 0; at < n; at += unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(p[at+12:])) {
			mask |= binary.NativeEndian.Uint32(p[at+4:])
		}
		return mask
	}
	fd := must(t, r, func(s *uring.SQE) { s.PrepOpenat(unix.AT_FDCWD, path(t, f.Name()), unix.O_RDWR|unix.O_CLOEXEC, 0) })
	if got := events(); got != unix.IN_OPEN {
		t.Errorf("open: events %#x", got)
	}
	q := pinnedBytes(t, 7)
	must(t, r, func(s *uring.SQE) { s.PrepRead(fd, q, 0) })
	if got := events(); got != unix.IN_ACCESS {
		t.Errorf("read: events %#x", got)
	}
	must(t, r, func(s *uring.SQE) { s.PrepWrite(fd, q, 0) })
	if got := events(); got != unix.IN_MODIFY {
		t.Errorf("write: events %#x", got)
	}
	must(t, r, func(s *uring.SQE) { s.PrepClose(fd) })
	if got := events(); got != unix.IN_CLOSE_WRITE {
		t.Errorf("close: events %#x", got)
	}
}

// TestIOPollRingReadsWrong reads and writes on rings that poll for completions,
// where the device can; others say EOPNOTSUPP, or are refused.
func TestIOPollRingReadsWrong(t *testing.T) {
	for _, flags := range []uring.SetupFlags{uring.SetupIOPoll, uring.SetupIOPoll | uring.SetupSQPoll, uring.SetupIOPoll | uring.SetupHybridIOPoll} {
		t.Run(flags.String(), func(t *testing.T) {
			r := newRing(t, 4, uring.Config{Flags: flags})
			fd := patternFile(t, 1<<16, unix.O_DIRECT)
			p := anonymous(t, 4096)
			c := do(t, r, func(s *uring.SQE) { s.PrepRead(fd, p, 8192) })
			if c.Err() == unix.EOPNOTSUPP {
				// A ring that cannot do it must go on all the same.
				wantErr(t, "once more", do(t, r, func(s *uring.SQE) { s.PrepRead(fd, p, 0) }).Err(), unix.EOPNOTSUPP)
				skipKernel(t, "this device cannot be polled")
			}
			if c.Res != 4096 || !bytes.Equal(p, pattern(1 << 16)[8192:8192+4096]) {
				t.Errorf("read: %+v", c)
			}
			const rounds = 20 // more than the queue has room for
			for i := range uint64(rounds) {
				next(t, r, i).PrepWrite(fd, p, i*4096%(1<<16))
				if r.Space() == 0 {
					submit(t, r)
				}
			}
			for id, c := range byUserData(t, reap(t, r, rounds)) {
				if c.Res != 4096 {
					t.Errorf("write %d: %+v", id, c)
				}
			}
		})
	}
}

// TestIOPollRingTakesWhatItCannotPoll: there, files without polling are refused.
func TestIOPollRingTakesWhatItCannotPoll(t *testing.T) {
	r := newRing(t, 4, uring.Config{Flags: uring.SetupIOPoll})
	in, _ := pipe(t)
	p := pinnedBytes(t, 16)
	c := do(t, r, func(s *uring.SQE) { s.PrepRead(in, p, uring.CurrentPosition) })
	if c.Err() != unix.EOPNOTSUPP && c.Err() != unix.EINVAL {
		t.Errorf("a pipe: %+v", c)
	}
	f := openFile(t, "buffered")
	c = do(t, r, func(s *uring.SQE) { s.PrepRead(int(f.Fd()), p, 0) })
	if c.Err() != unix.EOPNOTSUPP && c.Err() != unix.EINVAL {
		t.Errorf("a file without O_DIRECT: %+v", c)
	}
	a, _ := socketPair(t)
	c = do(t, r, func(s *uring.SQE) { s.PrepRecv(a, p, 0) })
	wantErr(t, "a receive", c.Err(), unix.EINVAL)
}
