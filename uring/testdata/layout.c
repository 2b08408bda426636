/*
 * Prints what a C compiler makes of io_uring's UAPI header: the offset and the
 * size of each field that the Go package mirrors ("struct field offset size",
 * the field "." being the struct as a whole), then every constant of the header
 * ("name value"). layout.sh compiles it; NAMES lists the constants.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <linux/futex.h>
#include UAPI_HEADER

#define WHOLE(s) printf("%s . 0 %zu\n", #s, sizeof(struct s))
#define FIELD(s, f) \
	printf("%s %s %zu %zu\n", #s, #f, offsetof(struct s, f), sizeof(((struct s *)0)->f))
#define NAME(n) printf("%s %lld\n", #n, (long long)(n))

static void entries(void)
{
	WHOLE(io_uring_sqe);
	FIELD(io_uring_sqe, opcode);
	FIELD(io_uring_sqe, flags);
	FIELD(io_uring_sqe, ioprio);
	FIELD(io_uring_sqe, fd);
	FIELD(io_uring_sqe, off);
	FIELD(io_uring_sqe, addr);
	FIELD(io_uring_sqe, len);
	FIELD(io_uring_sqe, rw_flags);
	FIELD(io_uring_sqe, user_data);
	FIELD(io_uring_sqe, buf_index);
	FIELD(io_uring_sqe, personality);
	FIELD(io_uring_sqe, file_index);
	FIELD(io_uring_sqe, addr3);
	WHOLE(io_uring_cqe);
	FIELD(io_uring_cqe, user_data);
	FIELD(io_uring_cqe, res);
	FIELD(io_uring_cqe, flags);
}

static void setup(void)
{
	WHOLE(io_sqring_offsets);
	FIELD(io_sqring_offsets, head);
	FIELD(io_sqring_offsets, tail);
	FIELD(io_sqring_offsets, ring_mask);
	FIELD(io_sqring_offsets, ring_entries);
	FIELD(io_sqring_offsets, flags);
	FIELD(io_sqring_offsets, dropped);
	FIELD(io_sqring_offsets, array);
	FIELD(io_sqring_offsets, user_addr);
	WHOLE(io_cqring_offsets);
	FIELD(io_cqring_offsets, head);
	FIELD(io_cqring_offsets, tail);
	FIELD(io_cqring_offsets, ring_mask);
	FIELD(io_cqring_offsets, ring_entries);
	FIELD(io_cqring_offsets, overflow);
	FIELD(io_cqring_offsets, cqes);
	FIELD(io_cqring_offsets, flags);
	FIELD(io_cqring_offsets, user_addr);
	WHOLE(io_uring_params);
	FIELD(io_uring_params, sq_entries);
	FIELD(io_uring_params, cq_entries);
	FIELD(io_uring_params, flags);
	FIELD(io_uring_params, sq_thread_cpu);
	FIELD(io_uring_params, sq_thread_idle);
	FIELD(io_uring_params, features);
	FIELD(io_uring_params, wq_fd);
	FIELD(io_uring_params, sq_off);
	FIELD(io_uring_params, cq_off);
	WHOLE(io_uring_getevents_arg);
	FIELD(io_uring_getevents_arg, sigmask);
	FIELD(io_uring_getevents_arg, sigmask_sz);
	FIELD(io_uring_getevents_arg, min_wait_usec);
	FIELD(io_uring_getevents_arg, ts);
	WHOLE(__kernel_timespec);
	FIELD(__kernel_timespec, tv_sec);
	FIELD(__kernel_timespec, tv_nsec);
}

static void resources(void)
{
	WHOLE(io_uring_rsrc_register);
	FIELD(io_uring_rsrc_register, nr);
	FIELD(io_uring_rsrc_register, flags);
	FIELD(io_uring_rsrc_register, data);
	FIELD(io_uring_rsrc_register, tags);
	WHOLE(io_uring_rsrc_update);
	FIELD(io_uring_rsrc_update, offset);
	FIELD(io_uring_rsrc_update, data);
	WHOLE(io_uring_rsrc_update2);
	FIELD(io_uring_rsrc_update2, offset);
	FIELD(io_uring_rsrc_update2, data);
	FIELD(io_uring_rsrc_update2, tags);
	FIELD(io_uring_rsrc_update2, nr);
	WHOLE(io_uring_files_update);
	FIELD(io_uring_files_update, offset);
	FIELD(io_uring_files_update, fds);
	WHOLE(io_uring_clone_buffers);
	FIELD(io_uring_clone_buffers, src_fd);
	FIELD(io_uring_clone_buffers, flags);
	FIELD(io_uring_clone_buffers, src_off);
	FIELD(io_uring_clone_buffers, dst_off);
	FIELD(io_uring_clone_buffers, nr);
	WHOLE(io_uring_file_index_range);
	FIELD(io_uring_file_index_range, off);
	FIELD(io_uring_file_index_range, len);
	WHOLE(io_uring_buf);
	FIELD(io_uring_buf, addr);
	FIELD(io_uring_buf, len);
	FIELD(io_uring_buf, bid);
	FIELD(io_uring_buf_ring, tail);
	WHOLE(io_uring_buf_reg);
	FIELD(io_uring_buf_reg, ring_addr);
	FIELD(io_uring_buf_reg, ring_entries);
	FIELD(io_uring_buf_reg, bgid);
	FIELD(io_uring_buf_reg, flags);
	FIELD(io_uring_buf_reg, min_left);
	WHOLE(io_uring_buf_status);
	FIELD(io_uring_buf_status, buf_group);
	FIELD(io_uring_buf_status, head);
}

static void others(void)
{
	WHOLE(io_uring_probe_op);
	FIELD(io_uring_probe_op, op);
	FIELD(io_uring_probe_op, flags);
	WHOLE(io_uring_probe);
	FIELD(io_uring_probe, last_op);
	FIELD(io_uring_probe, ops_len);
	WHOLE(io_uring_restriction);
	FIELD(io_uring_restriction, opcode);
	FIELD(io_uring_restriction, sqe_op);
	WHOLE(io_uring_sync_cancel_reg);
	FIELD(io_uring_sync_cancel_reg, addr);
	FIELD(io_uring_sync_cancel_reg, fd);
	FIELD(io_uring_sync_cancel_reg, flags);
	FIELD(io_uring_sync_cancel_reg, timeout);
	FIELD(io_uring_sync_cancel_reg, opcode);
	WHOLE(io_uring_clock_register);
	FIELD(io_uring_clock_register, clockid);
	WHOLE(io_uring_napi);
	FIELD(io_uring_napi, busy_poll_to);
	FIELD(io_uring_napi, prefer_busy_poll);
	WHOLE(io_uring_recvmsg_out);
	FIELD(io_uring_recvmsg_out, namelen);
	FIELD(io_uring_recvmsg_out, controllen);
	FIELD(io_uring_recvmsg_out, payloadlen);
	FIELD(io_uring_recvmsg_out, flags);
	WHOLE(futex_waitv);
	FIELD(futex_waitv, val);
	FIELD(futex_waitv, uaddr);
	FIELD(futex_waitv, flags);
}

int main(void)
{
	entries();
	setup();
	resources();
	others();
#include NAMES
	return 0;
}
