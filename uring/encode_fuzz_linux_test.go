package uring_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// FuzzEncode prepares an entry with any arguments, on top of rubbish, and reads
// it as the kernel does: by the offsets of struct io_uring_sqe and what the
// operation's code looks for in it. What it does not look at must be zero, for
// most operations refuse anything else.
func FuzzEncode(f *testing.F) {
	names := encodedNames()
	for i := range names {
		f.Add(append([]byte{byte(i)}, []byte("0123456789abcdefghijklmnopqrstuvwxyz")...))
		f.Add(append([]byte{byte(i)}, bytes.Repeat([]byte{0xff}, 60)...))
		f.Add(append([]byte{byte(i)}, bytes.Repeat([]byte{0x11}, 60)...))
	}
	f.Fuzz(func(t *testing.T, tape []byte) {
		if len(tape) == 0 {
			return
		}
		checkEncoding(t, names[int(tape[0])%len(names)], tape[1:])
	})
}

func TestPrepMethodIsNotFuzzed(t *testing.T) {
	kind := reflect.TypeFor[*uring.SQE]()
	for i := range kind.NumMethod() {
		name := kind.Method(i).Name
		if _, ok := encodings[name]; !ok && strings.HasPrefix(name, "Prep") {
			t.Errorf("%s has no row", name)
		}
	}
	if n := len(encodedNames()); n < 66 {
		t.Errorf("only %d rows are about a method", n)
	}
}

