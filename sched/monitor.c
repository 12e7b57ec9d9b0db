/* SPDX-License-Identifier: MIT */
/* The monitor: one OS thread without a processor that sees to liveness.
 *
 * At each tick it looks at every processor that is held by a worker:
 *   a slice as old as the minimum, and a light task waits    preempt
 *   a slice as old as the quantum, and any task waits        preempt
 *   the same, but the thread sleeps in the kernel            retake (keep.c)
 *   a full slot behind a task that overstays                 wake a worker
 * and at what nobody else does while all processors are busy: it sleeps in the
 * poller in their stead, so that descriptors and timers become ready tasks, for
 * which it then preempts at once. That is what keeps a server responsive whose
 * every processor is taken by tasks that compute.
 *
 * The age of a slice is measured from the first tick that saw it, so that
 * switching tasks needs no clock: it is at most one tick too young. For a hog
 * the processor notes when it began.
 *
 * When all processors are idle it sleeps until somebody takes one (IDLE_TICKS
 * later, so that a program that naps a little does not pay for two wake-ups
 * each time).
 *
 * Always true: it takes no libc lock and creates no thread; it signals no
 * thread that sleeps in the kernel. */
#include <fcntl.h>
#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/sched/core.h"

enum {
    IDLE_TICKS = 10,
    BETWEEN = 100 * 1000, /* ns to the next look at one between two tasks */
    POLL_BATCH = 128,
};

/* How often it looks while tasks run. */
static uint64_t tick_length(const struct weft_runtime *rt) {
    uint64_t quantum = rt->config.quantum_ns;
    if (quantum >= 10 * WEFT_MS) {
        return WEFT_MS;
    }
    uint64_t tenth = quantum / 10;
    return tenth > 50 * WEFT_US ? tenth : 50 * WEFT_US;
}

/* Does the thread sleep in the kernel? R: it runs or would like to. */
static bool is_asleep(struct weft_worker *w) {
    char text[128];
    if (w->stat_fd < 0) {
        return false;
    }
    long n = weft_syscall(SYS_pread64, w->stat_fd, (long)text, sizeof text, 0,
                          0, 0);
    for (long i = n - 1; i > 0; i--) {
        if (text[i] == ')') { /* "TID (name) STATE ..." */
            return i + 2 < n && text[i + 2] != 'R';
        }
    }
    return false;
}

/* To give way: now, or at its next call into the scheduler. */
static void ask(struct weft_runtime *rt, struct weft_worker *w, uint64_t now) {
    if (rt->config.preempt == WEFT_PREEMPT_COOPERATIVE) {
        weft_gate_defer(&w->thread.gate);
    } else {
        weft_signals_request(&w->thread, now);
    }
}

static void preempt(struct weft_runtime *rt, struct weft_processor *p,
                    struct weft_worker *w, uint64_t seq, uint64_t now) {
    atomic_store_explicit(&p->asked_seq, seq, memory_order_relaxed);
    if (is_asleep(w)) {
        if (rt->can_retake) {
            (void)weft_retake(rt, p, w);
            return;
        }
        /* No membarrier (an old kernel, an emulator): the signal brings it out
         * of its call, which may return EINTR; the alternative is a processor
         * that stands still. */
    }
    ask(rt, w, now);
}

/* How old the slice on `p` must be before a light task takes its place. */
static uint64_t light_may_come(struct weft_runtime *rt,
                               struct weft_processor *p) {
    uint64_t least = rt->config.min_slice_ns;
    uint64_t protect = atomic_load_explicit(&p->protect, memory_order_relaxed);
    if (atomic_load_explicit(&p->began, memory_order_relaxed) == 0 ||
        protect <= least) {
        return least;
    }
    return protect < rt->config.quantum_ns ? protect : rt->config.quantum_ns;
}

