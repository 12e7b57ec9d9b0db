/* SPDX-License-Identifier: MIT */
/* The cap on OS threads, and what is kept in reserve below it. The cap is
 * `max_threads` or, where the kernel has refused a thread (a limit on the
 * user's processes, a container's), what there are, until it gives one again.
 *
 * A task that was interrupted occupies its thread until its turn comes, so with
 * `max_threads` threads no more than that many tasks can be under way and
 * interrupted. Were the last thread given to one more that computes, whoever
 * waited for a timer or a friend would find no thread to go on with when his
 * turn has come, for as long as the others compute. So when all threads there
 * may be exist and few of them are spare, a task that has not begun is held
 * back. Those that have begun share what there is:
 *
 *     few threads left     a task that has not begun is put into `held`
 *     a spare comes back   one of them goes to the global queue
 *     a worker finds       it takes one, if another thread is free: a spare, or
 *     nothing to run       the one in the poller
 *     a second without a   one of them may begin all the same: perhaps all
 *     single pick          others wait for it in calls of the kernel
 *
 * Few: as many as there are processors, or half of what there is beside one for
 * each, if that is less, but one. Migratable tasks are not held back: they need
 * no thread of their own. Nor are those with a stack size of their own, which
 * are not told from tasks that have begun.
 *
 *     who holds a task back              who becomes a spare
 *     1. puts it into `held`             1. tight = false
 *     2. full fence                      2. full fence
 *     3. still tight? else takes one     3. takes one, if any
 *
 * The last two that have nothing to run may each find that the other is not
 * free yet. So who becomes free looks once more, after a fence
 * (weft_reserve_admits() in weft_anything_waiting()): the later one sees both.
 *
 * That the kernel refuses is known when it does, which is when a thread is
 * needed: those that compute may have taken all there are by then. So one
 * thread is kept off the spare list as long as more may come:
 *
 *     the spawner makes one        it is the reserve, if there is none
 *     the kernel refuses one       1. tight  2. the reserve becomes a spare
 *     the kernel gives one again   it is the new reserve; no longer tight
 *     max_threads exist            the reserve becomes a spare when those are
 *                                  few
 *     a spare too many would end   it is the reserve, if there is none
 *
 * Who picked a task that has not begun before 1 may want the spare of 2 for it:
 * so who takes a spare looks again, under the lock (weft_spare_pop()).
 *
 * Always true: `tight` is what the spare list says, under idle.lock; a task in
 * `held` has never run; without a reserve the kernel has refused, or there are
 * max_threads threads.
 *
 * Rejected: interrupting nobody any more at the cap (then the tasks that have
 * threads starve each other); not letting a task be interrupted that runs on
 * the last thread (then those that have threads starve behind it); being tight
 * whenever the spawner has not made the next thread yet (it is slower than
 * tasks begin). */
#include "weft/sched/reserve.h"

#include "weft/base/print.h"

enum { STANDSTILL = 1000 * 1000 * 1000 }; /* ns */

/* How many threads there may be, as far as is known. Any thread. */
WEFT_TEXT uint32_t weft_reserve_cap(struct weft_runtime *rt) {
    return atomic_load_explicit(&rt->no_more, memory_order_relaxed)
               ? weft_threads_count(rt)
               : rt->config.max_threads;
}

static uint32_t few(struct weft_runtime *rt) {
    uint32_t all = weft_reserve_cap(rt);
    uint32_t n = rt->processor_count;
    uint32_t half = all > n + 2 ? (all - n) / 2 : 1;
    return n < half ? n : half;
}

static struct weft_worker *reserve(struct weft_runtime *rt) {
    return atomic_load_explicit(&rt->reserve, memory_order_relaxed);
}

/* Under idle.lock: the list of spares has changed. */
WEFT_TEXT void weft_reserve_note(struct weft_runtime *rt) {
    uint32_t threads = weft_threads_count(rt);
    uint32_t all = weft_reserve_cap(rt);
    uint32_t to_come =
        (threads < all ? all - threads : 0) + (reserve(rt) != NULL);
    bool tight = atomic_load_explicit(&rt->idle.spares, memory_order_relaxed) +
                     to_come <=
                 few(rt);
    if (tight != atomic_load_explicit(&rt->tight, memory_order_relaxed)) {
        atomic_store_explicit(&rt->tight, tight, memory_order_relaxed);
    }
}

static struct weft_task *take(struct weft_runtime *rt) {
    return weft_global_length(&rt->held) == 0
               ? NULL
               : weft_node_task(weft_global_pop(&rt->held));
}

/* Under idle.lock: makes `w`, which waits for a processor and is on no list,
 * the reserve. False: there is one, or there is no need of it. */
WEFT_TEXT bool weft_reserve_keep(struct weft_worker *w) {
    struct weft_runtime *rt = w->runtime;
    bool keep = reserve(rt) == NULL &&
                !atomic_load_explicit(&rt->no_more, memory_order_relaxed) &&
                !atomic_load_explicit(&rt->stopped, memory_order_relaxed);
    if (keep) {
        atomic_store_explicit(&rt->reserve, w, memory_order_relaxed);
    }
    return keep;
}

/* The reserve, if there is one, becomes a spare. The spawner, or when it has
 * ended. */
