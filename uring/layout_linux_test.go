package uring

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// abiTable is testdata/uapi.txt: what a C compiler made of the kernel's header.
type abiTable struct {
	fields    map[string][2]uint64 // "struct field" (field "." is the whole): offset, size
	constants map[string]int64
}

func readTable(t *testing.T) abiTable {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "uapi.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := abiTable{fields: map[string][2]uint64{}, constants: map[string]int64{}}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 4 && words[0] != "#":
			var at [2]uint64
			if _, err := fmt.Sscan(words[2]+" "+words[3], &at[0], &at[1]); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			table.fields[words[0]+" "+words[1]] = at
		case len(words) == 2:
			var v int64
			if _, err := fmt.Sscan(words[1], &v); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			table.constants[words[0]] = v
		case words[0] != "#":
			t.Fatalf("%q is no line of the table", lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return table
}

// mirrors says which Go struct stands for which C struct, and the C names of
// the Go fields in order, without the blank ones.
var mirrors = []struct {
	c      string
	goType reflect.Type
	fields string
}{
	{"io_uring_sqe", reflect.TypeFor[SQE](), "opcode flags ioprio fd off addr len rw_flags user_data buf_index personality file_index addr3"},
	{"io_uring_cqe", reflect.TypeFor[CQE](), "user_data res flags"},
	{"io_sqring_offsets", reflect.TypeFor[sqOffsets](), "head tail ring_mask ring_entries flags dropped array user_addr"},
	{"io_cqring_offsets", reflect.TypeFor[cqOffsets](), "head tail ring_mask ring_entries overflow cqes flags user_addr"},
	{"io_uring_params", reflect.TypeFor[params](), "sq_entries cq_entries flags sq_thread_cpu sq_thread_idle features wq_fd sq_off cq_off"},
	{"io_uring_getevents_arg", reflect.TypeFor[geteventsArg](), "sigmask sigmask_sz min_wait_usec ts"},
	{"__kernel_timespec", reflect.TypeFor[Timespec](), "tv_sec tv_nsec"},
	{"io_uring_rsrc_register", reflect.TypeFor[rsrcRegister](), "nr flags data tags"},
	{"io_uring_rsrc_update", reflect.TypeFor[rsrcUpdate](), "offset data"},
	{"io_uring_files_update", reflect.TypeFor[rsrcUpdate](), "offset fds"},
	{"io_uring_rsrc_update2", reflect.TypeFor[rsrcUpdate2](), "offset data tags nr"},
	{"io_uring_clone_buffers", reflect.TypeFor[cloneBuffers](), "src_fd flags src_off dst_off nr"},
	{"io_uring_file_index_range", reflect.TypeFor[fileIndexRange](), "off len"},
	{"io_uring_buf", reflect.TypeFor[providedBuffer](), "addr len bid io_uring_buf_ring.tail"},
	{"io_uring_buf_reg", reflect.TypeFor[bufferRingRegister](), "ring_addr ring_entries bgid flags min_left"},
	{"io_uring_buf_status", reflect.TypeFor[bufferRingStatus](), "buf_group head"},
	{"io_uring_probe_op", reflect.TypeFor[probeOp](), "op flags"},
	{"io_uring_probe", reflect.TypeFor[probeHeader](), "last_op ops_len"},
	{"io_uring_restriction", reflect.TypeFor[Restriction](), "opcode sqe_op"},
	{"io_uring_sync_cancel_reg", reflect.TypeFor[syncCancelRegister](), "addr fd flags timeout opcode"},
	{"io_uring_clock_register", reflect.TypeFor[clockRegister](), "clockid"},
	{"io_uring_recvmsg_out", reflect.TypeFor[recvmsgOut](), "namelen controllen payloadlen flags"},
	{"futex_waitv", reflect.TypeFor[FutexWaiter](), "val uaddr flags"},
	{"io_uring_napi", reflect.TypeFor[napi](), "busy_poll_to prefer_busy_poll"},
}

func TestStructLayoutDiffersFromKernelHeader(t *testing.T) {
	table := readTable(t)
	seen := map[string]bool{}
	for _, m := range mirrors {
		check := func(key string, offset, size uintptr) {
			t.Helper()
			seen[key] = true
			want, ok := table.fields[key]
			if got := [2]uint64{uint64(offset), uint64(size)}; !ok || got != want {
				t.Errorf("%s: Go has %v (offset, size), C has %v (in the table: %v)", key, got, want, ok)
			}
		}
		check(m.c+" .", 0, m.goType.Size())
		names := strings.Fields(m.fields)
		for i := range m.goType.NumField() {
			f := m.goType.Field(i)
			if f.Name == "_" {
				continue
			}
			if len(names) == 0 {
				t.Fatalf("%s: no C name for the Go field %s", m.c, f.Name)
			}
			key := m.c + " " + names[0]
			if owner, field, ok := strings.Cut(names[0], "."); ok {
				key = owner + " " + field
			}
			check(key, f.Offset, f.Type.Size())
			names = names[1:]
		}
		if len(names) != 0 {
			t.Errorf("%s: no Go field for %v", m.c, names)
		}
	}
	for key := range table.fields {
		if !seen[key] {
			t.Errorf("%s is in the table and in no Go struct", key)
		}
	}
}

// goConstants are the package's constants, as the compiler's type checker sees
// them in the source, by lower-case name.
func goConstants(t *testing.T) (values map[string]constant.Value, kinds map[string]string) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		t.Skip("SKIP-SOURCE: the package's source is not here, only its tests")
	}
	// Imports are not resolved: no constant here needs them.
	config := types.Config{Error: func(error) {}, IgnoreFuncBodies: true}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}}
	_, _ = config.Check("uring", set, files, info) // the missing imports
	values, kinds = map[string]constant.Value{}, map[string]string{}
	for _, object := range info.Defs {
		c, ok := object.(*types.Const)
		if !ok || c.Name() == "_" {
			continue
		}
		values[strings.ToLower(c.Name())] = c.Val()
		kinds[c.Name()] = c.Type().String()
	}
	return values, kinds
}

