package uring

import "strconv"

// An Op is the opcode of a submission entry: enum io_uring_op of
// include/uapi/linux/io_uring.h. [Ring.Probe] says which of them the running
// kernel supports.
type Op uint8

// The opcodes, with the kernel version that introduced each.
const (
	OpNop            Op = iota // 5.1
	OpReadv                    // 5.1
	OpWritev                   // 5.1
	OpFsync                    // 5.1
	OpReadFixed                // 5.1
	OpWriteFixed               // 5.1
	OpPollAdd                  // 5.1
	OpPollRemove               // 5.1
	OpSyncFileRange            // 5.2
	OpSendmsg                  // 5.3
	OpRecvmsg                  // 5.3
	OpTimeout                  // 5.4
	OpTimeoutRemove            // 5.5
	OpAccept                   // 5.5
	OpAsyncCancel              // 5.5
	OpLinkTimeout              // 5.5
	OpConnect                  // 5.5
	OpFallocate                // 5.6
	OpOpenat                   // 5.6
	OpClose                    // 5.6
	OpFilesUpdate              // 5.6
	OpStatx                    // 5.6
	OpRead                     // 5.6
	OpWrite                    // 5.6
	OpFadvise                  // 5.6
	OpMadvise                  // 5.6
	OpSend                     // 5.6
	OpRecv                     // 5.6
	OpOpenat2                  // 5.6
	OpEpollCtl                 // 5.6
	OpSplice                   // 5.7
	OpProvideBuffers           // 5.7
	OpRemoveBuffers            // 5.7
	OpTee                      // 5.8
	OpShutdown                 // 5.11
	OpRenameat                 // 5.11
	OpUnlinkat                 // 5.11
	OpMkdirat                  // 5.15
	OpSymlinkat                // 5.15
	OpLinkat                   // 5.15
	OpMsgRing                  // 5.18
	OpFsetxattr                // 5.19
	OpSetxattr                 // 5.19
	OpFgetxattr                // 5.19
	OpGetxattr                 // 5.19
	OpSocket                   // 5.19
	OpUringCmd                 // 5.19
	OpSendZC                   // 6.0
	OpSendmsgZC                // 6.1
	OpReadMultishot            // 6.7
	OpWaitid                   // 6.7
	OpFutexWait                // 6.7
	OpFutexWake                // 6.7
	OpFutexWaitv               // 6.7
	OpFixedFdInstall           // 6.8
	OpFtruncate                // 6.9
	OpBind                     // 6.11
	OpListen                   // 6.11
	OpRecvZC                   // 6.15
	OpEpollWait                // 6.15
	OpReadvFixed               // 6.15
	OpWritevFixed              // 6.15
	OpPipe                     // 6.16
	OpNop128                   // after 6.18
	OpUringCmd128              // after 6.18

	// OpLast is one more than the highest opcode known here.
	OpLast
)

var opNames = [OpLast]string{
	"nop", "readv", "writev", "fsync", "read_fixed", "write_fixed", "poll_add", "poll_remove",
	"sync_file_range", "sendmsg", "recvmsg", "timeout", "timeout_remove", "accept", "async_cancel",
	"link_timeout", "connect", "fallocate", "openat", "close", "files_update", "statx", "read",
	"write", "fadvise", "madvise", "send", "recv", "openat2", "epoll_ctl", "splice",
	"provide_buffers", "remove_buffers", "tee", "shutdown", "renameat", "unlinkat", "mkdirat",
	"symlinkat", "linkat", "msg_ring", "fsetxattr", "setxattr", "fgetxattr", "getxattr", "socket",
	"uring_cmd", "send_zc", "sendmsg_zc", "read_multishot", "waitid", "futex_wait", "futex_wake",
	"futex_waitv", "fixed_fd_install", "ftruncate", "bind", "listen", "recv_zc", "epoll_wait",
	"readv_fixed", "writev_fixed", "pipe", "nop128", "uring_cmd128",
}

// String returns the kernel's name in lower case ("async_cancel"), or "op" and
// the number if this package does not know the opcode.
func (op Op) String() string {
	if op < OpLast {
		return opNames[op]
	}
	return "op" + strconv.Itoa(int(op))
}
