/* SPDX-License-Identifier: MIT */
/* Messages, each call in the shape that operation.h describes.
 *
 * Always true: descriptors go out with the first system call that takes bytes,
 * and with no other; those that come in are the caller's when a call returns
 * their number, and closed when it returns an error. */
#define _GNU_SOURCE /* struct mmsghdr */
#include "weft/io/message.h"

#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "weft/base/syscall.h"
#include "weft/io/operation.h"

/* Room for what goes beside the bytes, aligned as the kernel wants it. */
union control {
    struct cmsghdr first;
    char bytes[CMSG_SPACE(WEFT_FDS_MAX * sizeof(int))];
};

int weft_socketpair(int type, int ends[2]) {
    int fds[2];
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET) {
        return -EINVAL;
    }
    long error =
        weft_syscall(SYS_socketpair, AF_UNIX,
                     type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, (long)fds, 0, 0);
    return error < 0 ? (int)error
                     : weft_io_hand_out_both(fds, WEFT_DESCRIPTOR_SOCKET, ends);
}

/* The kernel reads all of `m`. */
static void gave(const struct msghdr *m) {
    for (size_t i = 0; i < m->msg_iovlen; i++) {
        weft_io_gave(m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
    }
    if (m->msg_controllen > 0) {
        weft_io_gave(m->msg_control, m->msg_controllen);
    }
}

/* The kernel has written `size` bytes into the pieces of `m`, and the rest. */
static void got(const struct msghdr *m, size_t size) {
    for (size_t i = 0; i < m->msg_iovlen && size > 0; i++) {
        size_t here = m->msg_iov[i].iov_len;
        here = here < size ? here : size;
        if (here > 0) {
            weft_io_got(m->msg_iov[i].iov_base, here);
        }
        size -= here;
    }
    if (m->msg_controllen > 0) {
        weft_io_got(m->msg_control, m->msg_controllen);
    }
}

/* Tries to send `m` until it is sent, or a part of it. */
static long send_some(struct weft_descriptor *d, const struct msghdr *m,
                      int flags, uint64_t deadline) {
    long result;
    do {
        result = weft_syscall(SYS_sendmsg, d->fd, (long)m,
                              flags | MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0, 0);
    } while (weft_io_again(d, WEFT_WRITING, deadline, &result));
    return result;
}

ssize_t weft_sendmsg(int fd, const struct msghdr *message, int flags,
                     uint64_t deadline) {
    struct weft_descriptor *d;
    long result = weft_io_begin(fd, WEFT_WRITING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return result;
    }
    gave(message);
    result = send_some(d, message, flags, deadline);
    weft_io_end(d, WEFT_WRITING);
    return result;
}

ssize_t weft_recvmsg(int fd, struct msghdr *message, int flags,
                     uint64_t deadline) {
    struct weft_descriptor *d;
    struct msghdr m;
    long result = weft_io_begin(fd, WEFT_READING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return result;
    }
    do {
        m = *message;
        result = weft_syscall(SYS_recvmsg, fd, (long)&m,
                              flags | MSG_CMSG_CLOEXEC | MSG_DONTWAIT, 0, 0, 0);
    } while (weft_io_again(d, WEFT_READING, deadline, &result));
    weft_io_end(d, WEFT_READING);
    if (result >= 0) {
        *message = m;
        got(message, (size_t)result);
    }
    return result;
}

ssize_t weft_send_fds(int fd, const void *data, size_t size, const int *fds,
                      int count, uint64_t deadline) {
    struct iovec piece = {(void *)data, size};
    struct msghdr m = {.msg_iov = &piece, .msg_iovlen = 1};
    union control control;
    struct weft_descriptor *d;
    if (size == 0 || count < 0 || count > WEFT_FDS_MAX) {
        return -EINVAL;
    }
    if (count > 0) {
        size_t bytes = (size_t)count * sizeof(int);
        memset(&control, 0, CMSG_SPACE(bytes));
        control.first.cmsg_len = CMSG_LEN(bytes);
        control.first.cmsg_level = SOL_SOCKET;
        control.first.cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(&control.first), fds, bytes);
        m.msg_control = &control;
        m.msg_controllen = CMSG_LEN(bytes);
    }
    long result = weft_io_begin(fd, WEFT_WRITING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return result;
    }
    weft_io_gave(data, size);
    do {
        result = send_some(d, &m, 0, deadline);
        if (result > 0) {
            piece.iov_base = (char *)piece.iov_base + result;
            piece.iov_len -= (size_t)result;
            m.msg_controllen = 0; /* they have gone */
        }
    } while (result > 0 && piece.iov_len > 0);
    weft_io_end(d, WEFT_WRITING);
    return result < 0 ? result : (ssize_t)size;
}

/* Takes the descriptors out of `m`, at most `room`, which is what it had been
 * given room for; all are closed when some did not fit. */
static bool take_fds(struct msghdr *m, int *fds, int *count) {
    /* Other things come before them, where the socket passes any along. */
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL;
         c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            size_t bytes = c->cmsg_len - CMSG_LEN(0);
            memcpy(fds, CMSG_DATA(c), bytes);
            *count = (int)(bytes / sizeof(int));
        }
    }
    if ((m->msg_flags & MSG_CTRUNC) == 0) {
        return true;
    }
    while (*count > 0) {
        weft_syscall(SYS_close, fds[--*count], 0, 0, 0, 0, 0);
    }
    return false;
}

ssize_t weft_recv_fds(int fd, void *data, size_t size, int *fds, int *count,
                      uint64_t deadline) {
    struct iovec piece = {data, size};
    union control control;
    int room = *count;
    *count = 0;
    if (room < 0 || room > WEFT_FDS_MAX) {
        return -EINVAL;
    }
    /* CMSG_SPACE() would be rounded up, and one too many might come. */
    struct msghdr m = {.msg_iov = &piece,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = CMSG_LEN((size_t)room * sizeof(int))};
    ssize_t result = weft_recvmsg(fd, &m, 0, deadline);
    if (result >= 0 && !take_fds(&m, fds, count)) {
        return -EMSGSIZE;
    }
    return result;
}

int weft_sendmmsg(int fd, struct mmsghdr *messages, unsigned n,
                  uint64_t deadline) {
    struct weft_descriptor *d;
    if (n == 0) {
        return -EINVAL;
    }
    long result = weft_io_begin(fd, WEFT_WRITING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return (int)result;
    }
    for (unsigned i = 0; i < n; i++) {
        gave(&messages[i].msg_hdr);
    }
    do {
        result = weft_syscall(SYS_sendmmsg, fd, (long)messages, n,
                              MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
    } while (weft_io_again(d, WEFT_WRITING, deadline, &result));
    weft_io_end(d, WEFT_WRITING);
    return (int)result;
}

int weft_recvmmsg(int fd, struct mmsghdr *messages, unsigned n,
                  uint64_t deadline) {
    struct weft_descriptor *d;
    if (n == 0) {
        return -EINVAL;
    }
    long result = weft_io_begin(fd, WEFT_READING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return (int)result;
    }
    do {
        result = weft_syscall(SYS_recvmmsg, fd, (long)messages, n,
                              MSG_CMSG_CLOEXEC | MSG_DONTWAIT, 0, 0);
    } while (weft_io_again(d, WEFT_READING, deadline, &result));
    weft_io_end(d, WEFT_READING);
    for (long i = 0; i < result; i++) {
        got(&messages[i].msg_hdr, messages[i].msg_len);
    }
    return (int)result;
}
