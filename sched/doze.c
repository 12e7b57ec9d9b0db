/* SPDX-License-Identifier: MIT */
/* The monitor's doze.
 *
 * A tick costs some 20 us: two switches, two settings of the kernel's timer
 * (each leaves a virtual machine), and the caches of whom it interrupts. At
 * 1,000 a second that is a fortieth of the CPU time of a server that is busy
 * with quick answers, and each of them finds what the one before found: tasks
 * come and go, and the worker looks at the poller and the timers by itself. So
 * where it has been so for a while the monitor does not tick any more: it
 * sleeps on a timer that is put off by who passes through the poller, at most
 * twice a tick. It wakes when one processor has not done that for WAKE.
 *
 *     the monitor                        a worker at the poller
 *     1. polled_at of all = now          1. on? polled_at of its own = now
 *     2. timer: now + WAKE               2. put off half a tick ago? if not,
 *     3. on = 1                          3. timer: the oldest polled_at of all
 *     4. sleeps                             that have a worker, + WAKE
 *     5. on = 0; looks as ever
 *
 * So a task that computes where none has before is found after WAKE at the
 * latest, where ticks would have found it after one of them at the latest.
 * Where hogs are known, or come now and then, there is no doze.
 *
 * Always true: nobody waits for the monitor while it dozes that would not have
 * waited for a tick. What is seen late here (all is relaxed) makes it wake too
 * soon, or by half a tick too late.
 *
 * Rejected: ticks at longer intervals (a first hog is found that much later,
 * and its neighbours' p99 shows it); a timer for each processor; waking at the
 * next tick and only then looking whether anybody has passed (the wake-up is
 * what costs). */
#include "weft/sched/doze.h"

#include "weft/sched/core.h"

enum {
    /* Ticks without a doze after one that saw a hog, or a task that lasts. */
    AFTER_HOG = 100,
    AFTER_OTHER = 4,
};

/* How long a processor may keep away from the poller. */
static uint64_t wake_after(uint64_t tick) {
    return tick + tick / 4;
}

/* Has each processor that has a worker been at the poller since the last look?
 * Notes what it sees. */
static bool all_polled(struct weft_runtime *rt) {
    bool all = true;
    for (unsigned i = 0; i < rt->processor_count; i++) {
        struct weft_processor *p = &rt->processors[i];
        uint64_t polls = atomic_load_explicit(&p->polls, memory_order_relaxed);
        all &= polls != p->seen_polls ||
               atomic_load_explicit(&p->worker, memory_order_relaxed) == NULL;
        p->seen_polls = polls;
    }
    return all;
}

uint64_t weft_doze_begin(struct weft_runtime *rt,
                         const struct weft_look *look) {
    struct weft_doze *doze = &rt->doze;
    bool polled = all_polled(rt);
    if (look->hogs) {
        doze->unrest = AFTER_HOG;
    } else if (!look->calm || !polled) {
        doze->unrest =
            doze->unrest > AFTER_OTHER ? doze->unrest : (uint32_t)AFTER_OTHER;
    } else if (doze->unrest > 0) {
        doze->unrest--;
    } else if (atomic_load_explicit(&rt->strays, memory_order_relaxed) == 0 &&
               weft_global_length(&rt->held) == 0 &&
               weft_policy_on(&rt->config, WEFT_POLICY_QUIET) &&
               !weft_clock_is_virtual(&rt->clock) &&
               weft_timer_stretch(&rt->monitor)) {
        for (unsigned i = 0; i < rt->processor_count; i++) {
            atomic_store_explicit(&rt->processors[i].polled_at, look->now,
                                  memory_order_relaxed);
        }
        atomic_store_explicit(&doze->tick, look->tick, memory_order_relaxed);
        atomic_store_explicit(&doze->put_off_at, look->now,
                              memory_order_relaxed);
        atomic_store_explicit(&doze->on, 1, memory_order_relaxed);
        return look->now + wake_after(look->tick);
    }
    return 0;
}

void weft_doze_end(struct weft_runtime *rt, uint64_t now) {
    struct weft_doze *doze = &rt->doze;
    if (atomic_load_explicit(&doze->on, memory_order_relaxed) == 0) {
        return;
    }
    atomic_store_explicit(&doze->on, 0, memory_order_relaxed);
    uint64_t tick = atomic_load_explicit(&doze->tick, memory_order_relaxed);
    for (unsigned i = 0; i < rt->processor_count; i++) {
        struct weft_processor *p = &rt->processors[i];
        uint64_t polled =
            atomic_load_explicit(&p->polled_at, memory_order_relaxed);
        if (now > polled + tick) {
            /* As if this slice were the one after the last that was seen: what
             * came and went since then is no sign of calm. */
            p->seen_seq =
                atomic_load_explicit(&p->seq, memory_order_relaxed) - 1;
            p->seen_polls =
                atomic_load_explicit(&p->polls, memory_order_relaxed);
        }
    }
}

WEFT_TEXT void weft_doze_note(struct weft_processor *p) {
    atomic_store_explicit(&p->polled_at, weft_clock_now(),
                          memory_order_relaxed);
}

WEFT_TEXT void weft_doze_put_off(struct weft_runtime *rt,
                                 struct weft_processor *p) {
    struct weft_doze *doze = &rt->doze;
    uint64_t now = weft_clock_now();
    atomic_store_explicit(&p->polled_at, now, memory_order_relaxed);
    uint64_t last =
        atomic_load_explicit(&doze->put_off_at, memory_order_relaxed);
    uint64_t tick = atomic_load_explicit(&doze->tick, memory_order_relaxed);
    if (atomic_load_explicit(&doze->on, memory_order_relaxed) == 0 ||
        now < last + tick / 2 ||
        !atomic_compare_exchange_strong_explicit(&doze->put_off_at, &last, now,
                                                 memory_order_relaxed,
                                                 memory_order_relaxed)) {
        return;
    }
    uint64_t oldest = now;
    for (unsigned i = 0; i < rt->processor_count; i++) {
        struct weft_processor *q = &rt->processors[i];
        uint64_t at = atomic_load_explicit(&q->polled_at, memory_order_relaxed);
        if (at < oldest &&
            atomic_load_explicit(&q->worker, memory_order_relaxed) != NULL) {
            oldest = at;
        }
    }
    weft_timer_put_off(&rt->monitor, oldest + wake_after(tick));
}
