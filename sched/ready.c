/* SPDX-License-Identifier: MIT */
/* Making tasks runnable, and waking a worker for them.
 *
 * The wake-up protocol (after Go's "delicate dance", proc.go):
 *
 *     who makes work                        a worker that finds none
 *     1. puts the task into a queue         1. puts its processor on the idle
 *     2. full fence                            list; is no longer searching
 *     3. an idle processor, and nobody      2. full fence
 *        searching? then searching 0 -> 1   3. looks at all queues once more;
 *        and a spare worker gets the           work there: takes a processor
 *        processor                             from the idle list again
 *
 * The fences make one of the two see the other; tests/model/idle_model_test.c
 * runs both in every order. At most one worker is woken at a time; a searcher
 * that finds work wakes the next (worker.c). A task put into an empty slot
 * wakes nobody: its processor will run it sooner than another could be woken;
 * should its task overstay, the monitor wakes somebody.
 *
 * Where there are no spares, because as many threads as may be are asleep with
 * their tasks, one of those is woken for its task; the rest of the work waits
 * for a thread: who becomes a spare looks at all queues first (worker.c).
 *
 * Always true: an idle processor has empty queues and no worker; a worker on
 * the spare list holds no processor and waits on its mailbox, or is about to.
 */
#define _GNU_SOURCE /* CPU sets */
#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/sched/core.h"
#include "weft/sched/idle.h"
#include "weft/sched/nodes.h"
#include "weft/sched/quick.h"

/* Hands `p`, which the caller owns, to the worker `to`, with `next` to run. */
WEFT_TEXT void weft_processor_give(struct weft_processor *p,
                                   struct weft_worker *to,
                                   struct weft_task *next) {
    p->next = next;
    /* Release: pairs with the acquires in weft_watch(), weft_alarms_grace() and
     * weft_dump(). */
    atomic_store_explicit(&p->worker, to, memory_order_release);
    /* The last store: from here on `p` is the other's. */
    weft_handover_give(&to->handover, p);
}

/* The same from a worker that goes to sleep at once: the other shall wake on
 * this CPU, which becomes free. The kernel does not know that and would put it
 * on the CPU where it ran last, behind another hog perhaps, until the next tick
 * (4 ms at 250 Hz) sets that right. */
WEFT_TEXT void weft_processor_give_here(struct weft_processor *p,
                                        struct weft_worker *to,
                                        struct weft_task *next) {
    unsigned cpu;
    if (!to->pinned && weft_policy_on(&p->runtime->config, WEFT_POLICY_PIN) &&
        weft_syscall(SYS_getcpu, (long)&cpu, 0, 0, 0, 0, 0) == 0 &&
        cpu < CPU_SETSIZE) {
        cpu_set_t here;
        CPU_ZERO(&here);
        CPU_SET(cpu, &here);
        /* It sleeps, so this moves nothing; weft_processor_take() undoes it. */
        to->held = weft_syscall(SYS_sched_setaffinity, to->thread.tid,
                                sizeof here, (long)&here, 0, 0, 0) == 0;
    }
    weft_processor_give(p, to, next);
}

/* Makes `w`, the caller, the worker of `p`, which it owns. */
WEFT_TEXT void weft_processor_take(struct weft_worker *w,
                                   struct weft_processor *p) {
    if (WEFT_UNLIKELY(w->held || w->node != p->node)) {
        weft_nodes_settle(w, p);
    }
    if (atomic_load_explicit(&p->runtime->doze.on, memory_order_relaxed) != 0) {
        weft_doze_note(p);
    }
    /* Release: as in weft_processor_give(). */
    atomic_store_explicit(&p->worker, w, memory_order_release);
    atomic_store_explicit(&w->status, WEFT_WORKER_ACTIVE, memory_order_relaxed);
    atomic_store_explicit(&w->processor, p, memory_order_relaxed);
}

/* Brings an idle processor and a spare worker together as a searcher; the
 * caller has counted it in idle.searching. */
static bool start_searcher(struct weft_runtime *rt) {
    struct weft_processor *p = NULL;
    struct weft_worker *s = NULL;
    struct weft_worker *self = weft_worker_self();
    weft_lock_acquire(&rt->idle.lock);
    /* Both or none: who looks at the counts shall not see them come and go. */
    bool idle = rt->idle.first != NULL;
    if (idle && rt->idle.first_spare != NULL) {
        p = weft_idle_pop_locked(
            &rt->idle, self != NULL ? self->node : rt->idle.first->node);
        s = weft_spare_pop_locked(&rt->idle, p->node);
    }
    weft_lock_release(&rt->idle.lock);
    weft_threads_want(rt);
    if (s == NULL) {
        if (idle) {
            /* Nobody to give it to but who sleeps in the poller. */
            weft_poller_kick(&rt->poller);
        }
        return false;
    }
    weft_monitor_wake(rt);
    atomic_fetch_add_explicit(&rt->unparks, 1, memory_order_relaxed);
    s->searching = true;
    weft_processor_give(p, s, NULL);
    return true;
}

/* No spare: a task that sleeps on its own thread gets a processor. True: look
 * again. Locked, so that a virtual clock sees it queued, or no idle one. */
static bool resume_bound(struct weft_runtime *rt) {
    weft_lock_acquire(&rt->idle.lock);
    struct weft_task *t = weft_pick_bound(rt);
    struct weft_processor *p =
        t == NULL ? NULL : weft_idle_pop_locked(&rt->idle, t->bound->node);
    if (t != NULL && p == NULL) {
        weft_put_back(rt, t);
    }
    weft_lock_release(&rt->idle.lock);
    if (p != NULL) {
        weft_monitor_wake(rt);
        weft_processor_give(p, t->bound, t);
    }
    return t != NULL;
}

