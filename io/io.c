/* SPDX-License-Identifier: MIT */
/* Reading, writing, closing. What is behind it: operation.h for the shape of a
 * call, weft/sched/poller.h for how it waits, turn.h for several tasks on one
 * descriptor. Sockets are made in socket.c.
 *
 * SIGPIPE: sockets are written with MSG_NOSIGNAL. Pipes know nothing like it
 * before Linux 6.18 (RWF_NOSIGNAL); older kernels get the signal blocked in
 * this thread for the one write, and taken out of the queue if the write raised
 * it. Rejected: SIG_IGN for the process, which is the program's to decide and
 * is inherited by what it executes; blocking it in all worker threads, which is
 * inherited too.
 *
 * O_NONBLOCK is the open file's, and another process that has it may take it
 * off. A socket is told each time all the same, which costs nothing. */
#include "weft/io/io.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/io/operation.h"
#include "weft/io/turn.h"
#include "weft/sched/park.h"

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif

/* The kernel's sigset_t, whatever libc's looks like. */
#define KERNEL_SIGSET_SIZE 8

/* The kernel takes this many pieces at once (UIO_MAXIOV). */
#define PIECES_AT_ONCE 1024
/* After a short write this many are copied, the first one cut. */
#define PIECES_COPIED 16

_Atomic int weft_io_pipes_signal;

/* Writes to a pipe with SIGPIPE blocked. */
static long write_with_signal_blocked(int fd, const struct iovec *pieces,
                                      int count) {
    struct weft_io_quiet quiet;
    /* The mask is the thread's: stay on it. */
    weft_runtime_enter();
    weft_io_quiet_begin(&quiet);
    long result = weft_syscall(SYS_writev, fd, (long)pieces, count, 0, 0, 0);
    weft_io_quiet_end(&quiet, result);
    weft_runtime_leave();
    return result;
}

static long write_pipe(int fd, const struct iovec *pieces, int count) {
    if (atomic_load_explicit(&weft_io_pipes_signal, memory_order_relaxed) ==
        0) {
        /* Offset -1: a stream has no place. */
        long result = weft_syscall(SYS_pwritev2, fd, (long)pieces, count, -1,
                                   -1, RWF_NOSIGNAL);
        if (result != -EOPNOTSUPP && result != -ENOSYS) {
            return result;
        }
        atomic_store_explicit(&weft_io_pipes_signal, 1, memory_order_relaxed);
    }
    return write_with_signal_blocked(fd, pieces, count);
}