// encodedNames are the methods that have a row, in a fixed order.
func encodedNames() []string {
	var names []string
	for name := range encodings {
		if _, ok := reflect.TypeFor[*uring.SQE]().MethodByName(name); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// sqeFields are the members of struct io_uring_sqe, those of its unions under
// each of their names: offset and size.
var sqeFields = map[string][2]int{
	"opcode": {0, 1}, "flags": {1, 1}, "ioprio": {2, 2}, "fd": {4, 4},
	"off": {8, 8}, "addr2": {8, 8}, "cmd_op": {8, 4},
	"addr": {16, 8}, "splice_off_in": {16, 8}, "level": {16, 4}, "optname": {20, 4},
	"len": {24, 4}, "op_flags": {28, 4}, "poll32_events": {28, 4},
	"user_data": {32, 8}, "buf_index": {40, 2}, "buf_group": {40, 2}, "personality": {42, 2},
	"splice_fd_in": {44, 4}, "file_index": {44, 4}, "optlen": {44, 4},
	"addr3": {48, 8}, "optval": {48, 8},
}

// encodings says where the kernel looks for each argument:
//
//	$n    argument n              $nw    its lower 32 bits
//	&n    its address             #n     its length
//	<n    $n, cut to what one call moves
//	~n    $n, words reversed on a big-endian machine
//	?n:v  v if argument n is true
//	v     a number; x+v and x|v are what they look like
//
// flags holds what is added to those that were there.
var encodings = map[string]string{
	"PrepNop":            "opcode=0 fd=-1",
	"PrepReadv":          "opcode=1 fd=$0 addr=&1 len=#1 off=$2 op_flags=$3",
	"PrepWritev":         "opcode=2 fd=$0 addr=&1 len=#1 off=$2 op_flags=$3",
	"PrepFsync":          "opcode=3 fd=$0 op_flags=$1",
	"PrepReadFixed":      "opcode=4 fd=$0 addr=&1 len=#1 off=$2 buf_index=$3",
	"PrepWriteFixed":     "opcode=5 fd=$0 addr=&1 len=#1 off=$2 buf_index=$3",
	"PrepPollAdd":        "opcode=6 fd=$0 poll32_events=~1 len=?2:1",
	"PrepPollRemove":     "opcode=7 fd=-1 addr=$0",
	"PrepPollUpdate":     "opcode=7 fd=-1 addr=$0 off=$1 poll32_events=~2 len=$3",
	"PrepSyncFileRange":  "opcode=8 fd=$0 len=$1 off=$2 op_flags=$3",
	"PrepSendmsg":        "opcode=9 fd=$0 addr=&1 len=1 op_flags=$2",
	"PrepRecvmsg":        "opcode=10 fd=$0 addr=&1 len=1 op_flags=$2",
	"PrepRecvmsgSelect":  "opcode=10 fd=$0 addr=&1 len=1 flags=0x20 buf_group=$2 op_flags=$3 ioprio=?4:2",
	"PrepTimeout":        "opcode=11 fd=-1 addr=&0 len=1 off=$1 op_flags=$2",
	"PrepTimeoutRemove":  "opcode=12 fd=-1 addr=$0",
	"PrepTimeoutUpdate":  "opcode=12 fd=-1 addr2=&0 addr=$1 op_flags=$2|2",
	"PrepAccept":         "opcode=13 fd=$0 addr=&1 addr2=&2 op_flags=$3 ioprio=?4:1",
	"PrepCancel":         "opcode=14 fd=-1 addr=$0 op_flags=$1",
	"PrepCancelFd":       "opcode=14 fd=$0 op_flags=$1|2",
	"PrepCancelOp":       "opcode=14 fd=-1 len=$0 op_flags=$1|32",
	"PrepLinkTimeout":    "opcode=15 fd=-1 addr=&0 len=1 op_flags=$1",
	"PrepConnect":        "opcode=16 fd=$0 addr=&1 off=$2",
	"PrepFallocate":      "opcode=17 fd=$0 len=$1 off=$2 addr=$3",
	"PrepOpenat":         "opcode=18 fd=$0 addr=&1 op_flags=$2 len=$3",
	"PrepClose":          "opcode=19 fd=$0",
	"PrepCloseDirect":    "opcode=19 fd=0 file_index=$0+1",
	"PrepFilesUpdate":    "opcode=20 fd=-1 off=$0 addr=&1 len=#1",
	"PrepStatx":          "opcode=21 fd=$0 addr=&1 op_flags=$2 len=$3 addr2=&4",
	"PrepRead":           "opcode=22 fd=$0 addr=&1 len=#1 off=$2",
	"PrepWrite":          "opcode=23 fd=$0 addr=&1 len=#1 off=$2",
	"PrepFadvise":        "opcode=24 fd=$0 off=$1 len=$2 op_flags=$3",
	"PrepMadvise":        "opcode=25 fd=-1 addr=&0 len=#0 op_flags=$1",
	"PrepSend":           "opcode=26 fd=$0 addr=&1 len=#1 op_flags=$2",
	"PrepSendSelect":     "opcode=26 fd=$0 flags=0x20 buf_group=$1 op_flags=$2",
	"PrepRecv":           "opcode=27 fd=$0 addr=&1 len=#1 op_flags=$2",
	"PrepRecvSelect":     "opcode=27 fd=$0 flags=0x20 buf_group=$1 op_flags=$2 ioprio=?3:2",
	"PrepOpenat2":        "opcode=28 fd=$0 addr=&1 len=24 addr2=&2",
	"PrepEpollCtl":       "opcode=29 fd=$0 len=$1 off=$2w addr=&3",
	"PrepSplice":         "opcode=30 splice_fd_in=$0 splice_off_in=$1 fd=$2 off=$3 len=<4 op_flags=$5",
	"PrepProvideBuffers": "opcode=31 addr=&0 len=$1 fd=$2 buf_group=$3 off=$4",
	"PrepRemoveBuffers":  "opcode=32 fd=$0 buf_group=$1",
	"PrepTee":            "opcode=33 splice_fd_in=$0 fd=$1 len=<2 op_flags=$3",
	"PrepShutdown":       "opcode=34 fd=$0 len=$1",
	"PrepRenameat":       "opcode=35 fd=$0 addr=&1 len=$2 addr2=&3 op_flags=$4",
	"PrepUnlinkat":       "opcode=36 fd=$0 addr=&1 op_flags=$2",
	"PrepMkdirat":        "opcode=37 fd=$0 addr=&1 len=$2",
	"PrepSymlinkat":      "opcode=38 addr=&0 fd=$1 addr2=&2",
	"PrepLinkat":         "opcode=39 fd=$0 addr=&1 len=$2 addr2=&3 op_flags=$4",
	"PrepMsgRing":        "opcode=40 fd=$0 addr=0 len=$1 off=$2 op_flags=$3",
	"PrepMsgRingFd":      "opcode=40 fd=$0 addr=1 addr3=$1 file_index=$2+1 off=$3 op_flags=$4",
	"PrepFsetxattr":      "opcode=41 fd=$0 addr=&1 addr2=&2 len=#2 op_flags=$3",
	"PrepSetxattr":       "opcode=42 addr3=&0 addr=&1 addr2=&2 len=#2 op_flags=$3",
	"PrepFgetxattr":      "opcode=43 fd=$0 addr=&1 addr2=&2 len=#2",
	"PrepGetxattr":       "opcode=44 addr3=&0 addr=&1 addr2=&2 len=#2",
	"PrepSocket":         "opcode=45 fd=$0 off=$1 len=$2",
	"PrepCommand":        "opcode=46 fd=$0 cmd_op=$1",
	"PrepSocketOption":   "opcode=46 cmd_op=$0 fd=$1 level=$2 optname=$3 optlen=#4 optval=&4",
	"PrepSendZC":         "opcode=47 fd=$0 addr=&1 len=#1 op_flags=$2",
	"PrepSendmsgZC":      "opcode=48 fd=$0 addr=&1 len=1 op_flags=$2",
	"PrepReadMultishot":  "opcode=49 fd=$0 off=-1 flags=0x20 buf_group=$1",
	"PrepWaitid":         "opcode=50 len=$0 fd=$1 addr2=&2 file_index=$3",
	"PrepFutexWait":      "opcode=51 addr=&0 addr2=$1 addr3=$2 fd=$3 op_flags=$4",
	"PrepFutexWake":      "opcode=52 addr=&0 addr2=$1 addr3=$2 fd=$3 op_flags=$4",
	"PrepFutexWaitv":     "opcode=53 addr=&0 len=#0 op_flags=$1",
	"PrepFixedFdInstall": "opcode=54 fd=$0 flags=1 op_flags=$1",
	"PrepFtruncate":      "opcode=55 fd=$0 off=$1",
	"PrepBind":           "opcode=56 fd=$0 addr=&1 off=$2",
	"PrepListen":         "opcode=57 fd=$0 len=$1",
	"PrepEpollWait":      "opcode=59 fd=$0 addr=&1 len=#1",
	"PrepReadvFixed":     "opcode=60 fd=$0 addr=&1 len=#1 off=$2 op_flags=$3 buf_index=$4",
	"PrepWritevFixed":    "opcode=61 fd=$0 addr=&1 len=#1 off=$2 op_flags=$3 buf_index=$4",
	"PrepPipe":           "opcode=62 fd=0 addr=&0 op_flags=$1",
}

func checkEncoding(t *testing.T, name string, tape []byte) {
	next := func() uint64 {
		var eight [8]byte
		n := copy(eight[:], tape)
		tape = tape[n:]
		return binary.LittleEndian.Uint64(eight[:])
	}
	// All of the entry is rubbish, but the two fields that are kept.
	s := new(uring.SQE)
	raw := (*[64]byte)(unsafe.Pointer(s))
	for i := range raw {
		raw[i] = 0xa5
	}
	kept := next()
	s.Flags, s.UserData = uring.SQEFlags(kept), kept*0x9e3779b97f4a7c15
	flags, userData := uint64(s.Flags), s.UserData

	method, _ := reflect.TypeFor[*uring.SQE]().MethodByName(name)
	args := []reflect.Value{reflect.ValueOf(s)}
	for i := 1; i < method.Type.NumIn(); i++ {
		args = append(args, argument(method.Type.In(i), next()))
	}
	method.Func.Call(args)

	var want [64]byte
	put(&want, "user_data", userData)
	for _, word := range strings.Fields(encodings[name]) {
		field, expression, _ := strings.Cut(word, "=")
		v := evaluate(expression, args[1:])
		if field == "flags" {
			flags |= v
			continue
		}
		put(&want, field, v)
	}
	put(&want, "flags", flags)
	if want != *raw {
		var given []any
		for _, v := range args[1:] {
			given = append(given, v.Interface())
		}
		t.Errorf("%s%v encodes\n% x, the kernel wants\n% x", name, given, *raw, want)
	}
}

// argument makes a value of the type from 64 bits.
func argument(kind reflect.Type, bits uint64) reflect.Value {
	switch v := reflect.New(kind).Elem(); kind.Kind() {
	case reflect.Int:
		v.SetInt(int64(int32(bits))) // descriptors and counts: the kernel has 32 bits
		return v
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(bits & (1<<(8*kind.Size()-1)<<1 - 1))
		return v
	case reflect.Bool:
		v.SetBool(bits&1 != 0)
		return v
	case reflect.Slice:
		return reflect.MakeSlice(kind, int(bits%100), 100)
	case reflect.Pointer:
		if bits&1 != 0 {
			return reflect.New(kind.Elem())
		}
		return v
	case reflect.UnsafePointer:
		return reflect.ValueOf(unsafe.Pointer(new(unix.RawSockaddrAny)))
	default:
		panic("no argument of type " + kind.String())
	}
}

// put stores the lower bytes of v in a field, as this machine does.
func put(sqe *[64]byte, field string, v uint64) {
	at, ok := sqeFields[field]
	if !ok {
		panic("there is no field " + field)
	}
	var eight [8]byte
	binary.NativeEndian.PutUint64(eight[:], v<<(64-8*at[1]))
	if bigEndianMachine() {
		copy(sqe[at[0]:at[0]+at[1]], eight[:])
	} else {
		copy(sqe[at[0]:at[0]+at[1]], eight[8-at[1]:])
	}
}

func bigEndianMachine() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) != 1 }

