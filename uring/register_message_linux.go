package uring

import (
	"unsafe"

	"github.com/eddyio/eddy/internal/sys"
)

// SendMsgRing posts a completion with UserData data and Res n on the ring with
// the given descriptor, without using a ring for it
// (IORING_REGISTER_SEND_MSG_RING, kernel 6.13). It may be called concurrently.
func SendMsgRing(ringFd int, n uint32, data uint64) error {
	entry := new(SQE)
	entry.PrepMsgRing(ringFd, n, data, 0)
	_, errno := sys.RegisterRing(-1, uint32(RegisterOpSendMsgRing), unsafe.Pointer(entry), 1)
	return asError(errno)
}
