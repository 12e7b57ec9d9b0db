/* SPDX-License-Identifier: MIT */
/* Sleeping and deadlines: each task has one timer, armed in the heap of the
 * processor that it parks on, and any thread of the runtime runs what is due in
 * any heap. A timer that goes off gives the task its token.
 *
 * Always true: a timer that is in a heap is touched under that processor's
 * timer_lock alone (whether it is in one can be seen without);
 * task->timer_home names the processor and changes only while the timer is in
 * no heap.
 *
 * What is due is taken in batches: so many at one look that the memory they
 * need is fetched for all of them at one time, but no more than are still in
 * the cache when their turn comes. What is left is still due: a worker comes
 * back for it when it has run those (worker.c), and each 61st time that it
 * picks a task, for those of its own processor (pick.c). As long as it does the
 * monitor leaves it alone: a third thread that takes timers on two CPUs is in
 * the way, and what it wakes is in the wrong cache. */
#include <errno.h>
#include <time.h>

#include "weft/sched/core.h"

enum {
    DUE_BATCH = 32,         /* timers taken under one lock */
    DUE_LIMIT = 128,        /* at one look */
    OWN_LIMIT = 64,         /* at one of those between two picks */
    PATIENCE = 4000 * 1000, /* ns that the monitor leaves them to a worker: as
                             * long as the kernel may have its CPU for others */
};

WEFT_TEXT int weft_timer_arm(struct weft_worker *w, struct weft_task *t,
                             uint64_t deadline) {
    struct weft_processor *p = weft_worker_processor(w);
    if (weft_clock_is_virtual(&w->runtime->clock)) {
        weft_clock_give_turn(&w->runtime->clock, &t->timer);
    }
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
    if (!weft_timer_is_armed(&t->timer)) {
        return false;
    }
    weft_lock_acquire(&p->timer_lock);
    bool armed = weft_timer_heap_remove(&p->timers, &t->timer);
    weft_lock_release(&p->timer_lock);
    return armed;
}

/* Takes tasks of `p` whose time has come; returns how many. Their records are
 * on the way into the cache when it does. */
WEFT_TEXT static int pop_due(struct weft_processor *p, uint64_t now,
                             struct weft_task *tasks[DUE_BATCH]) {
    int count = 0;
    if (weft_timer_heap_next(&p->timers) > now) {
        return 0;
    }
    weft_lock_acquire(&p->timer_lock);
    struct weft_timer_node *node;
    while (count < DUE_BATCH &&
           (node = weft_timer_heap_pop(&p->timers, now)) != NULL) {
        struct weft_task *t = weft_container_of(node, struct weft_task, timer);
        __builtin_prefetch(t, 1);
        tasks[count++] = t;
    }
    weft_lock_release(&p->timer_lock);
    return count;
}

/* Wakes those whose time has come in the heap of `from`, up to `limit`, rounded
 * up to a batch; returns how many. `p` is the caller's processor or NULL. */
WEFT_TEXT static int run_due(struct weft_runtime *rt, struct weft_processor *p,
                             struct weft_processor *from, uint64_t now,
                             int limit) {
    struct weft_task *tasks[DUE_BATCH];
    int total = 0;
    int count;
    while (total < limit && (count = pop_due(from, now, tasks)) > 0) {
        weft_unpark_batch(rt, p, tasks, count);
        total += count;
    }
    return total;
}

WEFT_TEXT int weft_timers_run(struct weft_runtime *rt, uint64_t now) {
    struct weft_worker *w = weft_worker_self();
    struct weft_processor *p = w == NULL ? NULL : weft_worker_processor(w);
    unsigned n = rt->processor_count;
    unsigned first = p == NULL ? 0 : (unsigned)(p - rt->processors);
    int total = 0;
    for (unsigned i = 0; i < n && total < DUE_LIMIT; i++) {
        unsigned at = first + i < n ? first + i : first + i - n;
        struct weft_processor *from = &rt->processors[at];
        if (w != NULL || now >= atomic_load_explicit(&from->timers_served,
                                                     memory_order_relaxed)) {
            total += run_due(rt, p, from, now, DUE_LIMIT - total);
        }
    }
    return total;
}

WEFT_TEXT void weft_timers_run_own(struct weft_processor *p) {
    struct weft_runtime *rt = p->runtime;
    uint64_t next = weft_timer_heap_next(&p->timers);
    uint64_t now;
    if (next == WEFT_FOREVER || weft_clock_is_virtual(&rt->clock) ||
        next > (now = weft_clock_now())) {
        return;
    }
    if (run_due(rt, p, p, now, OWN_LIMIT) >= OWN_LIMIT) {
        atomic_store_explicit(&p->timers_served, now + PATIENCE,
                              memory_order_relaxed);
    }
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