// evaluate reads an expression of encodings.
func evaluate(expression string, args []reflect.Value) uint64 {
	if left, right, ok := strings.Cut(expression, "+"); ok {
		return evaluate(left, args) + evaluate(right, args)
	}
	if left, right, ok := strings.Cut(expression, "|"); ok {
		return evaluate(left, args) | evaluate(right, args)
	}
	const mostMoved = 0x7ffff000 // MAX_RW_COUNT with pages of 4 KiB
	arg := func() reflect.Value { return args[expression[1]-'0'] }
	switch expression[0] {
	case '$':
		if strings.HasSuffix(expression, "w") {
			return number(arg()) & 0xffffffff
		}
		return number(arg())
	case '<':
		return min(number(arg()), mostMoved)
	case '~':
		v := uint32(number(arg()))
		if bigEndianMachine() {
			v = v<<16 | v>>16
		}
		return uint64(v)
	case '&':
		if v := arg(); v.Kind() == reflect.Slice && v.Len() == 0 {
			return 0
		}
		return uint64(arg().Pointer())
	case '#':
		return uint64(min(arg().Len(), mostMoved))
	case '?':
		if arg().Bool() {
			return evaluate(expression[3:], args)
		}
		return 0
	}
	v, err := strconv.ParseInt(expression, 0, 64)
	if err != nil {
		panic(err)
	}
	return uint64(v)
}

func number(v reflect.Value) uint64 {
	if v.CanInt() {
		return uint64(v.Int())
	}
	return v.Uint()
}
