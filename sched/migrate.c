/* SPDX-License-Identifier: MIT */
/* Way 3: a migratable task that is interrupted leaves its OS thread at once.
 *
 * The handler, on the task's stack, switches to the next task as weft_yield()
 * would; the handler's frame, with all of the task's registers in it, stays
 * where it is. The task is runnable and bound to nobody: whoever picks it
 * switches to it as to any other, comes back here, and returns from the handler
 * on whatever thread that is. So it needs no OS thread while it waits, and the
 * cap on threads does not concern it.
 *
 * Its author has promised that the task does not mind (task.h), and before each
 * move weft_migrate_allowed() looks for signs to the contrary; where it finds
 * one, the task keeps its thread like any other (keep.c).
 *
 * Always true: the usual protocol of a switch holds. The task is put into a
 * queue by weft_switch_finish() on the next stack, when nothing runs on its own
 * any more; the gates of both threads are closed meanwhile.
 *
 * A preemption that fell due inside the runtime and is met as the gate opens
 * (weft_leave_slowly()) takes way 2 for these tasks too: there is no frame to
 * look at, and the caller may stand between a libc call and the next. */
#include "weft/preempt/migrate.h"

#include <string.h>

#include "weft/sched/core.h"

/* Context: the handler, where weft_keep_wanted() has just said yes. False: it
 * may not be moved, nothing has happened. */
WEFT_TEXT bool weft_migrate(struct weft_worker *w,
                            struct weft_interrupt *interrupt) {
    struct weft_runtime *rt = w->runtime;
    struct weft_processor *p = weft_worker_processor(w);
    struct weft_task *t = weft_worker_task(w);
    uintptr_t low = (uintptr_t)t->stack.low;
    struct weft_migrate_stack stack = {
        .low = low, .high = low + t->stack.size, .mask = rt->kernel_mask};
    struct weft_migrate_luggage luggage;
    if (!weft_migrate_allowed(&w->own, interrupt, &stack)) {
        atomic_fetch_add_explicit(&rt->refused, 1, memory_order_relaxed);
        return false;
    }
    struct weft_task *n = NULL;
    if (WEFT_LIKELY(
            !atomic_load_explicit(&rt->stopped, memory_order_relaxed))) {
        n = weft_pick(p);
        if (n == NULL) {
            weft_slice_begin(p, t); /* nobody waits any more */
            return true;
        }
    }
    if (interrupt->alarm) {
        weft_alarm_add_handler(&w->thread.alarm, weft_clock_now());
    }
    t->hog = weft_task_strike(p, t);
    atomic_fetch_add_explicit(&rt->migrated, 1, memory_order_relaxed);
    weft_migrate_leave(&w->own, interrupt, &luggage);
    w = weft_switch_from_handler(w, n);
    weft_migrate_arrive(&w->thread, &w->own, interrupt, &luggage);
    return true;
}

/* The mask of the workers' threads, in the kernel's form. */
void weft_migrate_start(struct weft_runtime *rt) {
    memcpy(&rt->kernel_mask, &rt->mask, sizeof rt->kernel_mask);
    weft_migrate_prepare();
}
