/* SPDX-License-Identifier: MIT */
/* Turns: who is next in a direction of a descriptor that is taken.
 *
 * Seldom needed (two tasks that read from one pipe, several that accept), so a
 * descriptor has no list of its own: those who wait are in a small hash table
 * keyed by descriptor and direction, each on its own stack, under the bucket's
 * lock. Model: WebKit's ParkingLot.
 *
 * Always true: QUEUED(dir) in the descriptor's state is changed under the
 * bucket's lock only, and set exactly while somebody is in the table for it.
 * Reference and direction are handed over as they are, so nobody slips in
 * between; a descriptor that is being closed hands nothing over, the closer
 * sends all of them away. */
#ifndef WEFT_IO_TURN_H_
#define WEFT_IO_TURN_H_

#include <stdint.h>

#include "weft/sched/poller.h"

/* After weft_poller_enter() has said -EBUSY: waits for the turn. Returns 0 with
 * reference and direction in hand, or -EBADF, -ETIMEDOUT, -ECANCELED, -ENOMEM,
 * -EPERM (no task). Context: task, may switch. */
int weft_turn_take(struct weft_descriptor *d, enum weft_direction dir,
                   uint64_t deadline);

/* After weft_poller_leave() has said false: hands over to the next. False:
 * there is none, QUEUED is cleared, leave again. Context: who entered. */
bool weft_turn_pass(struct weft_descriptor *d, enum weft_direction dir);

/* After weft_poller_close(), before leaving: sends all away with -EBADF.
 * Context: the closer, any thread. */
void weft_turn_send_away(struct weft_descriptor *d);

#endif
