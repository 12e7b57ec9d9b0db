/* SPDX-License-Identifier: MIT */
/* The clock of a runtime's deadlines: the real one, or one that jumps
 * (virtual_clock.c). Part of core.h.
 *
 * Always true: `now` is 0 for ever in a runtime with the real clock, and never
 * in one with a virtual clock, where it only grows. */
#ifndef WEFT_SCHED_CLOCK_INSIDE_H_
#define WEFT_SCHED_CLOCK_INSIDE_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/base/lock.h"

struct weft_runtime;
struct weft_task;
struct weft_timer_node;

/* One whose time has come, and which of them began to wait first. */
struct weft_due {
    struct weft_task *task;
    uint32_t turn;
};

struct weft_virtual_clock {
    _Atomic uint64_t now;   /* any thread; written under `lock` */
    struct weft_lock lock;  /* who moves the clock, and wakes for it */
    _Atomic uint32_t turns; /* any thread: those given so far */
    struct weft_due *due;   /* under `lock`: NULL with the real clock */
};

static inline bool weft_clock_is_virtual(const struct weft_virtual_clock *c) {
    return WEFT_UNLIKELY(atomic_load_explicit(&c->now, memory_order_relaxed) !=
                         0);
}

/* Now. Relaxed: whom it wakes gets it with the wake-up. Any thread. */
static inline uint64_t weft_clock_read(const struct weft_virtual_clock *c) {
    uint64_t now = atomic_load_explicit(&c->now, memory_order_relaxed);
    return WEFT_LIKELY(now == 0) ? weft_clock_now() : now;
}

/* How many hold it: of the process, so that it can be held before there is a
 * runtime. Any thread, atomic. */
extern _Atomic uint32_t weft_clock_holds;

/* Before anybody else sees `rt`, whose configuration is settled. Returns 0 or
 * -ENOMEM. */
int weft_clock_init(struct weft_runtime *rt);

/* Nobody else sees it any more; also after an init that failed. */
void weft_clock_fini(struct weft_runtime *rt);

/* Under a virtual clock: who arms `timer` next, for the same time, comes after
 * it. The task whose timer it is. */
void weft_clock_give_turn(struct weft_virtual_clock *c,
                          struct weft_timer_node *timer);

/* Wakes all whose time has come, `real` being the real time; returns how many.
 * Any thread in the runtime. */
int weft_timers_due(struct weft_runtime *rt, uint64_t real);

/* Who sleeps in the poller, under a virtual clock, until `*until`, the next
 * deadline: as weft_poller_wait(), but where all wait the clock jumps instead,
 * and `*until` says where to. */
int weft_clock_wait(struct weft_runtime *rt, uint64_t *until, void **tasks,
                    int max);

/* A processor has become idle, or something that held the clock is gone; after
 * a full fence. Any thread in the runtime. */
void weft_clock_quieter(struct weft_runtime *rt);

#endif
