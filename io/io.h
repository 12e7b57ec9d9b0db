/* SPDX-License-Identifier: MIT */
/* Sockets and pipes for tasks: calls that look blocking and let others run.
 *
 * Descriptors are plain ints. Those made here (weft_listen, weft_accept,
 * weft_connect) are non-blocking, close-on-exec, and known to the runtime; one
 * made elsewhere is made known by weft_open_fd(). Each call tries at once and
 * waits only when the kernel has nothing; a deadline that has passed, or a
 * cancelled task, therefore still gets what is there.
 *
 * Any task may use any descriptor, several at once too: in each direction they
 * take turns, so what one weft_write() sends is not mixed with another's. What
 * a descriptor was opened with can be set by setsockopt(2) and the like as
 * ever.
 *
 * Errors are negative errno values. Besides those of the system call each call
 * that takes a deadline may return
 *     -ETIMEDOUT   the deadline has passed
 *     -ECANCELED   the task was cancelled
 *     -EBADF       not known to the runtime, or closed while the call waited
 *     -EPERM       it would have to wait, and the caller is no task; or no
 *                  runtime runs
 *     -ENOMEM      no memory for a timer
 * None returns -EINTR or -EAGAIN, and none raises SIGPIPE.
 *
 * Context of all that take a deadline: task, may switch. Of the others: any
 * thread while weft_run() runs, does not wait.
 *
 * Regular files cannot be waited for and are not for these calls: see
 * weft/io/file.h. */
#ifndef WEFT_IO_IO_H_
#define WEFT_IO_IO_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "weft/base/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A stream socket that listens on `address` (see weft/io/address.h): of TCP
 * (port 0: the kernel chooses one, see weft_local_port()), with SO_REUSEADDR
 * and, inherited by what it accepts, TCP_NODELAY; or a Unix one, whose file
 * must not be there before and is left when the socket is closed (unlink(2)).
 * `backlog` 0: as long as the kernel allows. Returns the descriptor, -EINVAL
 * for a bad address or backlog, -EPERM when no runtime runs, -EADDRINUSE,
 * -EACCES, -EMFILE, -ENOMEM and others of socket(2), bind(2), listen(2). */
int weft_listen(const char *address, int backlog);

/* Waits for a connection on `fd` and returns its descriptor; the other side's
 * address is put into `*peer` unless NULL. -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM
 * (and -ENOSPC, fs.epoll.max_user_watches) are for the caller to wait out;
 * connections that failed before they were accepted are passed over. */
int weft_accept(int fd, struct sockaddr_storage *peer, uint64_t deadline);

/* The same with flags of accept4(2): SOCK_CLOEXEC, as weft_accept() has it, or
 * 0 for a descriptor that programs which are executed get, too. It is always
 * non-blocking, whether SOCK_NONBLOCK is given or not. Errors as weft_accept(),
 * and -EINVAL for other flags. */
int weft_accept_flags(int fd, struct sockaddr_storage *peer, int flags,
                      uint64_t deadline);

/* Connects to `address`; returns the descriptor (of TCP with TCP_NODELAY),
 * -EINVAL for a bad address, -ECONNREFUSED, -ENOENT and others of connect(2).
 * While a Unix socket's backlog is full it tries again every 0.1 to 10 ms,
 * since the kernel has no news of that to wait for. */
int weft_connect(const char *address, uint64_t deadline);

/* Makes the descriptor `fd` known and non-blocking: for pipes, socket pairs,
 * terminals, inherited sockets. O_NONBLOCK belongs to the open file: who shares
 * it (a parent's terminal, a dup) gets it too. Returns 0, -EEXIST when it is
 * known already, -EPERM for a regular file or directory and when no runtime
 * runs, -EBADF, -EMFILE, -ENOMEM, -ENOSPC. */
int weft_open_fd(int fd);

/* Reads up to `size` bytes, as soon as there are any. Returns their number, 0
 * at the end of the stream, -ECONNRESET and others of read(2). */
ssize_t weft_read(int fd, void *data, size_t size, uint64_t deadline);

/* The same into `count` pieces (0 and more; 1,024 at once are filled), one
 * after the other. Errors as weft_read(), and -EINVAL for a negative count. */
ssize_t weft_readv(int fd, const struct iovec *pieces, int count,
                   uint64_t deadline);

/* Waits until a read of `fd` makes sense: there are bytes, the end of the
 * stream, an error, or a connection to accept. So that a task may wait without
 * holding a buffer. Seldom it comes back and there is nothing: then the call
 * that follows waits after all. Returns 0 or one of the errors above. */
int weft_wait_readable(int fd, uint64_t deadline);

/* Writes all `size` bytes and returns `size`; or an error, by which time some
 * of them may have been sent: -EPIPE, -ECONNRESET and others of write(2). */
ssize_t weft_write(int fd, const void *data, size_t size, uint64_t deadline);

/* Writes what the kernel takes at once, at least a byte unless `size` is 0, and
 * returns how much that was. Errors as weft_write(). */
ssize_t weft_write_some(int fd, const void *data, size_t size,
                        uint64_t deadline);

/* Writes all of `count` pieces (0 and more, past IOV_MAX too) and returns the
 * sum of their sizes. Errors as weft_write(), and -EINVAL for a negative count.
 * The pieces are not changed. */
ssize_t weft_writev(int fd, const struct iovec *pieces, int count,
                    uint64_t deadline);

/* Ends one or both directions (SHUT_RD, SHUT_WR, SHUT_RDWR). Returns 0,
 * -ENOTCONN, -ENOTSOCK, -EINVAL, -EBADF. */
int weft_shutdown(int fd, int how);

/* Closes `fd`: calls that wait on it return -EBADF, and the number goes back to
 * the kernel when the last of them has left, at once when there is none.
 * Returns 0, or -EBADF when it is not known (then nothing is closed). */
int weft_close(int fd);

/* The port that a TCP socket is bound to, 1 to 65535; 0 before it is bound;
 * -ENOTSOCK, -EAFNOSUPPORT, -EBADF. Context: anywhere. */
int weft_local_port(int fd);

#ifdef __cplusplus
}
#endif

#endif
