/* SPDX-License-Identifier: MIT */
/* A worker with nothing to run: it searches, polls, sleeps.
 *
 * The loop runs on the thread's own stack with the gate closed. It holds a
 * processor while it looks for work, and none while it sleeps. Where it sleeps:
 *   in the poller   one worker (the "seat"), until a descriptor is ready or the
 *                   earliest timer of all processors is due
 *   in its mailbox  the others (spares), until a processor is given to them
 *
 * Searching: at most half of the busy processors' workers steal at a time, one
 * is woken at a time, and a searcher that finds work wakes the next, so that
 * wakes spread as far as there is work and no further (Go, proc.go; Tokio,
 * idle.rs). Victims are the processors of the own memory node, then the others,
 * from a random start each. One is robbed of half of its local queue; of
 * its slot only in the last pass, and only when it has run one and the same
 * task all the while: what was just put there will be run there sooner.
 *
 * Timers and the poller:
 *     who arms an earlier timer             who goes to sleep in the poller
 *     1. heap: the earliest time            1. poll_until = what it knows
 *     2. full fence                         2. full fence
 *     3. earlier than poll_until? kick      3. looks at all heaps again
 *
 * Always true: idle.searching counts the workers whose `searching` is set, and
 * processors given to one that is to search. */
#include <errno.h>

#include "weft/arch/overflow.h"
#include "weft/sched/alarms.h"
#include "weft/sched/core.h"
#include "weft/sched/nodes.h"
#include "weft/sched/reserve.h"

enum {
    STEAL_PASSES = 4,
    POLL_BATCH = 128,
};

/* What is given instead of a processor when the runtime ends. */
struct weft_processor weft_processor_stop;

static uint32_t next_random(struct weft_worker *w) {
    uint32_t x = w->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return w->random = x;
}

/* The earliest timer of all. Any thread. */
WEFT_TEXT uint64_t weft_timers_next(struct weft_runtime *rt) {
    uint64_t next = WEFT_FOREVER;
    for (unsigned i = 0; i < rt->processor_count; i++) {
        uint64_t when = weft_timer_heap_next(&rt->processors[i].timers);
        next = when < next ? when : next;
    }
    return next;
}

/* A timer at `deadline` is in its heap: does somebody sleep past it? */
WEFT_TEXT void weft_poller_nudge(struct weft_runtime *rt, uint64_t deadline) {
    if (weft_clock_is_virtual(&rt->clock)) {
        weft_timers_due(rt, 0); /* nobody sleeps past it, but it may be over */
        return;
    }
    /* Pairs with the fences in poll_and_sleep(), see the columns above, and in
     * poll() (monitor.c). */
    atomic_thread_fence(memory_order_seq_cst);
    if (deadline <
            atomic_load_explicit(&rt->poll_until, memory_order_relaxed) ||
        deadline <
            atomic_load_explicit(&rt->monitor_until, memory_order_relaxed)) {
        weft_poller_kick(&rt->poller);
    }
}

/* How many slices have begun. Any thread; a snapshot. */
uint64_t weft_count_slices(const struct weft_runtime *rt) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < rt->processor_count; i++) {
        sum +=
            atomic_load_explicit(&rt->processors[i].seq, memory_order_relaxed);
    }
    return sum;
}

/* Makes the tasks that the poller gave back runnable. */
WEFT_TEXT void weft_ready_batch(void **tasks, int count) {
    for (int i = 0; i < count; i++) {
        weft_unpark(tasks[i]);
    }
}

/* A look at the poller, without waiting, which makes ready whom it has news
 * for: returns how many, up to the `room` in `tasks`. Owner. */
WEFT_TEXT int weft_look_at_poller(struct weft_processor *p, void **tasks,
                                  int room) {
    weft_count(&p->polls);
    if (atomic_load_explicit(&p->runtime->doze.on, memory_order_relaxed) != 0) {
        weft_doze_put_off(p->runtime, p);
    }
    int count = weft_poller_wait(&p->runtime->poller, 0, tasks, room);
    weft_ready_batch(tasks, count);
    return count;
}

/* A look at the poller and the timers, without waiting. Returns how many tasks
 * were made ready. */
