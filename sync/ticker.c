/* SPDX-License-Identifier: MIT */
/* A ticker is a point in time that moves by whole periods, so it never drifts.
 *
 * Always true: `next` is the start, and a period for each tick that was taken,
 * dropped, or is the next. When a tick is taken late, `next` moves past now:
 * the periods in between are the missed ones.
 *
 * Rejected: a channel that a timer fills, as Go's (a task or a timer of its own
 * for each ticker, and a tick that lies in the channel is late without anybody
 * knowing). */
#include "weft/sync/ticker.h"

#include <errno.h>
#include <limits.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/task.h"

void weft_ticker_init(struct weft_ticker *t, uint64_t period) {
    if (period == 0) {
        weft_fatal("weft_ticker_init: a period of 0; give nanoseconds");
    }
    *t = (struct weft_ticker){
        .period = period,
        .next = weft_clock_after(weft_now(), period),
    };
}

int weft_ticker_try_wait(struct weft_ticker *t) {
    uint64_t now = weft_now();
    if (now < t->next) {
        return -EAGAIN;
    }
    uint64_t missed = (now - t->next) / t->period;
    /* Not past now, so it fits. */
    t->next += missed * t->period;
    t->next = weft_clock_after(t->next, t->period);
    t->missed += missed;
    return missed > INT_MAX ? INT_MAX : (int)missed;
}

int weft_ticker_wait_until(struct weft_ticker *t, uint64_t deadline) {
    int result = weft_ticker_try_wait(t);
    if (result != -EAGAIN) {
        return result;
    }
    int error = weft_sleep_until(t->next < deadline ? t->next : deadline);
    if (error != 0) {
        return error;
    }
    result = weft_ticker_try_wait(t);
    return result == -EAGAIN ? -ETIMEDOUT : result;
}

int weft_ticker_wait(struct weft_ticker *t) {
    return weft_ticker_wait_until(t, WEFT_FOREVER);
}
