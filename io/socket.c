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
#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/io/address.h"
#include "weft/io/io.h"
#include "weft/io/operation.h"

#define SOCKET_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

static long set_option(int fd, int level, int name, int value) {
    return weft_syscall(SYS_setsockopt, fd, level, name, (long)&value,
                        sizeof(value), 0);
}

/* Registers `fd`, or closes it. Returns it or the error. */
static int hand_out(int fd) {
    struct weft_poller *poller = weft_poller_current();
    int error = poller == NULL
                    ? -EPERM
                    : weft_poller_add(poller, fd, WEFT_DESCRIPTOR_SOCKET);
    if (WEFT_UNLIKELY(error != 0)) {
        weft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
        return error;
    }
    return fd;
}

int weft_listen(const char *address, int backlog) {
    struct sockaddr_storage where;
    int size = weft_address_parse(address, &where);
    if (size < 0 || backlog < 0) {
        return -EINVAL;
    }
    long fd = weft_syscall(SYS_socket, where.ss_family,
                           SOCK_STREAM | SOCKET_FLAGS, 0, 0, 0, 0);
    if (fd < 0) {
        return (int)fd;
    }
    long error = set_option((int)fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (error == 0) {
        error = set_option((int)fd, IPPROTO_TCP, TCP_NODELAY, 1);
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
    return hand_out((int)fd);
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

int weft_accept(int fd, struct sockaddr_storage *peer, uint64_t deadline) {
    struct weft_descriptor *d;
    long result = weft_io_begin(fd, WEFT_READING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return (int)result;
    }
    do {
        socklen_t size = sizeof(*peer);
        result =
            weft_syscall(SYS_accept4, fd, (long)peer,
                         peer == NULL ? 0 : (long)&size, SOCKET_FLAGS, 0, 0);
    } while (weft_io_again(d, WEFT_READING, deadline, &result) ||
             connection_is_lost(result));
    weft_io_end(d, WEFT_READING);
    return WEFT_LIKELY(result >= 0) ? hand_out((int)result) : (int)result;
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

int weft_connect(const char *address, uint64_t deadline) {
    struct sockaddr_storage where;
    int size = weft_address_parse(address, &where);
    if (size < 0) {
        return size;
    }
    long socket = weft_syscall(SYS_socket, where.ss_family,
                               SOCK_STREAM | SOCKET_FLAGS, 0, 0, 0, 0);
    if (socket < 0) {
        return (int)socket;
    }
    int fd = (int)socket;
    long result = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (result == 0) {
        result = weft_syscall(SYS_connect, fd, (long)&where, size, 0, 0, 0);
    }
    /* Interrupted, it goes on all the same. */
    if (result < 0 && result != -EINPROGRESS && result != -EINTR) {
        weft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
        return (int)result;
    }
    fd = hand_out(fd);
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