/* Wakes a worker if one is idle and none searches. Call after the work is in
 * its queue. Any thread in the runtime. */
WEFT_TEXT void weft_wake(struct weft_runtime *rt) {
    for (;;) {
        uint32_t none = 0;
        /* Pairs with the fences in go_idle(), see the columns above, in
         * poll_and_sleep() and in sleep_as_spare() (worker.c). */
        atomic_thread_fence(memory_order_seq_cst);
        if (WEFT_LIKELY(atomic_load_explicit(&rt->idle.processors,
                                             memory_order_relaxed) == 0 ||
                        atomic_load_explicit(&rt->idle.searching,
                                             memory_order_relaxed) != 0)) {
            return;
        }
        if (!atomic_compare_exchange_strong_explicit(&rt->idle.searching, &none,
                                                     1, memory_order_relaxed,
                                                     memory_order_relaxed) ||
            start_searcher(rt)) {
            return;
        }
        /* No searcher came of it, but others may have seen the 1 above and
         * relied on it: who made work meanwhile, or became a spare. The fence
         * pairs with theirs (the one above, and sleep_as_spare()'s): either
         * they see the count go back, or this sees the work, or the spare and
         * tries again. */
        atomic_fetch_sub_explicit(&rt->idle.searching, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        if (atomic_load_explicit(&rt->idle.spares, memory_order_relaxed) == 0 &&
            !resume_bound(rt)) {
            /* Only who sleeps in the poller is left. start_searcher() woke it,
             * but work that came since, from one who saw the 1, may have come
             * after it fell asleep again. */
            if (weft_anything_waiting(rt)) {
                weft_poller_kick(&rt->poller);
            }
            return;
        }
    }
}

/* Into the queue of `p` itself. Owner. */
WEFT_TEXT void weft_push_local(struct weft_processor *p, struct weft_task *t) {
    struct weft_batch overflow;
    weft_batch_init(&overflow);
    if (p->newest_first && weft_task_is_child(t) &&
        weft_brood_push(&p->brood, &t->node)) {
        /* It is there. */
    } else if (WEFT_UNLIKELY(
                   !weft_local_push(&p->queue, &t->node, &overflow))) {
        weft_global_push_batch(&p->runtime->global, &overflow);
    }
    if (p->runtime->processor_count > 1) {
        weft_wake(p->runtime);
    }
}

/* Queues `t`, which is runnable and in no queue, to run soon. `w` is the
 * calling worker; without a processor, or NULL, the task goes to all. `rt` is
 * what weft_runtime_borrow(w) gave; asked again, it might say NULL by now. */
WEFT_TEXT void weft_ready(struct weft_runtime *rt, struct weft_worker *w,
                          struct weft_task *t) {
    struct weft_processor *p = w == NULL ? NULL : weft_worker_processor(w);
    if (p == NULL || !weft_task_is_ordinary(t)) {
        weft_push_global(rt, t);
        weft_wake(rt);
        return;
    }
    struct weft_task *old = weft_slot_take(p);
    weft_slot_put(p, t);
    if (old != NULL) {
        weft_push_local(p, old);
    }
}

/* The same for one that ran until now: behind those that wait. */
WEFT_TEXT void weft_ready_behind(struct weft_worker *w, struct weft_task *t) {
    struct weft_processor *p = weft_worker_processor(w);
    if (p == NULL || !weft_task_is_ordinary(t)) {
        weft_push_global(w->runtime, t);
        weft_wake(w->runtime);
        return;
    }
    weft_push_local(p, t);
}

/* Gives `p`, whose worker lets go of it, to whom it is of use: the caller owns
 * it no longer. */
WEFT_TEXT void weft_processor_hand_off(struct weft_runtime *rt,
                                       struct weft_processor *p) {
    bool waiting = weft_own_light(p) || weft_anything_waiting(rt);
    bool polled = atomic_load_explicit(&rt->poll_seat, memory_order_relaxed) ==
                  WEFT_SEAT_WORKER;
    struct weft_worker *s =
        waiting || !polled ? weft_spare_pop(rt, p->node, NULL) : NULL;
    if (s != NULL) {
        weft_processor_give(p, s, NULL);
        return;
    }
    /* Nobody there: a task that sleeps on its own thread can go on with it. */
    struct weft_task *bound = weft_pick_bound(rt);
    if (bound != NULL) {
        weft_processor_give(p, bound->bound, bound);
        return;
    }
    struct weft_batch all;
    weft_batch_init(&all);
    weft_local_drain(&p->queue, &all);
    struct weft_node *fresh;
    while ((fresh = weft_brood_pop_oldest(&p->brood)) != NULL) {
        weft_batch_push(&all, fresh);
    }
    /* Acquire: pairs with the release in weft_slot_put(). */
    struct weft_task *slot =
        atomic_exchange_explicit(&p->slot, NULL, memory_order_acquire);
    if (slot != NULL) {
        weft_batch_push(&all, &slot->node);
    }
    if (all.count > 0) {
        weft_global_push_batch(&rt->global, &all);
    }
    weft_idle_push(p);
    /* As in go_idle() (worker.c): pairs with the fence in weft_wake(), and with
     * that in poll_and_sleep(). */
    atomic_thread_fence(memory_order_seq_cst);
    if (weft_anything_waiting(rt)) {
        weft_wake(rt);
    }
    weft_clock_quieter(rt);
}
