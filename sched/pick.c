/* SPDX-License-Identifier: MIT */
/* Which task is next: all the policy of the queues stands here.
 *
 *   slot    the task that was made ready last on this processor; talking tasks
 *           pass it to and fro, so at most SLOT_STREAK times in a row. After an
 *           end it is most likely the joiner: up to 16 tasks that have not
 *           begun go before it, oldest of the local queue first, on the stack
 *           that is warm (quick.h), unless a brood is there
 *   local   ready tasks of this processor, first in first out
 *   brood   tasks to be joined that have not begun, made from when a task here
 *           waited for another's end until nothing is left: the newest first,
 *           and each millisecond the oldest (brood.h says why)
 *   global  ready tasks from outside and what overflowed; a share at a time
 *   high    high priority; before all others, but not each time
 *   hogs    tasks that were preempted time and again since they last waited, or
 *           used a whole quantum, or sleep on a thread of their own; and those
 *           of low priority; behind all others, but with a guaranteed share
 *
 * So a task that waits and works a little passes tasks that only work, as in
 * every interactive scheduler since CTSS (Corbato 1962); the shares keep each
 * queue moving whatever the others do:
 *   every 61st pick begins with the global queue (the interval of Go's
 *   findRunnable: a prime, so that it does not beat with the program's own),
 *   one in 16 with the hogs when it is their turn (share.c), every 8th passes
 *   the high queue by, every 4th looks at the local queue before the brood.
 *
 * Always true: who calls owns the processor; a task that comes out of here is
 * in no queue any more. */
#include "weft/sched/core.h"
#include "weft/sched/quick.h"
#include "weft/sched/reserve.h"

enum {
    GLOBAL_INTERVAL = 61,
    HOG_INTERVAL = 1024,
    HIGH_INTERVAL = 8,
    OLDEST_AFTER = 1000 * 1000, /* ns */
    SLOT_STREAK_TREE = 16, /* a parent whose child has ended is in the slot */
    GLOBAL_SHARE = 128,
};

static struct weft_task *pop(struct weft_global *q) {
    return weft_global_length(q) == 0 ? NULL
                                      : weft_node_task(weft_global_pop(q));
}

/* Takes this processor's share of the global queue: one to run, the rest into
 * the local queue, which is empty. */
static struct weft_task *pop_share(struct weft_processor *p) {
    struct weft_runtime *rt = p->runtime;
    struct weft_batch batch;
    uint32_t length = weft_global_length(&rt->global);
    if (length == 0) {
        return NULL;
    }
    uint32_t share = length / rt->processor_count + 1;
    weft_batch_init(&batch);
    weft_global_pop_batch(&rt->global,
                          share < GLOBAL_SHARE ? share : GLOBAL_SHARE, &batch);
    struct weft_task *t = weft_node_task(weft_batch_pop(&batch));
    weft_local_push_batch(&p->queue, &batch);
    if (WEFT_UNLIKELY(batch.count > 0)) {
        weft_global_push_batch(&rt->global, &batch);
    }
    return t;
}

/* Have the newest gone first for long enough? By the clock: what is oldest may
 * be the rest of the very tree whose leaves are the newest. Each turn of its
 * begins another branch before this one is done, and were it each so many
 * picks, the tree would soon stand there whole. */
static bool oldest_due(struct weft_processor *p) {
    uint64_t now;
    if (WEFT_LIKELY(p->picks % WEFT_OLDEST_CHECK != 1) ||
        (now = weft_clock_now()) < p->oldest_after) {
        return false;
    }
    p->oldest_after = now + OLDEST_AFTER;
    return true;
}

static struct weft_task *take_brood(struct weft_processor *p) {
    return weft_node_task(
        WEFT_UNLIKELY(oldest_due(p)) ? weft_brood_pop_oldest(&p->brood)
        : p->queue.alone             ? weft_brood_pop_newest_alone(&p->brood)
                                     : weft_brood_pop_newest(&p->brood));
}

/* From the queues of `p` itself. */
static struct weft_task *take_own(struct weft_processor *p) {
    struct weft_task *t;
    if (WEFT_LIKELY(!p->newest_first)) {
        return weft_node_task(weft_local_pop(&p->queue));
    }
    if ((p->picks % WEFT_LOCAL_INTERVAL != 0 && (t = take_brood(p)) != NULL) ||
        (t = weft_node_task(weft_local_pop(&p->queue))) != NULL ||
        (t = take_brood(p)) != NULL) {
        return t;
    }
    p->newest_first = false; /* the tree, if it was one, is done */
    return NULL;
}

/* Is it the hogs' turn although light tasks may wait? With classes one pick in
 * 16 asks share.c; without, every other pick is theirs. */
static bool hogs_first(struct weft_processor *p) {
    struct weft_runtime *rt = p->runtime;
    return (p->picks & rt->hog_check) == 0 &&
           weft_global_length(&rt->hogs) > 0 &&
           (rt->hog_check == WEFT_HOG_TURNS - 1 ||
            p->picks % HOG_INTERVAL == 0 ||
            weft_share_hog_due(p, weft_clock_now()));
}

