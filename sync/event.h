/* SPDX-License-Identifier: MIT */
/* Something that has happened, or not yet: whoever waits goes on when it has.
 *
 * It stays set until it is reset by hand, so nobody who comes late waits. */
#ifndef WEFT_SYNC_EVENT_H_
#define WEFT_SYNC_EVENT_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/sync/wait_list.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zeroes is an event that has not happened. The memory may go when nobody
 * waits or calls any more; whoever saw it set may free it though the
 * weft_event_set() that did so has not yet returned. */
struct weft_event {
    WEFT_SYNC_ATOMIC(uint32_t) word; /* see event.c */
    struct weft_wait_list waiters;
};

/* clang-format off */
#define WEFT_EVENT_INIT {0}
/* clang-format on */

/* Sets it and wakes all that wait. What the caller did before is seen by those
 * whose wait it ends, and by whoever finds it set. Setting twice is as once.
 * Context: any thread; may switch when somebody waits. */
void weft_event_set(struct weft_event *e);

/* Takes it back: who comes from now on waits. Those whose wait has been ended
 * by a set return all the same. Context: any thread, does not switch. */
void weft_event_reset(struct weft_event *e);

/* Waits until it is set. Returns 0, or -ECANCELED when it would have to wait
 * and the calling task was cancelled. Context: any thread; a task may switch,
 * another thread blocks. */
int weft_event_wait(struct weft_event *e);

/* The same, and -ETIMEDOUT at `deadline`, -ENOMEM when no timer could be had.
 */
int weft_event_wait_until(struct weft_event *e, uint64_t deadline);

/* Whether it is set, so that a wait would return at once. Context: any thread,
 * does not switch. */
bool weft_event_try_wait(const struct weft_event *e);

#ifdef __cplusplus
}
#endif

#endif
