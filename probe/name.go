package probe

import "strconv"

// opNames are the operations by number: enum io_uring_op of
// include/uapi/linux/io_uring.h, in lower case.
var opNames = [...]string{
	"nop", "readv", "writev", "fsync", "read_fixed", "write_fixed", "poll_add", "poll_remove", // 0
	"sync_file_range", "sendmsg", "recvmsg", "timeout", "timeout_remove", "accept", "async_cancel", "link_timeout", // 8
	"connect", "fallocate", "openat", "close", "files_update", "statx", "read", "write", // 16
	"fadvise", "madvise", "send", "recv", "openat2", "epoll_ctl", "splice", "provide_buffers", // 24
	"remove_buffers", "tee", "shutdown", "renameat", "unlinkat", "mkdirat", "symlinkat", "linkat", // 32
	"msg_ring", "fsetxattr", "setxattr", "fgetxattr", "getxattr", "socket", "uring_cmd", "send_zc", // 40
	"sendmsg_zc", "read_multishot", "waitid", "futex_wait", "futex_wake", "futex_waitv", "fixed_fd_install", "ftruncate", // 48
	"bind", "listen", "recv_zc", "epoll_wait", "readv_fixed", "writev_fixed", "pipe", "nop128", // 56
	"uring_cmd128", // 64
}

// OpCount is one more than the highest operation number that has a name in this
// package.
const OpCount = len(opNames)

// OpName returns the kernel's name of an io_uring operation in lower case
// without prefix, such as "async_cancel", or "op" and the number if the
// operation is newer than this package.
func OpName(op uint8) string {
	if int(op) < len(opNames) {
		return opNames[op]
	}
	return "op" + strconv.Itoa(int(op))
}

// setupNames are the IORING_SETUP_ flags by bit. The bits are in the order in
// which kernels brought them.
var setupNames = [...]string{
	"iopoll", "sqpoll", "sq_aff", "cqsize", "clamp", "attach_wq", "r_disabled", "submit_all",
	"coop_taskrun", "taskrun_flag", "sqe128", "cqe32", "single_issuer", "defer_taskrun", "no_mmap",
	"registered_fd_only", "no_sqarray", "hybrid_iopoll", "cqe_mixed", "sqe_mixed", "sq_rewind",
}

// featureNames are the IORING_FEAT_ flags by bit.
var featureNames = [...]string{
	"single_mmap", "nodrop", "submit_stable", "rw_cur_pos", "cur_personality", "fast_poll",
	"poll_32bits", "sqpoll_nonfixed", "ext_arg", "native_workers", "rsrc_tags", "cqe_skip",
	"linked_file", "reg_reg_ring", "recvsend_bundle", "min_timeout", "rw_attr", "no_iowait",
}

// namesOf lists the names of the bits set, in order.
func namesOf(features uint32) []string {
	names := []string{}
	for bit := range 32 {
		switch {
		case features&(1<<bit) == 0:
		case bit < len(featureNames):
			names = append(names, featureNames[bit])
		default:
			names = append(names, "bit"+strconv.Itoa(bit))
		}
	}
	return names
}