/* What others are due, and when to look again. */
static WEFT_NOINLINE WEFT_TEXT struct weft_task *pick_shares(
    struct weft_processor *p) {
    struct weft_runtime *rt = p->runtime;
    uint32_t hogs = (p->picks | rt->hog_check) + 1;
    uint32_t global = p->picks - p->picks % GLOBAL_INTERVAL + GLOBAL_INTERVAL;
    p->look_at = hogs < global ? hogs : global;
    if (p->picks % GLOBAL_INTERVAL == 0) {
        /* About as many as were picked since the last time: however many
         * sleepers are due, they and those that wait get on. */
        weft_timers_run_own(p);
        struct weft_task *t = pop(&rt->global);
        /* Those whom a virtual clock woke at one time keep their order: part
         * of them is here already. */
        if (t != NULL && !(weft_clock_is_virtual(&rt->clock) &&
                           weft_local_push_quickly(&p->queue, &t->node))) {
            return t;
        }
    }
    return hogs_first(p) ? weft_hogs_next(p) : NULL;
}

static WEFT_ALWAYS_INLINE struct weft_task *choose(struct weft_processor *p) {
    struct weft_runtime *rt = p->runtime;
    struct weft_task *t;
    uint32_t streak = p->newest_first ? SLOT_STREAK_TREE : WEFT_SLOT_STREAK;
    p->picks++;
    if (WEFT_UNLIKELY((int32_t)(p->look_at - p->picks) <= 0) &&
        (t = pick_shares(p)) != NULL) {
        return t;
    }
    if (p->picks % HIGH_INTERVAL != 0 && (t = pop(&rt->high)) != NULL) {
        return t;
    }
    if (p->slot_streak < streak && (t = weft_slot_take(p)) != NULL) {
        p->slot_streak++;
        return t;
    }
    p->slot_streak = 0;
    if ((t = take_own(p)) != NULL || (t = pop_share(p)) != NULL ||
        (t = weft_slot_take(p)) != NULL || (t = pop(&rt->high)) != NULL) {
        return t;
    }
    return weft_hogs_next(p);
}

/* The same where threads are few: tasks that have not begun are held back. */
static WEFT_NOINLINE WEFT_TEXT struct weft_task *choose_begun(
    struct weft_processor *p) {
    struct weft_runtime *rt = p->runtime;
    struct weft_task *t;
    while ((t = choose(p)) != NULL && weft_reserve_bars(rt, t)) {
        t = weft_reserve_hold(rt, t);
        if (t != NULL) {
            return t;
        }
    }
    return t;
}

WEFT_TEXT struct weft_task *weft_pick(struct weft_processor *p) {
    return WEFT_LIKELY(!weft_reserve_is_low(p->runtime)) ? choose(p)
                                                         : choose_begun(p);
}

/* How many tasks wait on `p` that a thief may take. A snapshot. Any thread. */
WEFT_TEXT uint32_t weft_own_length(struct weft_processor *p) {
    return weft_local_length(&p->queue) + weft_brood_length(&p->brood);
}

/* Does a task wait on `p` itself? None of them is a hog. A snapshot. Any
 * thread. */
WEFT_TEXT bool weft_own_light(struct weft_processor *p) {
    return weft_own_length(p) > 0 ||
           atomic_load_explicit(&p->slot, memory_order_relaxed) != NULL;
}

/* Does any task wait that another processor could take? A snapshot; slots are
 * not looked at (a full slot is no reason to wake anybody). Any thread. */
WEFT_TEXT bool weft_anything_waiting(struct weft_runtime *rt) {
    if (weft_global_length(&rt->global) > 0 ||
        weft_global_length(&rt->high) > 0 ||
        weft_global_length(&rt->hogs) > 0 || weft_reserve_admits(rt)) {
        return true;
    }
    for (unsigned i = 0; i < rt->processor_count; i++) {
        if (weft_own_length(&rt->processors[i]) > 0) {
            return true;
        }
    }
    return false;
}

static struct weft_global *queue_of(struct weft_runtime *rt,
                                    const struct weft_task *t) {
    if (t->hog || t->priority == WEFT_PRIORITY_LOW) {
        return &rt->hogs;
    }
    return t->priority == WEFT_PRIORITY_HIGH ? &rt->high : &rt->global;
}

/* Puts a runnable task into the queue of its kind that all share. Any thread in
 * the runtime; wakes nobody. */
WEFT_TEXT void weft_push_global(struct weft_runtime *rt, struct weft_task *t) {
    weft_global_push(queue_of(rt, t), &t->node);
}

/* Undoes a pick: the task will be the first of its kind again. */
WEFT_TEXT void weft_put_back(struct weft_runtime *rt, struct weft_task *t) {
    weft_global_push_front(queue_of(rt, t), &t->node);
}

static bool is_bound(const struct weft_node *node) {
    return weft_task_is_bound(
        weft_container_of(node, const struct weft_task, node));
}

/* A task that sleeps on a thread of its own, or NULL: what can go on where no
 * spare is to be had. It may well be the one whose lock all the other threads
 * wait for. Any thread in the runtime. */
WEFT_TEXT struct weft_task *weft_pick_bound(struct weft_runtime *rt) {
    struct weft_node *node = NULL;
    if (atomic_load_explicit(&rt->bound, memory_order_relaxed) != 0 &&
        (node = weft_global_find(&rt->high, is_bound)) == NULL &&
        (node = weft_global_find(&rt->global, is_bound)) == NULL) {
        node = weft_global_find(&rt->hogs, is_bound);
    }
    return weft_node_task(node);
}
