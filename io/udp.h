/* SPDX-License-Identifier: MIT */
/* Datagrams for tasks: UDP, and any datagram socket that weft_open_fd() made
 * known. What weft/io/io.h says of descriptors, turns, deadlines and errors
 * holds here, too; weft_close() closes, weft_local_port() tells the port. */
#ifndef WEFT_IO_UDP_H_
#define WEFT_IO_UDP_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "weft/base/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A UDP socket that is bound to `address` (weft/io/address.h; port 0: the
 * kernel chooses one; "0.0.0.0:0" or "[::]:0" for one that only sends and gets
 * answers), non-blocking and close-on-exec. Returns the descriptor, -EINVAL for
 * a bad address or a Unix one, -EPERM when no runtime runs, -EADDRINUSE,
 * -EACCES, -EADDRNOTAVAIL, -EMFILE and others of socket(2) and bind(2).
 * Context: any thread while weft_run() runs; does not wait. */
int weft_udp_open(const char *address);

/* Fixes the other side: datagrams go to `address` when they say nothing else,
 * and only its own are received. An error that comes back from there, such as
 * -ECONNREFUSED, is then given to the next call. Returns 0, -EINVAL, -EBADF,
 * -ENETUNREACH and others of connect(2). Context: as weft_udp_open(). */
int weft_udp_connect(int fd, const char *address);

/* Sends one datagram of `size` bytes to `to`, or, NULL, to the side that was
 * fixed; waits while the kernel has no room. Returns `size`, -ETIMEDOUT,
 * -ECANCELED, -EBADF, -EPERM (it would have to wait, and the caller is no task;
 * or a firewall), -ENOMEM, -EAFNOSUPPORT for an address of another kind,
 * -EMSGSIZE for one that is too long, -EDESTADDRREQ, -ECONNREFUSED and others
 * of sendto(2). Context: task, may switch. */
ssize_t weft_sendto(int fd, const void *data, size_t size,
                    const struct sockaddr_storage *to, uint64_t deadline);

/* Waits for a datagram, takes its first `size` bytes, and puts the sender's
 * address into `*from` unless NULL. Returns the length of the whole datagram, 0
 * and more: when that is greater than `size`, the rest is lost. -ETIMEDOUT,
 * -ECANCELED, -EBADF, -EPERM, -ENOMEM as above, -ECONNREFUSED and others of
 * recvfrom(2). Context: task, may switch. */
ssize_t weft_recvfrom(int fd, void *data, size_t size,
                      struct sockaddr_storage *from, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif
