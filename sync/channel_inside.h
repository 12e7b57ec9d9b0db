/* SPDX-License-Identifier: MIT */
/* A channel's inside, for what waits in several of them at once (select.c).
 * channel.c says what is always true; all below asks for the lock to be held,
 * `waiters.lock`. Who holds the locks of several channels took them in the
 * order of their addresses. */
#ifndef WEFT_SYNC_CHANNEL_INSIDE_H_
#define WEFT_SYNC_CHANNEL_INSIDE_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "weft/sync/channel.h"
#include "weft/sync/wait_list.h"

/* Who is in a channel's list, if anybody is. */
enum weft_channel_who {
    WEFT_CHANNEL_RECEIVERS,
    WEFT_CHANNEL_SENDERS,
    WEFT_CHANNEL_BOTH,
};

struct weft_channel {
    /* Its lock is the channel's. */
    struct weft_wait_list waiters;
    /* Under the lock. */
    enum weft_channel_who who;
    size_t head; /* the oldest value's slot */
    /* Written under the lock, read by anybody as a snapshot. */
    _Atomic size_t count;
    _Atomic bool closed;
    /* Fixed after init. */
    size_t capacity, size;
    char ring[];
};

/* Sends or receives for `me` without waiting: 0, -EPIPE or -EAGAIN. `*served`
 * is set when somebody who waited was served: to be granted 0 when no lock is
 * held any more. */
int weft_channel_serve(struct weft_channel *ch, struct weft_channel_party *me,
                       struct weft_channel_party **served);

/* Says that `me`, for whom there was nothing to be done in this very hold of
 * the lock, is about to be pushed into the list. */
void weft_channel_join(struct weft_channel *ch, struct weft_channel_party *me);

#endif
