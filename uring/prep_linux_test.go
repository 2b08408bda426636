package uring_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// callPrep calls a Prep method with arguments made for its types.
func callPrep(s *uring.SQE, m reflect.Method, args map[reflect.Type]reflect.Value) {
	in := []reflect.Value{reflect.ValueOf(s)}
	for i := 1; i < m.Type.NumIn(); i++ {
		kind := m.Type.In(i)
		v, ok := args[kind]
		if !ok {
			switch kind.Kind() {
			case reflect.Slice:
				v = reflect.MakeSlice(kind, 3, 3)
			case reflect.Pointer:
				v = reflect.New(kind.Elem())
			case reflect.UnsafePointer:
				v = reflect.ValueOf(unsafe.Pointer(new(unix.RawSockaddrAny)))
			default:
				v = reflect.New(kind).Elem()
			}
			args[kind] = v
		}
		in = append(in, v)
	}
	m.Func.Call(in)
}

// TestPrepLeavesOldFields runs every Prep method on a clean entry and on one
// full of rubbish: only Flags and UserData may differ.
func TestPrepLeavesOldFields(t *testing.T) {
	kind := reflect.TypeFor[*uring.SQE]()
	methods := 0
	for i := range kind.NumMethod() {
		m := kind.Method(i)
		if !strings.HasPrefix(m.Name, "Prep") {
			continue
		}
		methods++
		args := map[reflect.Type]reflect.Value{}
		var clean, dirty uring.SQE
		callPrep(&clean, m, args)
		for i := range unsafe.Sizeof(dirty) {
			*(*byte)(unsafe.Add(unsafe.Pointer(&dirty), i)) = 0xa5
		}
		flags, userData := dirty.Flags, dirty.UserData
		callPrep(&dirty, m, args)
		if dirty.UserData != userData || dirty.Flags != flags|clean.Flags || clean.UserData != 0 {
			t.Errorf("%s changes UserData or Flags: %+v", m.Name, dirty)
		}
		dirty.UserData, dirty.Flags = clean.UserData, clean.Flags
		if a, b := *(*[64]byte)(unsafe.Pointer(&clean)), *(*[64]byte)(unsafe.Pointer(&dirty)); a != b {
			t.Errorf("%s leaves old fields:\n%+v\n%+v", m.Name, clean, dirty)
		}
		if m.Name != "PrepNop" && clean.Opcode == uring.OpNop {
			t.Errorf("%s sets no opcode", m.Name)
		}
	}
	if methods < 60 {
		t.Errorf("found only %d Prep methods", methods)
	}
}

// TestLongLengthWraps prepares with more than 4 GiB of memory that is never
// touched.
func TestLongLengthWraps(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		skipKernel(t, "32-bit addresses")
	}
	size := uint64(5 << 30)
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	fatalIf(t, err)
	defer unix.MunmapPtr(base, uintptr(size))
	for _, length := range []uint64{1<<31 - 1, 1 << 31, 1 << 32, 1<<32 + 5} {
		p := unsafe.Slice((*byte)(base), length)
		var s uring.SQE
		for name, prepare := range map[string]func(){
			"PrepRead":  func() { s.PrepRead(0, p, 0) },
			"PrepWrite": func() { s.PrepWrite(0, p, 0) },
			"PrepSend":  func() { s.PrepSend(0, p, 0) },
			"PrepRecv":  func() { s.PrepRecv(0, p, 0) },
		} {
			if prepare(); s.Len != uring.MaxReadWrite {
				t.Errorf("%s of %d bytes has Len %d, want %d", name, length, s.Len, uring.MaxReadWrite)
			}
		}
	}
	var s uring.SQE
	if s.PrepSplice(0, 0, 1, 0, math.MaxUint32, 0); s.Len != uring.MaxReadWrite {
		t.Errorf("PrepSplice has Len %d", s.Len)
	}
	if s.PrepRead(3, nil, 7); s.Addr != 0 || s.Len != 0 || s.Off != 7 || s.Fd != 3 {
		t.Errorf("PrepRead of nothing: %+v", s)
	}
}

// TestStackBufferReachesKernel: a local buffer must move to the heap, since the
// stack it was on may move while the kernel writes to it.
func TestStackBufferReachesKernel(t *testing.T) {
	var s uring.SQE
	for name, f := range map[string]func(){
		"slice":  func() { var p [64]byte; s.PrepRead(0, p[:], 0) },
		"struct": func() { var ts uring.Timespec; s.PrepTimeout(&ts, 0, 0) },
		"sockaddr": func() {
			var a unix.RawSockaddrInet4
			s.PrepConnect(0, unsafe.Pointer(&a), 16)
		},
	} {
		if n := testing.AllocsPerRun(100, f); n < 1 {
			t.Errorf("%s: stays on the stack (%v allocations)", name, n)
		}
	}
}

func TestHotPathAllocates(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	p := pinnedBytes(t, 16)
	f := openFile(t, "0123456789abcdef")
	fd := int(f.Fd())
	into := make([]uring.CQE, 8)
	n := testing.AllocsPerRun(100, func() {
		r.Next().PrepRead(fd, p, 0)
		r.Next().PrepNop()
		if _, err := r.Submit(); err != nil {
			t.Error(err)
		}
		if _, err := r.SubmitAndWait(1, 1<<30); err != nil {
			t.Error(err)
		}
		r.Reap(into)
		if _, err := r.SubmitGetEvents(); err != nil {
			t.Error(err)
		}
	})
	if n != 0 {
		t.Errorf("a request costs %v allocations", n)
	}
}

func TestCQEMethodsMisreadFlags(t *testing.T) {
	c := uring.CQE{Res: -int32(unix.EAGAIN), Flags: 0xabcd<<16 | uring.CQEFBuffer | uring.CQEFMore}
	if id, ok := c.BufferID(); id != 0xabcd || !ok || !c.More() || c.Notification() || c.Err() != unix.EAGAIN {
		t.Errorf("%+v: buffer %#x %v, more %v, notification %v, error %v", c, id, ok, c.More(), c.Notification(), c.Err())
	}
	c = uring.CQE{Res: 5, Flags: uring.CQEFNotif}
	if _, ok := c.BufferID(); ok || c.More() || !c.Notification() || c.Err() != nil {
		t.Errorf("%+v is misread", c)
	}
}