/* Looks at `p`; returns when it wants to be looked at again. */
static uint64_t look_at(struct weft_runtime *rt, struct weft_processor *p,
                        uint64_t now, uint64_t tick) {
    /* Acquire: pairs with the releases in weft_processor_give() and _take(). */
    struct weft_worker *w =
        atomic_load_explicit(&p->worker, memory_order_acquire);
    uint64_t seq = atomic_load_explicit(&p->seq, memory_order_relaxed);
    if (w == NULL) {
        return WEFT_FOREVER;
    }
    if (seq != p->seen_seq) {
        uint64_t began = atomic_load_explicit(&p->began, memory_order_relaxed);
        p->seen_seq = seq;
        p->seen_at = began != 0 && began < now ? began : now;
    }
    atomic_fetch_add_explicit(&rt->checks, 1, memory_order_relaxed);
    if (atomic_load_explicit(&w->processor, memory_order_relaxed) != p ||
        atomic_load_explicit(&w->task, memory_order_relaxed) == NULL) {
        return now + (tick < BETWEEN ? tick : BETWEEN);
    }
    uint64_t age = now > p->seen_at ? now - p->seen_at : 0;
    bool light = weft_light_waiting(rt, p);
    bool hogs = weft_global_length(&rt->hogs) > 0;
    uint64_t allowed = light ? light_may_come(rt, p) : rt->config.quantum_ns;
    if (!light && !hogs) {
        return now + tick;
    }
    if (age < allowed) {
        uint64_t due = p->seen_at + allowed;
        return due < now + tick ? due : now + tick;
    }
    if (atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) > 0) {
        weft_wake(rt); /* somebody may take it over without a preemption */
        if (age < rt->config.quantum_ns) {
            return now + tick;
        }
    }
    if (rt->config.preempt != WEFT_PREEMPT_OFF) {
        preempt(rt, p, w, seq, now);
    }
    return now + tick;
}

/* Threads that run a task whose processor was taken from them. */
static void stop_strays(struct weft_runtime *rt, uint64_t now) {
    if (atomic_load_explicit(&rt->strays, memory_order_relaxed) == 0) {
        return;
    }
    /* Acquire: pairs with the release in start_worker(). */
    uint32_t n = atomic_load_explicit(&rt->worker_count, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++) {
        struct weft_worker *w =
            atomic_load_explicit(&rt->workers[i], memory_order_relaxed);
        if (atomic_load_explicit(&w->status, memory_order_relaxed) ==
                WEFT_WORKER_STRAY &&
            !is_asleep(w)) {
            ask(rt, w, now);
        }
    }
}

/* Sleeps in the poller until `until`, and makes ready what comes. */
static void poll(struct weft_runtime *rt, uint64_t until) {
    void *tasks[POLL_BATCH];
    atomic_store_explicit(&rt->monitor_until, until, memory_order_relaxed);
    /* Pairs with the fence in weft_poller_nudge(). */
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t next = weft_timers_next(rt);
    int count = weft_poller_wait(&rt->poller, next < until ? next : until,
                                 tasks, POLL_BATCH);
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
    if (++rt->idle_ticks < IDLE_TICKS) {
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

uint64_t weft_monitor_tick(void *runtime, uint64_t now) {
    struct weft_runtime *rt = runtime;
    uint64_t tick = tick_length(rt);
    bool slept;
    do {
        uint64_t next = now + tick;
        if (weft_timers_next(rt) <= now) {
            /* First, so that the look below sees whom they woke. */
            weft_timers_run(rt, now);
        }
        for (unsigned i = 0; i < rt->processor_count; i++) {
            uint64_t want = look_at(rt, &rt->processors[i], now, tick);
            next = want < next ? want : next;
        }
        stop_strays(rt, now);
        if (atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) ==
            rt->processor_count) {
            if (fall_asleep(rt)) {
                return WEFT_FOREVER;
            }
            return next;
        }
        rt->idle_ticks = 0;
        slept = stand_in(rt, next);
        now = weft_clock_now();
        if (!slept) {
            return next;
        }
    } while (!atomic_load_explicit(&rt->stopped, memory_order_relaxed));
    return WEFT_FOREVER;
}