WEFT_TEXT int weft_look_around(struct weft_worker *w) {
    struct weft_runtime *rt = w->runtime;
    struct weft_processor *p = weft_worker_processor(w);
    void *tasks[POLL_BATCH];
    int count = 0;
    if (weft_poller_waiting(&rt->poller) > 0) {
        count = weft_look_at_poller(p, tasks, POLL_BATCH);
    }
    if (weft_timers_next(rt) != WEFT_FOREVER) {
        count += weft_timers_due(rt, weft_clock_now());
    }
    return count;
}

static void stop_searching(struct weft_worker *w) {
    w->searching = false;
    atomic_fetch_sub_explicit(&w->runtime->idle.searching, 1,
                              memory_order_relaxed);
}

static void start_searching(struct weft_worker *w) {
    w->searching = true;
    atomic_fetch_add_explicit(&w->runtime->idle.searching, 1,
                              memory_order_relaxed);
}

static bool may_search(struct weft_worker *w) {
    struct weft_runtime *rt = w->runtime;
    if (w->searching) {
        return true;
    }
    uint32_t idle =
        atomic_load_explicit(&rt->idle.processors, memory_order_relaxed);
    uint32_t busy = rt->processor_count - idle;
    if (2 * atomic_load_explicit(&rt->idle.searching, memory_order_relaxed) >=
        busy) {
        return false;
    }
    start_searching(w);
    return true;
}

static struct weft_task *steal_slot(struct weft_processor *from, uint64_t seq) {
    struct weft_task *t =
        atomic_load_explicit(&from->slot, memory_order_relaxed);
    if (t == NULL ||
        atomic_load_explicit(&from->seq, memory_order_relaxed) != seq) {
        return NULL;
    }
    /* Acquire: pairs with the release in weft_slot_put(). */
    return atomic_exchange_explicit(&from->slot, NULL, memory_order_acquire);
}

static struct weft_task *steal(struct weft_worker *w,
                               struct weft_processor *p) {
    struct weft_runtime *rt = w->runtime;
    unsigned n = rt->processor_count;
    uint64_t seqs[n];
    for (unsigned i = 0; i < n; i++) {
        seqs[i] =
            atomic_load_explicit(&rt->processors[i].seq, memory_order_relaxed);
    }
    for (int pass = 0; pass < STEAL_PASSES; pass++) {
        unsigned start = next_random(w) % n;
        for (unsigned i = 0; i < n; i++) {
            unsigned at = weft_nodes_victim(p, i, start);
            struct weft_processor *from = &rt->processors[at];
            if (from == p) {
                continue;
            }
            struct weft_task *t =
                weft_node_task(weft_local_steal(&p->queue, &from->queue));
            if (t == NULL) {
                t = weft_node_task(weft_brood_steal(&from->brood));
                if (t != NULL) {
                    p->newest_first = true; /* it is of a tree */
                    weft_count(&p->adopted);
                }
            }
            if (t != NULL) {
                if (WEFT_UNLIKELY(from->node != p->node)) {
                    weft_count(&p->far);
                }
                return t;
            }
            if (pass == STEAL_PASSES - 1 &&
                (t = steal_slot(from, seqs[at])) != NULL) {
                return t;
            }
        }
    }
    return NULL;
}

/* From nobody, or from the monitor, which only stands in: it will leave soon.
 * Acquire: pairs with the release of the seat in poll_and_sleep(), through the
 * monitor's exchanges: poll_until is this worker's to write from now on. */
