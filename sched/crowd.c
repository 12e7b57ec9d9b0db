/* SPDX-License-Identifier: MIT */
/* Many tasks woken at one time: sleepers whose hour has come, all who wait for
 * an event.
 *
 * A task that has waited for long is in no cache, nor is its stack's page in a
 * TLB. One after the other each would wait for its record, then for the page,
 * then for line after line of its frames: 0.5 us. So they are woken in batches:
 * what is needed of all of them is sent for before the first one runs.
 *
 * That is of use only if they run soon. Who wakes more than its processor's
 * queue holds gives way when the queue is half full: those that are awake run
 * first, while their frames are in the cache, and it wakes the next ones then.
 * They would not have run sooner, behind the others in the queue of all.
 *
 * Always true: what is queued in a batch is in the order of the array. */
#include "weft/sched/core.h"
#include "weft/sched/quick.h"

enum { CROWDED = WEFT_LOCAL_SLOTS / 2 };

/* Sends for the frames that suspended tasks go on with: a wait's, and those of
 * a shallow function that waits. Each stack is on a page of its own, and to
 * find that is most of the time: a word of each is read, one read not waiting
 * for the other. (Rejected: prefetches alone: the switches waited all the
 * same.)
 */
WEFT_TEXT static void fetch_frames(struct weft_task **tasks, int count) {
#if !WEFT_CONTEXT_TOLD
    enum { LINES = 6 };
    for (int i = 0; i < count; i++) {
        const uintptr_t *sp = tasks[i]->context.sp;
        __asm__ volatile("" : : "r"(*sp));
    }
    for (int i = 0; i < count; i++) {
        const char *sp = tasks[i]->context.sp;
        for (int line = 0; line < LINES; line++) {
            __builtin_prefetch(sp + line * WEFT_CACHE_LINE, 1);
        }
    }
#else
    (void)tasks;
    (void)count;
#endif
}

/* weft_unpark() of many, whose records are best on their way into the cache: at
 * one go into the queue of `p`, which the caller owns; NULL: of all. Who sleeps
 * long is in no cache; the frames of all of them are sent for before the first
 * one runs, else each switch would wait for line after line. Uses the array. */
WEFT_TEXT void weft_unpark_batch(struct weft_runtime *rt,
                                 struct weft_processor *p,
                                 struct weft_task **tasks, int count) {
    struct weft_batch batch;
    int fetch = 0;
    weft_batch_init(&batch);
    for (int i = 0; i < count; i++) {
        struct weft_task *t = tasks[i];
        if (!weft_token_give(t)) {
            continue;
        }
        if (!weft_task_is_ordinary(t)) {
            weft_push_global(rt, t);
            continue;
        }
        weft_batch_push(&batch, &t->node);
        if (!weft_task_is_bound(t)) { /* else it is on its thread */
            tasks[fetch++] = t;
        }
    }
    fetch_frames(tasks, fetch);
    if (p != NULL) {
        weft_local_push_batch(&p->queue, &batch);
    }
    if (batch.count > 0) {
        weft_global_push_batch(&rt->global, &batch);
    }
    weft_wake(rt);
}

WEFT_TEXT void weft_unpark_many(struct weft_task **tasks, int count) {
    struct weft_worker *w = weft_enter();
    struct weft_runtime *rt = weft_runtime_of(w);
    if (WEFT_LIKELY(rt != NULL)) { /* else it has ended, the tasks with it */
        weft_unpark_batch(rt, w != NULL ? weft_worker_processor(w) : NULL,
                          tasks, count);
    }
    weft_leave_borrowed(w);
}

/* May the caller, inside, switch here, and is it to? Those that it has not
 * woken yet wait for it: so not where it would come behind others than those
 * in its queue, as a hog or by its priority. */
WEFT_TEXT static bool is_crowded(struct weft_worker *w) {
    const struct weft_processor *p = weft_worker_processor(w);
    const struct weft_task *t = weft_worker_task(w);
    return p != NULL && t != NULL && weft_task_is_ordinary(t) &&
           atomic_load_explicit(&w->thread.gate.closed, memory_order_relaxed) ==
               1 &&
           !weft_gate_is_closed(&t->gate) &&
           weft_local_length(&p->queue) >= CROWDED;
}

WEFT_TEXT void weft_runtime_pause(void) {
    weft_runtime_leave();
    struct weft_worker *w = weft_enter();
    if (w != NULL && is_crowded(w)) {
        weft_leave(weft_yield_inside(w));
        (void)weft_enter();
    }
}
