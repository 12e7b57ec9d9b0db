/* SPDX-License-Identifier: MIT */
/* Names to addresses, by getaddrinfo(3), so by whatever this machine is set up
 * to ask: files, DNS, others. */
#ifndef WEFT_IO_RESOLVE_H_
#define WEFT_IO_RESOLVE_H_

#include <stdint.h>
#include <sys/socket.h>

#include "weft/base/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Looks `host` (a name, or a number; NULL: this machine's loopback) and
 * `service` (a name or a port's number; NULL: port 0) up, and puts up to `max`
 * stream addresses into `out`, the best first. weft_address_format()
 * (weft/io/address.h) makes of them what weft_connect() takes. Returns how many
 * it found, at most `max` and at least 1, or
 *     -ENOENT      there is no such host, or it has no address
 *     -EAGAIN      no answer for now: a later call may have more luck
 *     -EINVAL      no such service, both NULL, or `max` below 1
 *     -EIO         the look-up failed for good
 *     -ETIMEDOUT, -ECANCELED, -ENOMEM
 *     -EPERM       the caller is no task
 * and others of getaddrinfo(3)'s system calls.
 *
 * The question is asked by a task of its own, on an OS thread of its own. At
 * the deadline, or when the caller is cancelled, the caller leaves it to
 * itself; it ends when getaddrinfo() does (resolv.conf(5) says after how long),
 * and weft_run() gives it the same grace at the end as any other task. Context:
 * task, may switch. */
int weft_resolve(const char *host, const char *service,
                 struct sockaddr_storage *out, int max, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif
