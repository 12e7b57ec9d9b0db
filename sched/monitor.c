/* SPDX-License-Identifier: MIT */
/* The monitor: one OS thread without a processor that sees to liveness.
 *
 * At each tick it runs the timers that are due, looks at every processor that
 * is held by a worker (watch.c), and sees to what nobody else does while all
 * processors are busy: it sleeps in the poller in their stead, so that
 * descriptors and timers become ready tasks, for which it then preempts at
 * once. That is what keeps a server responsive whose every processor is taken
 * by tasks that compute. While all of them run hogs within their share nobody
 * could begin, and it does not look: their alarms will. When light tasks wait
 * already, more of them would change nothing: then it only looks at the poller
 * once a tick, and leaves the rest to the worker that will run them; and so
 * where all tasks come and go quickly.
 *
 * When all processors are idle it sleeps until somebody takes one (IDLE_TICKS
 * later, so that a program that naps a little does not pay for two wake-ups
 * each time), after a look whether anybody ever can (dead.c).
 *
 * Always true: it takes no libc lock and creates no thread; it signals no
 * thread that sleeps in the kernel. */
#include "weft/sched/alarms.h"
#include "weft/sched/core.h"
#include "weft/sched/reserve.h"
#include "weft/sched/virtual_clock.h"

enum {
    IDLE_TICKS = 10,
    POLL_BATCH = 128,
    TOGETHER = 200 * 1000, /* ns that a look waits for a timer; see poll() */
    SHIELDED = 100 * 1000, /* ns for which no light task may begin anywhere */
};

/* How often it looks while tasks run; at the end of a slice that it has seen it
 * looks in any case. At a tenth of a short quantum it took a fifth of both CPUs
 * beside tasks that spin. */
static uint64_t tick_length(const struct weft_runtime *rt) {
    uint64_t half = rt->config.quantum_ns / 2;
    return half > WEFT_MS ? WEFT_MS : half > 50 * WEFT_US ? half : 50 * WEFT_US;
}

/* Sleeps in the poller until `until`, and makes ready what comes. If a timer is
 * due a little later, until then: nobody is in a hurry, and the kernel does not
 * let a thread that has just run take the place of a hog's at once again. */
static void poll(struct weft_runtime *rt, uint64_t until) {
    void *tasks[POLL_BATCH];
    atomic_store_explicit(&rt->monitor_until, until, memory_order_relaxed);
    /* Pairs with the fence in weft_poller_nudge(). */
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t next = weft_timers_next(rt);
    next = weft_clock_after(next, weft_alarms_grace(rt, next));
    bool timer = until != 0 && next < until + TOGETHER;
    int count =
        weft_poller_wait(&rt->poller, timer ? next : until, tasks, POLL_BATCH);
    atomic_store_explicit(&rt->monitor_until, 0, memory_order_relaxed);
    weft_ready_batch(tasks, count);
}

/* Is there a timer, or a task that waits for a descriptor? */
static bool anything_awaited(struct weft_runtime *rt) {
    return weft_poller_waiting(&rt->poller) > 0 ||
           weft_timers_next(rt) != WEFT_FOREVER;
}

/* Timers and descriptors that nobody sees to: true when it slept over it. */
static bool stand_in(struct weft_runtime *rt, uint64_t until) {
    uint32_t seat = WEFT_SEAT_VACANT;
    bool waits = anything_awaited(rt);
    if (!waits || atomic_load_explicit(&rt->poll_seat, memory_order_relaxed) !=
                      WEFT_SEAT_VACANT) {
        return false;
    }
    if (atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) > 0) {
        weft_wake(rt); /* who finds nothing to run takes the seat */
        return false;
    }
    if (!atomic_compare_exchange_strong_explicit(
            &rt->poll_seat, &seat, WEFT_SEAT_MONITOR, memory_order_relaxed,
            memory_order_relaxed)) {
        return false;
    }
    poll(rt, until);
    seat = WEFT_SEAT_MONITOR;
    if (!atomic_compare_exchange_strong_explicit(
            &rt->poll_seat, &seat, WEFT_SEAT_VACANT, memory_order_relaxed,
            memory_order_relaxed)) {
        /* A worker sleeps there now; a kick meant for it may have come here. */
        weft_poller_kick(&rt->poller);
    }
    return true;
}

