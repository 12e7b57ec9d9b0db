/* SPDX-License-Identifier: MIT */
/* A clock that ticks: work at regular times, without drift.
 *
 *     struct weft_ticker every;
 *     weft_ticker_init(&every, 10 * WEFT_MS);
 *     while (weft_ticker_wait(&every) >= 0) {
 *         ...
 *     }
 *
 * Ticks come at whole periods after the start, however late one is noticed.
 * Those that pass while nobody waits are dropped, but for the last, and
 * counted.
 *
 * A ticker is its user's alone: a few words without a timer of their own. In a
 * select, `weft_ticker_next()` is the deadline. */
#ifndef WEFT_SYNC_TICKER_H_
#define WEFT_SYNC_TICKER_H_

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_ticker {
    uint64_t period; /* ns */
    uint64_t next;   /* when the next tick is due */
    uint64_t missed; /* ticks that were dropped since the start */
};

/* Starts it: the first tick is due `period` nanoseconds from now. 0 stops the
 * program. Context of all: the ticker's user. */
void weft_ticker_init(struct weft_ticker *t, uint64_t period);

/* Waits for the next tick. Returns how many ticks were dropped since the one
 * before, 0 when all is in time (at most INT_MAX; `missed` has the exact sum);
 * -ECANCELED when the calling task was cancelled, and -ENOMEM when no timer
 * could be had, the tick still to come. Returns at once when one is due.
 * A task may switch, another thread blocks. */
int weft_ticker_wait(struct weft_ticker *t);

/* The same, and -ETIMEDOUT when `deadline` comes before the tick. */
int weft_ticker_wait_until(struct weft_ticker *t, uint64_t deadline);

/* Takes a tick that is due; -EAGAIN when none is. Does not switch. */
int weft_ticker_try_wait(struct weft_ticker *t);

/* When the next tick is due. Does not switch. */
static inline uint64_t weft_ticker_next(const struct weft_ticker *t) {
    return t->next;
}

#ifdef __cplusplus
}
#endif

#endif
