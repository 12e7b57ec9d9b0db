/* SPDX-License-Identifier: MIT */
/* A background thread that calls a function when that function wants to be
 * called next, or earlier when kicked. What to do at a tick is the caller's.
 *
 * Always true:
 * - tick() runs on one thread, never twice at the same time.
 * - After a kick a whole tick() runs, and sees all that was done before the
 *   kick: a kick cannot get lost. Several kicks may share one tick.
 * - A tick that returns WEFT_FOREVER costs nothing until the next kick: the
 *   thread sleeps without a time-out.
 * - A sleep that the tick has declared elastic can be put off by others while
 *   it lasts, without waking anybody: for a watchdog that somebody feeds.
 * - The thread blocks all signals, has a timer slack of 1 ns, and asks the
 *   kernel for a short time slice, so that busy workers delay it little. */
#ifndef WEFT_PREEMPT_TIMER_H_
#define WEFT_PREEMPT_TIMER_H_

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/clock.h"
#include "weft/base/compiler.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_timer_config {
    /* Does the work and returns when to be called next (absolute, a time that
     * has passed means at once), WEFT_FOREVER for not before a kick. It should
     * take no libc lock: a preempted task may hold it. */
    uint64_t (*tick)(void *arg, uint64_t now);
    void *arg;
    const char *name; /* of the thread, up to 15 bytes; NULL: "weft-timer" */
    bool elastic;     /* sleeps may be put off: costs a descriptor */
};

struct weft_timer {
    /* What has happened since the last tick. Any thread, atomic. */
    WEFT_CACHE_ALIGNED WEFT_ATOMIC(uint32_t) word;
    WEFT_ATOMIC(uint64_t) kicks;

    /* Written by the timer's thread, atomic for readers. */
    WEFT_CACHE_ALIGNED WEFT_ATOMIC(uint64_t) ticks;
    bool short_slice; /* the kernel granted it; fixed before the first tick */
    bool elastic;     /* its thread's alone: the next sleep can be put off */

    /* Fixed between start and stop. */
    struct weft_timer_config config;
    int fd; /* of a timerfd; -1: there is none */
    pthread_t thread;
    bool started;
};

/* Starts the thread; the first tick comes at once. 0, -EINVAL (no tick),
 * -EAGAIN (no thread). Context: any thread; allocates. */
int weft_timer_start(struct weft_timer *timer,
                     const struct weft_timer_config *config);

/* Ends the thread and waits for it: a tick that runs is finished, no other
 * begins. Nothing when not started. Context: any thread but its own. */
void weft_timer_stop(struct weft_timer *timer);

/* Have tick() called now. Costs one atomic operation, and a wake-up when the
 * thread sleeps. Context: any thread, signal handlers, tick() itself; on a
 * timer that is started. */
void weft_timer_kick(struct weft_timer *timer);

/* The sleep after this tick can be put off. False: there is no descriptor for
 * that, and it cannot. Context: tick() itself, each time anew. */
bool weft_timer_stretch(struct weft_timer *timer);

/* The thread sleeps until `until` (absolute, not 0), or a kick, if it is in a
 * sleep that can be put off; else this does nothing but cost. It may wake a
 * last time at the time that was set before. A system call of 2 us or less.
 * Context: any thread, signal handlers; after a weft_timer_stretch() that was
 * true, and before the stop. */
void weft_timer_put_off(struct weft_timer *timer, uint64_t until);

/* Ticks and kicks since the start. Context: any thread. */
uint64_t weft_timer_ticks(const struct weft_timer *timer);
uint64_t weft_timer_kicks(const struct weft_timer *timer);

#ifdef __cplusplus
}
#endif

#endif
