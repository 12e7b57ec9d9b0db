/* SPDX-License-Identifier: MIT */
/* Whole messages: with what goes beside the bytes, above all descriptors over
 * Unix sockets, and several datagrams at once. What weft/io/io.h says of
 * descriptors, turns, deadlines and errors holds here, too.
 *
 * A descriptor that is sent may be known to the runtime or not, and may be
 * closed as soon as the call has returned. One that was received is close-on-
 * exec and not known: weft_open_fd() makes it so, unless it is a regular file;
 * close(2) closes it until then. What both sides hold is one open file, with
 * one position and one O_NONBLOCK. */
#ifndef WEFT_IO_MESSAGE_H_
#define WEFT_IO_MESSAGE_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "weft/base/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The kernel sends no more descriptors with one message (SCM_MAX_FD). */
#define WEFT_FDS_MAX 253

/* Two connected Unix sockets, known to the runtime, non-blocking and close-on-
 * exec; `type` is SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. Returns 0; -EINVAL
 * for another type; -EPERM when no runtime runs; -EMFILE, -ENFILE, -ENOMEM,
 * -ENOSPC. Context: any thread while weft_run() runs; does not wait. */
int weft_socketpair(int type, int ends[2]);

/* Sends all `size` bytes (1 and more) over a Unix socket, and with the first of
 * them the `count` descriptors in `fds` (0 to WEFT_FDS_MAX). Returns `size`;
 * -EINVAL for no bytes or too many descriptors, -EBADF for one of them that is
 * not open, -ETOOMANYREFS when too many of this user are under way, -EPIPE,
 * -EMSGSIZE for a datagram that is too long, others of sendmsg(2), and those of
 * all of io.h. After an error some bytes may have been sent, and the
 * descriptors with them. Context: task, may switch. */
ssize_t weft_send_fds(int fd, const void *data, size_t size, const int *fds,
                      int count, uint64_t deadline);

/* Takes up to `size` bytes, as soon as there are any, and the descriptors that
 * came with them: `*count` is the room in `fds` (0 to WEFT_FDS_MAX), and then
 * how many there were, 0 after an error. A read of a stream stops behind bytes
 * that descriptors came with. Returns the number of bytes, 0 at the end of the
 * stream; -EMSGSIZE when there was no room for all descriptors: none is left
 * open, and the bytes are lost; -EINVAL for a room that cannot be; others of
 * recvmsg(2), and those of all of io.h. Where the socket was told to pass other
 * things along (SO_PASSCRED), weft_recvmsg() is the call. Context: task, may
 * switch. */
ssize_t weft_recv_fds(int fd, void *data, size_t size, int *fds, int *count,
                      uint64_t deadline);

/* sendmsg(2) and recvmsg(2) with a deadline, of any socket. Sending may take a
 * part of the bytes, as weft_write_some() does; receiving writes into
 * `*message` what the system call does. `flags` are those of the system calls;
 * MSG_DONTWAIT is always among them, MSG_NOSIGNAL in sending, MSG_CMSG_CLOEXEC
 * in receiving. Return the number of bytes (with MSG_TRUNC that of the whole
 * datagram), the errors of the system call, and those of all of io.h. Context:
 * task, may switch. */
ssize_t weft_sendmsg(int fd, const struct msghdr *message, int flags,
                     uint64_t deadline);
ssize_t weft_recvmsg(int fd, struct msghdr *message, int flags,
                     uint64_t deadline);

/* sendmmsg(2) and recvmmsg(2), for many datagrams with one system call: waits
 * until one can be sent or is there, and does as many of the `n` (1 and more;
 * 1,024 are the most) as can be done at once. Return how many that were, each
 * one's length in its `msg_len`; an error that came behind the first is told by
 * the next call. -EINVAL for no messages, those of the system call, and those
 * of all of io.h. Context: task, may switch. */
struct mmsghdr;
int weft_sendmmsg(int fd, struct mmsghdr *messages, unsigned n,
                  uint64_t deadline);
int weft_recvmmsg(int fd, struct mmsghdr *messages, unsigned n,
                  uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif
