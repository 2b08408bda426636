package uring

import "strconv"

// A RegisterOp is an opcode of io_uring_register(2): enum io_uring_register_op.
type RegisterOp uint32

// The registration opcodes, with the kernel version that introduced each.
// io_uring_register(2) explains them. The methods of Ring use them; a caller
// needs them for [AllowRegister].
const (
	RegisterOpBuffers               RegisterOp = iota // 5.1
	RegisterOpUnregisterBuffers                       // 5.1
	RegisterOpFiles                                   // 5.1
	RegisterOpUnregisterFiles                         // 5.1
	RegisterOpEventfd                                 // 5.2
	RegisterOpUnregisterEventfd                       // 5.2
	RegisterOpFilesUpdate                             // 5.5
	RegisterOpEventfdAsync                            // 5.6
	RegisterOpProbe                                   // 5.6
	RegisterOpPersonality                             // 5.6
	RegisterOpUnregisterPersonality                   // 5.6
	RegisterOpRestrictions                            // 5.10
	RegisterOpEnableRings                             // 5.10
	RegisterOpFiles2                                  // 5.13
	RegisterOpFilesUpdate2                            // 5.13
	RegisterOpBuffers2                                // 5.13
	RegisterOpBuffersUpdate                           // 5.13
	RegisterOpIOWQAff                                 // 5.14
	RegisterOpUnregisterIOWQAff                       // 5.14
	RegisterOpIOWQMaxWorkers                          // 5.15
	RegisterOpRingFds                                 // 5.18
	RegisterOpUnregisterRingFds                       // 5.18
	RegisterOpPbufRing                                // 5.19
	RegisterOpUnregisterPbufRing                      // 5.19
	RegisterOpSyncCancel                              // 6.0
	RegisterOpFileAllocRange                          // 6.0
	RegisterOpPbufStatus                              // 6.8
	RegisterOpNapi                                    // 6.9
	RegisterOpUnregisterNapi                          // 6.9
	RegisterOpClock                                   // 6.12
	RegisterOpCloneBuffers                            // 6.12
	RegisterOpSendMsgRing                             // 6.13
	RegisterOpZcrxIfq                                 // 6.15
	RegisterOpResizeRings                             // 6.13
	RegisterOpMemRegion                               // 6.13
	RegisterOpQuery                                   // 6.18
	RegisterOpZcrxCtrl                                // after 6.18
	RegisterOpBpfFilter                               // after 6.18

	// RegisterOpLast is one more than the highest opcode known here.
	RegisterOpLast
)

// registerUseRegisteredRing, added to an opcode, makes the descriptor an index
// of the registered rings (kernel 6.3). Not used: no registration is hot.
//
//lint:ignore U1000 the table of the kernel's constants has it
const registerUseRegisteredRing = 1 << 31

var registerNames = [RegisterOpLast]string{
	"register_buffers", "unregister_buffers", "register_files", "unregister_files",
	"register_eventfd", "unregister_eventfd", "register_files_update", "register_eventfd_async",
	"register_probe", "register_personality", "unregister_personality", "register_restrictions",
	"register_enable_rings", "register_files2", "register_files_update2", "register_buffers2",
	"register_buffers_update", "register_iowq_aff", "unregister_iowq_aff",
	"register_iowq_max_workers", "register_ring_fds", "unregister_ring_fds", "register_pbuf_ring",
	"unregister_pbuf_ring", "register_sync_cancel", "register_file_alloc_range",
	"register_pbuf_status", "register_napi", "unregister_napi", "register_clock",
	"register_clone_buffers", "register_send_msg_ring", "register_zcrx_ifq",
	"register_resize_rings", "register_mem_region", "register_query", "register_zcrx_ctrl",
	"register_bpf_filter",
}

// String returns the kernel's name in lower case without "IORING_".
func (op RegisterOp) String() string {
	if op < RegisterOpLast {
		return registerNames[op]
	}
	return "register" + strconv.FormatUint(uint64(op), 10)
}
