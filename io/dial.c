/* SPDX-License-Identifier: MIT */
/* One address after the other. Each may take an equal part of the time that is
 * left, so that one that never answers leaves some for those behind it.
 *
 * Rejected: several at once, each a little later than the one before (RFC 8305,
 * "happy eyeballs"): it hides routes that are broken, at a task for each
 * address; who wants that has weft_resolve(), a scope and a channel. */
#include "weft/io/dial.h"

#include <errno.h>
#include <sys/socket.h>

#include "weft/base/clock.h"
#include "weft/io/address.h"
#include "weft/io/io.h"
#include "weft/io/resolve.h"
#include "weft/sched/task.h"

enum { MOST = 8 };

/* Until when the first of `count` may take its time. */
static uint64_t share(uint64_t deadline, int count) {
    uint64_t now = weft_now();
    return deadline == WEFT_FOREVER || deadline <= now
               ? deadline
               : now + (deadline - now) / (uint64_t)count;
}

int weft_dial(const char *host, const char *service, uint64_t deadline) {
    struct sockaddr_storage found[MOST];
    int count = weft_resolve(host, service, found, MOST, deadline);
    int error = count;
    for (int i = 0; i < count; i++) {
        char address[WEFT_ADDRESS_TEXT];
        (void)weft_address_format(&found[i], address, sizeof address);
        int fd = weft_connect(address, share(deadline, count - i));
        if (fd >= 0 || fd == -ECANCELED) {
            return fd;
        }
        error = i == 0 ? fd : error;
    }
    return error;
}
