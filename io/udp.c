/* SPDX-License-Identifier: MIT */
/* Datagrams, each call in the shape that operation.h describes.
 *
 * Always true: a datagram is sent or received by one system call, so it comes
 * whole or not at all, and several tasks on one socket need turns only in order
 * to wait. */
#include "weft/io/udp.h"

#include <string.h>
#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/io/address.h"
#include "weft/io/operation.h"

int weft_udp_open(const char *address) {
    struct sockaddr_storage where;
    int size = weft_address_parse(address, &where);
    if (size < 0 || where.ss_family == AF_UNIX) {
        return -EINVAL;
    }
    long fd =
        weft_syscall(SYS_socket, where.ss_family,
                     SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0, 0, 0);
    if (fd < 0) {
        return (int)fd;
    }
    long error = weft_syscall(SYS_bind, fd, (long)&where, size, 0, 0, 0);
    if (error < 0) {
        weft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
        return (int)error;
    }
    return weft_io_hand_out((int)fd, WEFT_DESCRIPTOR_SOCKET);
}

int weft_udp_connect(int fd, const char *address) {
    struct sockaddr_storage where;
    int size = weft_address_parse(address, &where);
    if (size < 0) {
        return size;
    }
    struct weft_descriptor *d;
    int error = weft_io_begin(fd, WEFT_USING, 0, &d);
    if (error == 0) {
        error = (int)weft_syscall(SYS_connect, fd, (long)&where, size, 0, 0, 0);
        weft_io_end(d, WEFT_USING);
    }
    return error;
}

ssize_t weft_sendto(int fd, const void *data, size_t size,
                    const struct sockaddr_storage *to, uint64_t deadline) {
    int to_size = to == NULL ? 0 : weft_address_size(to);
    if (to_size < 0) {
        return to_size;
    }
    struct weft_descriptor *d;
    long result = weft_io_begin(fd, WEFT_WRITING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return result;
    }
    weft_io_gave(data, size);
    do {
        result = weft_syscall(SYS_sendto, fd, (long)data, (long)size,
                              MSG_NOSIGNAL, (long)to, to_size);
    } while (weft_io_again(d, WEFT_WRITING, deadline, &result));
    weft_io_end(d, WEFT_WRITING);
    return result;
}

ssize_t weft_recvfrom(int fd, void *data, size_t size,
                      struct sockaddr_storage *from, uint64_t deadline) {
    struct weft_descriptor *d;
    long result = weft_io_begin(fd, WEFT_READING, deadline, &d);
    if (WEFT_UNLIKELY(result != 0)) {
        return result;
    }
    if (from != NULL) {
        memset(from, 0, sizeof(*from));
    }
    do {
        socklen_t from_size = sizeof(*from);
        result =
            weft_syscall(SYS_recvfrom, fd, (long)data, (long)size, MSG_TRUNC,
                         (long)from, from == NULL ? 0 : (long)&from_size);
    } while (weft_io_again(d, WEFT_READING, deadline, &result));
    weft_io_end(d, WEFT_READING);
    if (result > 0) {
        weft_io_got(data, (size_t)result < size ? (size_t)result : size);
    }
    return result;
}