/* One try to write one piece. */
static long try_write(const struct weft_descriptor *d, const void *data,
                      size_t size) {
    if (WEFT_LIKELY(d->kind <= WEFT_DESCRIPTOR_SOCKET)) {
        return weft_syscall(SYS_sendto, d->fd, (long)data, (long)size,
                            MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
    }
    if (d->kind == WEFT_DESCRIPTOR_PIPE) {
        struct iovec piece = {(void *)data, size};
        return write_pipe(d->fd, &piece, 1);
    }
    return weft_syscall(SYS_write, d->fd, (long)data, (long)size, 0, 0, 0);
}

/* One try to write up to PIECES_AT_ONCE of them. */
static long try_writev(const struct weft_descriptor *d,
                       const struct iovec *pieces, int count) {
    if (WEFT_LIKELY(d->kind <= WEFT_DESCRIPTOR_SOCKET)) {
        struct msghdr message = {
            .msg_iov = (struct iovec *)pieces,
            .msg_iovlen = (size_t)count,
        };
        return weft_syscall(SYS_sendmsg, d->fd, (long)&message,
                            MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0, 0);
    }
    if (d->kind == WEFT_DESCRIPTOR_PIPE) {
        return write_pipe(d->fd, pieces, count);
    }
    return weft_syscall(SYS_writev, d->fd, (long)pieces, count, 0, 0, 0);
}

/* One try to read. A socket's own call is a tenth of a microsecond shorter than
 * read(2), which is for every kind of file; but it would take a datagram, or
 * say -EAGAIN, where there is no room. */
static long try_read(const struct weft_descriptor *d, void *data, size_t size) {
    if (WEFT_LIKELY(d->kind <= WEFT_DESCRIPTOR_SOCKET && size != 0)) {
        return weft_syscall(SYS_recvfrom, d->fd, (long)data, (long)size,
                            MSG_DONTWAIT, 0, 0);
    }
    return weft_syscall(SYS_read, d->fd, (long)data, (long)size, 0, 0, 0);
}

ssize_t weft_read(int fd, void *data, size_t size, uint64_t deadline) {
    struct weft_descriptor *d;
    long result = weft_io_begin(fd, WEFT_READING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return result;
    }
    int late = weft_io_wait_news(d, deadline);
    if (WEFT_LIKELY(late != -EBADF)) {
        do {
            result = try_read(d, data, size);
            if (WEFT_UNLIKELY(late != 0 && result == -EAGAIN)) {
                result = late;
                break;
            }
        } while (weft_io_again(d, WEFT_READING, deadline, &result));
        weft_poller_set_dry(d, result > 0 && (size_t)result < size);
    } else {
        result = late;
    }
    weft_io_end(d, WEFT_READING);
    if (result > 0) {
        weft_io_got(data, (size_t)result);
    }
    return result;
}

ssize_t weft_readv(int fd, const struct iovec *pieces, int count,
                   uint64_t deadline) {
    if (count < 0) {
        return -EINVAL;
    }
    struct weft_descriptor *d;
    long result = weft_io_begin(fd, WEFT_READING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return result;
    }
    if (count > PIECES_AT_ONCE) {
        count = PIECES_AT_ONCE;
    }
    do {
        result = weft_syscall(SYS_readv, fd, (long)pieces, count, 0, 0, 0);
    } while (weft_io_again(d, WEFT_READING, deadline, &result));
    weft_io_end(d, WEFT_READING);
    size_t left = result > 0 ? (size_t)result : 0;
    for (int i = 0; left > 0; i++) {
        size_t part = left < pieces[i].iov_len ? left : pieces[i].iov_len;
        weft_io_got(pieces[i].iov_base, part);
        left -= part;
    }
    return result;
}

/* Whether a read would find anything: 1, or -EAGAIN. */
static long look(int fd) {
    struct pollfd what = {.fd = fd, .events = POLLIN};
    const struct timespec at_once = {0};
    long result = weft_syscall(SYS_ppoll, (long)&what, 1, (long)&at_once, 0,
                               KERNEL_SIGSET_SIZE, 0);
    return result == 0 ? -EAGAIN : result;
}

int weft_wait_readable(int fd, uint64_t deadline) {
    struct weft_descriptor *d;
    long result = weft_io_begin(fd, WEFT_READING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return (int)result;
    }
    bool knew = weft_poller_read_dry(d);
    int late = weft_io_wait_news(d, deadline);
    /* Where it was dry and is no more, an edge has been taken. */
    if (late != -EBADF && (!knew || weft_poller_read_dry(d))) {
        do {
            result = look(fd);
            if (late != 0 && result == -EAGAIN) {
                result = late;
                break;
            }
        } while (weft_io_again(d, WEFT_READING, deadline, &result));
    } else {
        result = late;
    }
    weft_io_end(d, WEFT_READING);
    return result > 0 ? 0 : (int)result;
}

ssize_t weft_write(int fd, const void *data, size_t size, uint64_t deadline) {
    struct weft_descriptor *d;
    long result = weft_io_begin(fd, WEFT_WRITING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return result;
    }
    weft_io_gave(data, size);
    size_t sent = 0;
    while (sent < size) {
        do {
            result = try_write(d, (const char *)data + sent, size - sent);
        } while (weft_io_again(d, WEFT_WRITING, deadline, &result));
        if (WEFT_UNLIKELY(result < 0)) {
            break;
        }
        sent += (size_t)result;
    }
    weft_io_end(d, WEFT_WRITING);
    return result < 0 ? result : (ssize_t)size;
}

ssize_t weft_write_some(int fd, const void *data, size_t size,
                        uint64_t deadline) {
    struct weft_descriptor *d;
    long result = weft_io_begin(fd, WEFT_WRITING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return result;
    }
    weft_io_gave(data, size);
    if (size != 0) {
        do {
            result = try_write(d, data, size);
        } while (weft_io_again(d, WEFT_WRITING, deadline, &result));
    }
    weft_io_end(d, WEFT_WRITING);
    return result;
}

/* What is left of the caller's pieces. */
struct rest {
    const struct iovec *piece; /* the first with anything left */
    int count;                 /* from there on */
    size_t done;               /* bytes of the first that are written */
};

/* Steps over `bytes` and over empty pieces. */
static void advance(struct rest *rest, size_t bytes) {
    while (rest->count > 0 && bytes >= rest->piece->iov_len - rest->done) {
        bytes -= rest->piece->iov_len - rest->done;
        rest->piece++;
        rest->count--;
        rest->done = 0;
    }
    rest->done += bytes;
}

static long try_rest(const struct weft_descriptor *d, const struct rest *rest) {
    if (WEFT_LIKELY(rest->done == 0)) {
        return try_writev(
            d, rest->piece,
            rest->count < PIECES_AT_ONCE ? rest->count : PIECES_AT_ONCE);
    }
    struct iovec copy[PIECES_COPIED];
    int count = rest->count < PIECES_COPIED ? rest->count : PIECES_COPIED;
    for (int i = 0; i < count; i++) {
        copy[i] = rest->piece[i];
    }
    copy[0].iov_base = (char *)copy[0].iov_base + rest->done;
    copy[0].iov_len -= rest->done;
    return try_writev(d, copy, count);
}

ssize_t weft_writev(int fd, const struct iovec *pieces, int count,
                    uint64_t deadline) {
    if (count < 0) {
        return -EINVAL;
    }
    struct weft_descriptor *d;
    long result = weft_io_begin(fd, WEFT_WRITING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return result;
    }
    for (int i = 0; i < count; i++) {
        weft_io_gave(pieces[i].iov_base, pieces[i].iov_len);
    }
    struct rest rest = {pieces, count, 0};
    ssize_t sent = 0;
    advance(&rest, 0);
    while (rest.count > 0) {
        do {
            result = try_rest(d, &rest);
        } while (weft_io_again(d, WEFT_WRITING, deadline, &result));
        if (WEFT_UNLIKELY(result < 0)) {
            break;
        }
        sent += result;
        advance(&rest, (size_t)result);
    }
    weft_io_end(d, WEFT_WRITING);
    return result < 0 ? result : sent;
}

int weft_open_fd(int fd) {
    struct weft_poller *poller = weft_poller_current();
    if (poller == NULL) {
        return -EPERM;
    }
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return -EBADF;
    }
    enum weft_descriptor_kind kind =
        S_ISSOCK(status.st_mode)   ? WEFT_DESCRIPTOR_SOCKET
        : S_ISFIFO(status.st_mode) ? WEFT_DESCRIPTOR_PIPE
                                   : WEFT_DESCRIPTOR_OTHER;
    long flags = weft_syscall(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
    if (flags < 0) {
        return (int)flags;
    }
    if ((flags & O_NONBLOCK) == 0) {
        weft_syscall(SYS_fcntl, fd, F_SETFL, flags | O_NONBLOCK, 0, 0, 0);
    }
    int error = weft_poller_add(poller, fd, kind);
    if (error != 0 && error != -EEXIST) {
        weft_syscall(SYS_fcntl, fd, F_SETFL, flags, 0, 0, 0);
    }
    return error;
}

int weft_shutdown(int fd, int how) {
    struct weft_descriptor *d;
    int error = weft_io_begin(fd, WEFT_USING, 0, &d);
    if (error == 0) {
        error = (int)weft_syscall(SYS_shutdown, fd, how, 0, 0, 0, 0);
        weft_io_end(d, WEFT_USING);
    }
    return error;
}

int weft_close(int fd) {
    return weft_io_close(fd);
}