// renamed are the constants whose Go name does not follow from the C name.
var renamed = map[string]string{
	"IO_URING_OP_SUPPORTED":                 "opSupported",
	"IORING_REGISTER_SRC_REGISTERED":        "cloneFromRegistered",
	"IORING_REGISTER_DST_REPLACE":           "cloneReplace",
	"IORING_REGISTER_FILES_SKIP":            "FileSkip",
	"IORING_REGISTER_USE_REGISTERED_RING":   "registerUseRegisteredRing",
	"IORING_OFF_SQ_RING":                    "offsetSQRing",
	"IORING_OFF_CQ_RING":                    "offsetCQRing",
	"IORING_OFF_SQES":                       "offsetSQEs",
	"IOU_PBUF_RING_INC":                     "BufferRingIncremental",
	"IORING_RESTRICTION_REGISTER_OP":        "restrictRegisterOp",
	"IORING_RESTRICTION_SQE_OP":             "restrictOp",
	"IORING_RESTRICTION_SQE_FLAGS_ALLOWED":  "restrictFlagsAllowed",
	"IORING_RESTRICTION_SQE_FLAGS_REQUIRED": "restrictFlagsRequired",
	"SPLICE_F_FD_IN_FIXED":                  "SpliceFdInFixed",
	"SOCKET_URING_OP_SIOCINQ":               "SocketInq",
	"SOCKET_URING_OP_SIOCOUTQ":              "SocketOutq",
	"SOCKET_URING_OP_GETSOCKOPT":            "SocketGetOption",
	"SOCKET_URING_OP_SETSOCKOPT":            "SocketSetOption",
	"SOCKET_URING_OP_TX_TIMESTAMP":          "SocketTimestamps",
	"SOCKET_URING_OP_GETSOCKNAME":           "SocketName",
}

