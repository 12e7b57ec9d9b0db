/* SPDX-License-Identifier: MIT */
/* Sleeping and deadlines: each task has one timer, armed in the heap of the
 * processor that it parks on, and any thread of the runtime runs what is due in
 * any heap. A timer that goes off gives the task its token.
 *
 * Always true: a timer that is in a heap is touched under that processor's
 * timer_lock alone; task->timer_home names the processor and changes only while
 * the timer is in no heap. */
#include <errno.h>
#include <time.h>

#include "weft/sched/core.h"

enum { DUE_BATCH = 8 }; /* timers taken under one lock */

WEFT_TEXT int weft_timer_arm(struct weft_worker *w, struct weft_task *t,
                             uint64_t deadline) {
    struct weft_processor *p = weft_worker_processor(w);
    weft_lock_acquire(&p->timer_lock);
    bool first = deadline < weft_timer_heap_next(&p->timers);
    t->timer_home = p;
    int error = weft_timer_heap_insert(&p->timers, &t->timer, deadline);
    weft_lock_release(&p->timer_lock);
    if (error == 0 && first) {
        weft_poller_nudge(w->runtime, deadline);
    }
    return error;
}

WEFT_TEXT bool weft_timer_disarm(struct weft_task *t) {
    struct weft_processor *p = t->timer_home;
    weft_lock_acquire(&p->timer_lock);
    bool armed = weft_timer_heap_remove(&p->timers, &t->timer);
    weft_lock_release(&p->timer_lock);
    return armed;
}

/* Takes tasks of `p` whose time has come; returns how many. Their records are
 * on the way into the cache when it does: with many sleepers they are not
 * there. */
static int pop_due(struct weft_processor *p, uint64_t now,
                   struct weft_task *tasks[DUE_BATCH]) {
    int count = 0;
    if (weft_timer_heap_next(&p->timers) > now) {
        return 0;
    }
    weft_lock_acquire(&p->timer_lock);
    struct weft_timer_node *node;
    while (count < DUE_BATCH &&
           (node = weft_timer_heap_pop(&p->timers, now)) != NULL) {
        tasks[count] = weft_container_of(node, struct weft_task, timer);
        __builtin_prefetch(tasks[count], 1);
        count++;
    }
    weft_lock_release(&p->timer_lock);
    return count;
}

/* Wakes all whose time has come; returns how many. */
WEFT_TEXT int weft_timers_run(struct weft_runtime *rt, uint64_t now) {
    struct weft_task *tasks[DUE_BATCH];
    int total = 0;
    for (unsigned i = 0; i < rt->processor_count; i++) {
        int count;
        while ((count = pop_due(&rt->processors[i], now, tasks)) > 0) {
            for (int k = 0; k < count; k++) {
                weft_unpark(tasks[k]);
            }
            total += count;
        }
    }
    return total;
}

int weft_sleep_until(uint64_t deadline) {
    if (weft_self() == NULL) {
        struct timespec until = weft_ns_timespec(deadline);
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) !=
               0) {
        }
        return 0;
    }
    int result = weft_cancelled() ? -ECANCELED : 0;
    while (result == 0 && weft_now() < deadline) {
        result = weft_park(deadline, "sleep");
    }
    return result == -ETIMEDOUT ? 0 : result;
}

int weft_sleep(uint64_t ns) {
    return weft_sleep_until(weft_clock_after(weft_now(), ns));
}

uint64_t weft_now(void) {
    const struct weft_worker *w = (const void *)weft_thread_self();
    return w == NULL ? weft_clock_now() : weft_clock_read(&w->runtime->clock);
}