void weft_reserve_open(struct weft_runtime *rt) {
    weft_lock_acquire(&rt->idle.lock);
    struct weft_worker *w = reserve(rt);
    atomic_store_explicit(&rt->reserve, NULL, memory_order_relaxed);
    weft_reserve_note(rt);
    weft_lock_release(&rt->idle.lock);
    if (w != NULL) {
        weft_spare_push(w);
    }
}

/* The spawner: the kernel has given a thread, `w`. */
void weft_reserve_add(struct weft_worker *w) {
    struct weft_runtime *rt = w->runtime;
    weft_lock_acquire(&rt->idle.lock);
    atomic_store_explicit(&rt->no_more, false, memory_order_relaxed);
    bool kept = weft_reserve_keep(w);
    weft_reserve_note(rt);
    weft_lock_release(&rt->idle.lock);
    if (kept) {
        weft_reserve_release(rt);
    } else {
        weft_spare_push(w);
    }
}

/* The spawner: the kernel has refused one. */
void weft_reserve_refused(struct weft_runtime *rt) {
    atomic_store_explicit(&rt->no_more, true, memory_order_relaxed);
    weft_reserve_open(rt); /* which notes that, first of all */
}

/* A worker has become a spare. */
WEFT_TEXT void weft_reserve_release(struct weft_runtime *rt) {
    /* Pairs with the fence in weft_reserve_hold(): see the columns. */
    atomic_thread_fence(memory_order_seq_cst);
    if (weft_global_length(&rt->held) == 0 || weft_reserve_is_low(rt)) {
        return;
    }
    struct weft_task *t = take(rt);
    if (t != NULL) {
        weft_push_global(rt, t);
        weft_wake(rt);
    }
}

/* Is `t`, which was picked, not to begin now? */
WEFT_TEXT bool weft_reserve_bars(struct weft_runtime *rt,
                                 const struct weft_task *t) {
    return weft_reserve_is_low(rt) && weft_task_is_fresh(t) && !t->migratable &&
           !t->urged;
}

/* Has `t`, which was picked, held back. Returns another to run in its place if
 * there are spares again. Owner of a processor. */
WEFT_TEXT struct weft_task *weft_reserve_hold(struct weft_runtime *rt,
                                              struct weft_task *t) {
    weft_reserve_say(rt);
    weft_global_push(&rt->held, &t->node);
    /* Pairs with the fence in weft_reserve_release(). */
    atomic_thread_fence(memory_order_seq_cst);
    return weft_reserve_is_low(rt) ? NULL : take(rt);
}

/* Threads with nothing to do. A snapshot. */
static uint32_t free_threads(struct weft_runtime *rt) {
    return atomic_load_explicit(&rt->idle.spares, memory_order_relaxed) +
           (atomic_load_explicit(&rt->poll_seat, memory_order_relaxed) ==
            WEFT_SEAT_WORKER);
}

/* One that was held back, or NULL, for a worker with nothing to run, if one
 * more thread is free. */
WEFT_TEXT struct weft_task *weft_reserve_admit(struct weft_runtime *rt) {
    return free_threads(rt) > 0 || !weft_reserve_is_low(rt) ? take(rt) : NULL;
}

/* Is one held back that a thread may begin which is free now? A snapshot. */
WEFT_TEXT bool weft_reserve_admits(struct weft_runtime *rt) {
    return weft_global_length(&rt->held) > 0 &&
           (!weft_reserve_is_low(rt) || free_threads(rt) > 1);
}

/* The monitor: does nothing move while tasks are held back? */
WEFT_TEXT void weft_reserve_watch(struct weft_runtime *rt, uint64_t now) {
    uint64_t picks = 0;
    if (WEFT_LIKELY(weft_global_length(&rt->held) == 0)) {
        return;
    }
    for (unsigned i = 0; i < rt->processor_count; i++) {
        picks +=
            atomic_load_explicit(&rt->processors[i].seq, memory_order_relaxed);
    }
    if (picks != rt->picks_seen) {
        rt->picks_seen = picks;
        rt->picks_seen_at = now;
    } else if (now > rt->picks_seen_at + STANDSTILL) {
        rt->picks_seen_at = now;
        struct weft_task *t = take(rt);
        if (t != NULL) {
            t->urged = true;
            weft_push_global(rt, t);
            weft_wake(rt);
        }
    }
}

/* The cap makes itself felt: somebody says so once, but not here, perhaps in a
 * signal handler. */
WEFT_TEXT void weft_reserve_say(struct weft_runtime *rt) {
    if (atomic_load_explicit(&rt->cap_said, memory_order_relaxed) == 0 &&
        atomic_exchange_explicit(&rt->cap_said, 1, memory_order_relaxed) == 0) {
        weft_timer_kick(&rt->spawner);
    }
}

/* The spawner, or when it has ended. */
void weft_reserve_print(struct weft_runtime *rt) {
    if (atomic_load_explicit(&rt->cap_said, memory_order_relaxed) == 1) {
        atomic_store_explicit(&rt->cap_said, 2, memory_order_relaxed);
        weft_print(2,
                   "weft: all %u OS threads are in use (%s): tasks go on past "
                   "their quantum, and new ones wait\n",
                   weft_reserve_cap(rt),
                   atomic_load_explicit(&rt->no_more, memory_order_relaxed)
                       ? "the system gives no more"
                       : "max_threads");
    }
}