// absent are the constants that the package has no use for, and why.
var absent = map[string]string{
	"IORING_RW_ATTR_FLAG_PI":         "integrity data of block devices",
	"IORING_URING_CMD_FIXED":         "registered buffers in driver commands",
	"IORING_URING_CMD_MASK":          "a mask",
	"IORING_TIMEOUT_CLOCK_MASK":      "a mask",
	"IORING_TIMEOUT_UPDATE_MASK":     "a mask",
	"IORING_OFF_MMAP_MASK":           "a mask",
	"IORING_OFF_PBUF_RING":           "buffer rings lie in our memory",
	"IORING_OFF_PBUF_SHIFT":          "buffer rings lie in our memory",
	"IOU_PBUF_RING_MMAP":             "buffer rings lie in our memory",
	"IO_WQ_BOUND":                    "an index, see IOWQMaxWorkers",
	"IO_WQ_UNBOUND":                  "an index, see IOWQMaxWorkers",
	"IORING_MEM_REGION_TYPE_USER":    "wait regions",
	"IORING_MEM_REGION_REG_WAIT_ARG": "wait regions",
	"IORING_REG_WAIT_TS":             "wait regions",
	"IORING_RESTRICTION_LAST":        "a count",
	"IORING_TIMESTAMP_HW_SHIFT":      "in CQEFTstampHW",
	"IORING_TIMESTAMP_TYPE_SHIFT":    "socket timestamps",
}

// goName is the Go name of a C constant, in lower case.
func goName(c string) string {
	if name, ok := renamed[c]; ok {
		return strings.ToLower(name)
	}
	for _, p := range [][2]string{
		{"IORING_UNREGISTER_", "registeropunregister"},
		{"IORING_REGISTER_", "registerop"},
		{"IORING_ASYNC_CANCEL_", "cancel"},
		{"IOSQE_", "sqe"},
		{"IORING_", ""},
	} {
		if rest, ok := strings.CutPrefix(c, p[0]); ok {
			return p[1] + strings.ToLower(strings.ReplaceAll(rest, "_", ""))
		}
	}
	return c
}

func TestConstantDiffersFromKernelHeader(t *testing.T) {
	table := readTable(t)
	values, kinds := goConstants(t)
	matched := map[string]bool{}
	for c, want := range table.constants {
		if _, ok := absent[c]; ok {
			continue
		}
		name := goName(c)
		got, ok := values[name]
		if !ok {
			t.Errorf("%s = %d has no Go constant %s", c, want, name)
			continue
		}
		matched[name] = true
		// Compared modulo 2^32: the fields have 32 bits, and some constants
		// are unsigned in C and signed in Go.
		v, exact := constant.Int64Val(got)
		if !exact || uint32(v) != uint32(want) {
			t.Errorf("%s = %d, in Go %s = %v", c, want, name, got)
		}
	}
	for name, kind := range kinds {
		switch strings.TrimPrefix(kind, "uring.") {
		case "Op", "SetupFlags", "enterFlags", "Features", "SQEFlags", "RegisterOp", "restrictionKind", "BufferRingFlags":
			if name != "unsupportedFlags" && !matched[strings.ToLower(name)] {
				t.Errorf("the Go constant %s is not in the table", name)
			}
		}
	}
	for c := range renamed {
		if _, ok := table.constants[c]; !ok {
			t.Errorf("%s is renamed, but not in the table", c)
		}
	}
}

func TestNameDiffersFromKernelHeader(t *testing.T) {
	table := readTable(t)
	check := func(c, name string, value uint64) {
		t.Helper()
		if want, ok := table.constants[c]; !ok || uint64(want) != value {
			t.Errorf("the name %q of %#x: %s is %#x in the table (there: %v)", name, value, c, want, ok)
		}
	}
	for op := range OpLast {
		check("IORING_OP_"+strings.ToUpper(op.String()), op.String(), uint64(op))
	}
	for op := range RegisterOpLast {
		check("IORING_"+strings.ToUpper(op.String()), op.String(), uint64(op))
	}
	for i, name := range setupNames {
		check("IORING_SETUP_"+SetupFlags(1<<i).String(), name, 1<<i)
	}
	for i, name := range enterNames {
		check("IORING_ENTER_"+enterFlags(1<<i).String(), name, 1<<i)
	}
	for i, name := range featureNames {
		check("IORING_FEAT_"+Features(1<<i).String(), name, 1<<i)
	}
	for i, name := range sqeNames {
		check("IOSQE_"+SQEFlags(1<<i).String(), name, 1<<i)
	}
	if got, want := (SetupSQPoll | SetupDeferTaskrun | 1<<30).String(), "SQPOLL|DEFER_TASKRUN|0x40000000"; got != want {
		t.Errorf("String is %q, want %q", got, want)
	}
	if got := SetupFlags(0).String() + " " + Op(200).String() + " " + RegisterOp(99).String(); got != "0 op200 register99" {
		t.Errorf("the names of unknown values are %q", got)
	}
}
