/* SPDX-License-Identifier: MIT */
/* Listening, accepting, connecting.
 *
 * Always true: a descriptor that is handed out is non-blocking, close-on-exec
 * and registered; one that could not be registered is closed again. TCP_NODELAY
 * is set once on the listening socket, Linux copies it to what is accepted. */
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/syscall.h>

#include "weft/base/clock.h"
#include "weft/base/syscall.h"
#include "weft/io/address.h"
#include "weft/io/io.h"
#include "weft/io/operation.h"
#include "weft/sched/park.h"

#define SOCKET_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

/* Between two tries to reach a Unix socket whose backlog is full. */
#define SHORTEST_PAUSE (100 * WEFT_US)
#define LONGEST_PAUSE  (10 * WEFT_MS)

static long set_option(int fd, int level, int name, int value) {
    return weft_syscall(SYS_setsockopt, fd, level, name, (long)&value,
                        sizeof(value), 0);
}

/* What a stream socket of `family` is to the poller. */
static enum weft_descriptor_kind kind_of(int family) {
    return family == AF_UNIX ? WEFT_DESCRIPTOR_SOCKET : WEFT_DESCRIPTOR_TCP;
}

/* A new stream socket of `family`. */
static long open_stream(int family) {
    return weft_syscall(SYS_socket, family, SOCK_STREAM | SOCKET_FLAGS, 0, 0, 0,
                        0);
}

int weft_listen(const char *address, int backlog) {
    struct sockaddr_storage where;
    int size = weft_address_parse(address, &where);
    if (size < 0 || backlog < 0) {
        return -EINVAL;
    }
    long fd = open_stream(where.ss_family);
    if (fd < 0) {
        return (int)fd;
    }
    long error = 0;
    if (where.ss_family != AF_UNIX) {
        error = set_option((int)fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (error == 0) {
            error = set_option((int)fd, IPPROTO_TCP, TCP_NODELAY, 1);
        }
    }
    if (error == 0) {
        error = weft_syscall(SYS_bind, fd, (long)&where, size, 0, 0, 0);
    }
    if (error == 0) {
        /* The kernel cuts it down to net.core.somaxconn. */
        error = weft_syscall(SYS_listen, fd, backlog == 0 ? INT_MAX : backlog,
                             0, 0, 0, 0);
    }
    if (error < 0) {
        weft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
        return (int)error;
    }
    return weft_io_hand_out((int)fd, kind_of(where.ss_family));
}

/* Errors that belong to the connection that was to be accepted, not to the
 * listening socket: accept(2), "Error handling". */
static bool connection_is_lost(long error) {
    switch (error) {
        case -ECONNABORTED:
        case -ENETDOWN:
        case -EPROTO:
        case -ENOPROTOOPT:
        case -EHOSTDOWN:
        case -ENONET:
        case -EHOSTUNREACH:
        case -ENETUNREACH:
            return true;
        default:
            return false;
    }
}

int weft_accept_flags(int fd, struct sockaddr_storage *peer, int flags,
                      uint64_t deadline) {
    struct weft_descriptor *d;
    if ((flags & ~SOCKET_FLAGS) != 0) {
        return -EINVAL;
    }
    long result = weft_io_begin(fd, WEFT_READING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return (int)result;
    }
    if (peer != NULL) {
        /* A Unix socket's name has no other end than the zeros behind it. */
        memset(peer, 0, sizeof(*peer));
    }
    do {
        socklen_t size = sizeof(*peer);
        result = weft_syscall(SYS_accept4, fd, (long)peer,
                              peer == NULL ? 0 : (long)&size,
                              flags | SOCK_NONBLOCK, 0, 0);
    } while (weft_io_again(d, WEFT_READING, deadline, &result) ||
             connection_is_lost(result));
    /* What a socket accepts is what it is; a listener that was made elsewhere
     * may be of any family. */
    enum weft_descriptor_kind kind = d->kind;
    weft_io_end(d, WEFT_READING);
    return WEFT_LIKELY(result >= 0) ? weft_io_hand_out((int)result, kind)
                                    : (int)result;
}

int weft_accept(int fd, struct sockaddr_storage *peer, uint64_t deadline) {
    return weft_accept_flags(fd, peer, SOCK_CLOEXEC, deadline);
}

/* Is the connection that was begun on `fd` there? Returns 0, the error it ended
 * with, or -EAGAIN when it is neither there nor lost. */
static int connected(int fd) {
    int error = 0;
    socklen_t size = sizeof(error);
    long result = weft_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR,
                               (long)&error, (long)&size, 0);
    if (result < 0 || error != 0) {
        return result < 0 ? (int)result : -error;
    }
    struct sockaddr_storage peer;
    size = sizeof(peer);
    result =
        weft_syscall(SYS_getpeername, fd, (long)&peer, (long)&size, 0, 0, 0);
    return result == -ENOTCONN ? -EAGAIN : (int)result;
}