WEFT_TEXT void weft_monitor_wake(struct weft_runtime *rt) {
    /* Pairs with the fence in fall_asleep(). */
    atomic_thread_fence(memory_order_seq_cst);
    if (WEFT_UNLIKELY(atomic_load_explicit(&rt->monitor_asleep,
                                           memory_order_relaxed) != 0)) {
        atomic_store_explicit(&rt->monitor_asleep, 0, memory_order_relaxed);
        weft_timer_kick(&rt->monitor);
    }
}

/* All processors are idle: may it sleep until one is taken? */
static bool fall_asleep(struct weft_runtime *rt) {
    if (atomic_load_explicit(&rt->poll_seat, memory_order_relaxed) !=
            WEFT_SEAT_WORKER &&
        anything_awaited(rt)) {
        /* The last worker found the seat taken. Somebody shall take it. */
        weft_wake(rt);
        return false;
    }
    if (++rt->idle_ticks < IDLE_TICKS || weft_global_length(&rt->held) > 0 ||
        !weft_policy_on(&rt->config, WEFT_POLICY_QUIET)) {
        return false;
    }
    atomic_store_explicit(&rt->monitor_asleep, 1, memory_order_relaxed);
    /* Pairs with the fence in weft_monitor_wake(): who takes a processor sees
     * the 1, or is seen here. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) <
        rt->processor_count) {
        atomic_store_explicit(&rt->monitor_asleep, 0, memory_order_relaxed);
        return false;
    }
    return true;
}

/* Looks at all processors; returns when to look again. */
static uint64_t watch_all(struct weft_runtime *rt, struct weft_look *look) {
    uint64_t next = look->now + look->tick;
    uint32_t hogs = weft_global_length(&rt->hogs);
    look->waiting = false;
    look->may = WEFT_FOREVER;
    look->calm = true;
    look->quantum = weft_quantum(&rt->config, hogs);
    look->hogs = hogs > 0;
    for (unsigned i = 0; i < rt->processor_count; i++) {
        look->hogs |= weft_began_as_hog(atomic_load_explicit(
            &rt->processors[i].began, memory_order_relaxed));
    }
    look->shared =
        weft_global_length(&rt->global) + weft_global_length(&rt->high);
    for (unsigned i = 0; i < rt->processor_count; i++) {
        uint64_t want = weft_watch(rt, &rt->processors[i], look);
        next = want < next ? want : next;
    }
    weft_watch_strays(rt, look->now);
    weft_reserve_watch(rt, look->now);
    return next;
}

uint64_t weft_monitor_tick(void *runtime, uint64_t now) {
    struct weft_runtime *rt = runtime;
    struct weft_look look = {.now = now, .tick = tick_length(rt)};
    weft_doze_end(rt, now);
    do {
        uint64_t due = weft_timers_next(rt);
        uint64_t grace = weft_alarms_grace(rt, due);
        if (grace == 0 || look.now >= due + grace) {
            /* First, so that the look below sees whom they woke. */
            weft_timers_due(rt, look.now);
        }
        uint64_t next = watch_all(rt, &look);
        if (atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) ==
            rt->processor_count) {
            bool asleep = fall_asleep(rt);
            uint64_t look_again = rt->idle_ticks >= IDLE_TICKS
                                      ? weft_dead_look(rt, look.now)
                                      : WEFT_FOREVER;
            return asleep || look_again < next ? look_again : next;
        }
        rt->idle_ticks = 0;
        uint64_t doze = weft_doze_begin(rt, &look);
        if (doze != 0) {
            return doze;
        }
        if (look.waiting || look.calm ||
            !weft_policy_on(&rt->config, WEFT_POLICY_POLL)) {
            if (look.now >= rt->last_poll + look.tick) {
                rt->last_poll = look.now;
                weft_clock_hold(); /* tasks pass through this thread's hands */
                stand_in(rt, 0);
                weft_clock_release();
            }
            return next;
        }
        if (rt->alarms && look.may > look.now + SHIELDED) {
            return weft_earlier(next, look.may);
        }
        if (!stand_in(rt, next)) {
            return next;
        }
        look.now = rt->last_poll = weft_clock_now();
    } while (!atomic_load_explicit(&rt->stopped, memory_order_relaxed));
    return WEFT_FOREVER;
}