static bool take_seat(struct weft_runtime *rt) {
    uint32_t seat = atomic_load_explicit(&rt->poll_seat, memory_order_relaxed);
    while (seat != WEFT_SEAT_WORKER) {
        if (atomic_compare_exchange_weak_explicit(
                &rt->poll_seat, &seat, WEFT_SEAT_WORKER, memory_order_acquire,
                memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* Sleeps in the poller without a processor; comes back with one (true), or
 * finds the seat taken or nothing to hold on to (false). */
static bool poll_and_sleep(struct weft_worker *w) {
    struct weft_runtime *rt = w->runtime;
    void *tasks[POLL_BATCH];
    bool regained = false;
    if (!take_seat(rt)) {
        weft_clock_quieter(rt);
        return false;
    }
    atomic_store_explicit(&w->status, WEFT_WORKER_POLLING,
                          memory_order_relaxed);
    atomic_fetch_add_explicit(&rt->parks, 1, memory_order_relaxed);
    for (;;) {
        uint64_t until = weft_timers_next(rt);
        weft_dead_round(&rt->dead);
        bool jumps = weft_clock_is_virtual(&rt->clock);
        /* 0 would say that nobody sleeps here, and somebody may: until a
         * deadline of 0 under a virtual clock, which was over before. */
        atomic_store_explicit(&rt->poll_until, until != 0 ? until : 1,
                              memory_order_relaxed);
        /* Pairs with the fences in weft_poller_nudge() and weft_wake(), and
         * with those before weft_clock_quieter(). */
        atomic_thread_fence(memory_order_seq_cst);
        weft_thread_take_asked(&w->thread);
        uint64_t again = weft_timers_next(rt);
        until = again < until ? again : until;
        int count = 0;
        if (!weft_anything_waiting(rt) &&
            !atomic_load_explicit(&rt->stopped, memory_order_relaxed)) {
            count =
                jumps ? weft_clock_wait(rt, &until, tasks, POLL_BATCH)
                      : weft_poller_wait(&rt->poller, until, tasks, POLL_BATCH);
        }
        atomic_store_explicit(&rt->poll_until, 0, memory_order_relaxed);
        bool due =
            until != WEFT_FOREVER && weft_clock_read(&rt->clock) >= until;
        if (count > 0 || due || weft_anything_waiting(rt)) {
            struct weft_processor *p = weft_idle_pop(rt, w->node);
            if (p != NULL) {
                weft_processor_take(w, p);
                regained = true;
            }
            weft_ready_batch(tasks, count);
            if (due) {
                weft_timers_due(rt, weft_clock_now());
            }
            break;
        }
        if (atomic_load_explicit(&rt->stopped, memory_order_relaxed)) {
            break;
        }
    }
    /* Release: pairs with the acquire in take_seat(). */
    atomic_store_explicit(&rt->poll_seat, WEFT_SEAT_VACANT,
                          memory_order_release);
    return regained;
}

/* Lets go of the processor, which has nothing to run. True when work came up
 * meanwhile and the worker has a processor again. */
static bool go_idle(struct weft_worker *w, struct weft_processor *p) {
    struct weft_runtime *rt = w->runtime;
    bool searched = w->searching;
    weft_alarms_rest(w);
    atomic_store_explicit(&w->processor, NULL, memory_order_relaxed);
    weft_idle_push(p);
    if (searched) {
        stop_searching(w);
    }
    /* Pairs with the fence in weft_wake(): see the columns in ready.c. */
    atomic_thread_fence(memory_order_seq_cst);
    if (weft_anything_waiting(rt)) {
        p = weft_idle_pop(rt, w->node);
        if (p != NULL) {
            weft_processor_take(w, p);
            /* However many search: what was seen may lie in another's queue.
             * Else the worker would come back here again and again until that
             * one's thread, which may have no CPU, has gone on. */
            start_searching(w);
            return true;
        }
    }
    return poll_and_sleep(w);
}

/* A task to run, or NULL when the processor was let go of. */
static struct weft_task *find(struct weft_worker *w) {
    for (;;) {
        struct weft_processor *p = weft_worker_processor(w);
        struct weft_task *t = NULL;
        if (atomic_load_explicit(&w->runtime->stopped, memory_order_relaxed)) {
            return NULL;
        }
        if ((t = weft_pick(p)) != NULL) {
            return t;
        }
        if (weft_look_around(w) > 0 && (t = weft_pick(p)) != NULL) {
            return t;
        }
        if (w->runtime->processor_count > 1 && may_search(w) &&
            (t = steal(w, p)) != NULL) {
            if (!weft_reserve_bars(w->runtime, t)) {
                return t;
            }
            if ((t = weft_reserve_hold(w->runtime, t)) != NULL) {
                return t;
            }
            continue;
        }
        if ((t = weft_reserve_admit(w->runtime)) != NULL) {
            return t;
        }
        if (!go_idle(w, p)) {
            return NULL;
        }
    }
}

/* Runs `t` until a switch comes back to the native stack. */
static void run(struct weft_worker *w, struct weft_task *t) {
    if (w->searching) {
        /* Found some: the next one may search. */
        stop_searching(w);
        weft_wake(w->runtime);
    }
    struct weft_processor *p = weft_worker_processor(w);
    p->quick = 0; /* who knows what comes now */
    if (weft_task_is_fresh(t) && !weft_task_equip(p, t)) {
        weft_task_starves(w, t);
        return;
    }
    weft_task_become(t, WEFT_TASK_RUNNABLE, WEFT_TASK_RUNNING);
    atomic_store_explicit(&w->task, t, memory_order_relaxed);
    weft_slice_begin(p, t);
    weft_context_switch(&w->native, &t->context);
    weft_switch_finish();
}

/* Waits as a spare for a processor; false when the runtime ends, or there have
 * been too many spares for a while. */
static bool sleep_as_spare(struct weft_worker *w) {
    struct weft_runtime *rt = w->runtime;
    /* Work that was left for want of a worker is this one's: the waker looked
     * at the spare list before it was on it. Pairs with weft_wake()'s fence. */
    atomic_thread_fence(memory_order_seq_cst);
    weft_thread_take_asked(&w->thread);
    if (weft_anything_waiting(rt) ||
        atomic_load_explicit(&rt->poll_seat, memory_order_relaxed) ==
            WEFT_SEAT_VACANT) {
        weft_wake(rt);
    }
    atomic_fetch_add_explicit(&rt->parks, 1, memory_order_relaxed);
    struct weft_processor *p =
        weft_handover_wait(&w->handover, weft_threads_linger(rt));
    if (p == NULL) {
        if (weft_spare_leave(w)) {
            return false;
        }
        p = weft_handover_wait(&w->handover, WEFT_FOREVER); /* it is coming */
    }
    if (p == &weft_processor_stop) {
        return false;
    }
    weft_processor_take(w, p);
    return true;
}

static void become_spare(struct weft_worker *w) {
    weft_share_thread(w, false); /* who knows what it is given next */
    weft_alarms_rest(w);
    atomic_store_explicit(&w->processor, NULL, memory_order_relaxed);
    atomic_store_explicit(&w->status, WEFT_WORKER_SPARE, memory_order_relaxed);
    weft_spare_push(w);
}

/* The task's frames are on another thread: that one goes on with it. */
static void pass_on(struct weft_worker *w, struct weft_task *t) {
    struct weft_processor *p = weft_worker_processor(w);
    WEFT_CHECK_OP(t->bound, !=, w);
    if (w->searching) {
        stop_searching(w);
        weft_wake(w->runtime);
    }
    become_spare(w);
    weft_processor_give_here(p, t->bound, t);
}

WEFT_TEXT void weft_worker_main(struct weft_worker *w) {
    bool is_spare = true; /* who made the thread has put it on the list */
    for (;;) {
        struct weft_processor *p = weft_worker_processor(w);
        if (p == NULL) {
            if (!is_spare) {
                become_spare(w);
            }
            is_spare = false;
            if (!sleep_as_spare(w)) {
                break;
            }
            p = weft_worker_processor(w);
        }
        struct weft_task *t = w->next != NULL ? w->next : p->next;
        w->next = NULL;
        p->next = NULL;
        if (t != NULL && t->hog &&
            weft_policy_on(&w->runtime->config, WEFT_POLICY_CLASSES) &&
            !weft_share_hog_due(p, weft_clock_now()) &&
            weft_look_around(w) > 0) {
            /* Light tasks became ready: they go first, in one batch. */
            weft_put_back(w->runtime, t);
            t = NULL;
        }
        if (t == NULL) {
            t = find(w);
        }
        if (t == NULL) {
            p = weft_worker_processor(w);
            if (p != NULL) { /* the runtime ends */
                break;
            }
        } else if (weft_task_is_bound(t)) {
            pass_on(w, t);
            is_spare = true;
        } else {
            run(w, t);
        }
    }
}