/* Waits a little before another try to reach a Unix socket whose backlog is
 * full: the kernel tells nobody when there is room. Returns 0 to try again. */
static int back_off(uint64_t *pause, uint64_t deadline) {
    if (weft_self() == NULL) {
        return -EPERM;
    }
    uint64_t until = weft_clock_after(weft_now(), *pause);
    int error = weft_park(until < deadline ? until : deadline,
                          "room in a Unix socket's backlog");
    if (error == -ETIMEDOUT && until < deadline) {
        error = 0;
    }
    *pause = *pause < LONGEST_PAUSE ? *pause * 2 : *pause;
    return error;
}

/* Begins to connect. Returns 0, -EINPROGRESS or the error. */
static long begin_to_connect(int fd, const struct sockaddr_storage *where,
                             int size, uint64_t deadline) {
    uint64_t pause = SHORTEST_PAUSE;
    for (;;) {
        long result = weft_syscall(SYS_connect, fd, (long)where, size, 0, 0, 0);
        if (result == -EAGAIN && where->ss_family == AF_UNIX) {
            int error = back_off(&pause, deadline);
            if (error != 0) {
                return error;
            }
        } else if (result != -EINTR || where->ss_family != AF_UNIX) {
            /* Interrupted, TCP goes on all the same. */
            return result == -EINTR ? -EINPROGRESS : result;
        }
    }
}

int weft_connect(const char *address, uint64_t deadline) {
    struct sockaddr_storage where;
    int size = weft_address_parse(address, &where);
    if (size < 0) {
        return size;
    }
    long socket = open_stream(where.ss_family);
    if (socket < 0) {
        return (int)socket;
    }
    int fd = (int)socket;
    long result = where.ss_family == AF_UNIX
                      ? 0
                      : set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (result == 0) {
        result = begin_to_connect(fd, &where, size, deadline);
    }
    if (result < 0 && result != -EINPROGRESS) {
        weft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
        return (int)result;
    }
    fd = weft_io_hand_out(fd, kind_of(where.ss_family));
    if (fd < 0 || result == 0) {
        return fd;
    }
    struct weft_descriptor *d;
    result = weft_io_begin(fd, WEFT_WRITING, deadline, &d);
    if (result == 0) {
        do {
            result = connected(fd);
        } while (weft_io_again(d, WEFT_WRITING, deadline, &result));
        weft_io_end(d, WEFT_WRITING);
    }
    if (result < 0) {
        weft_close(fd);
        return (int)result;
    }
    return fd;
}

int weft_local_port(int fd) {
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    long result =
        weft_syscall(SYS_getsockname, fd, (long)&address, (long)&size, 0, 0, 0);
    if (result < 0) {
        return (int)result;
    }
    if (address.ss_family == AF_INET) {
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    }
    if (address.ss_family == AF_INET6) {
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    }
    return -EAFNOSUPPORT;
}
