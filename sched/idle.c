/* SPDX-License-Identifier: MIT */
/* The lists of those with nothing to do: idle processors, and spare workers.
 * The last that came is the first to go: its caches are warm.
 *
 * Always true: an idle processor has empty queues and no worker; a worker on
 * the spare list holds no processor and waits on its mailbox, or is about to.
 * Both lists and their counts are written under idle.lock; the counts are read
 * without. */
#include "weft/sched/idle.h"

#include "weft/sched/reserve.h"

/* How far a list is searched for something of the wanted node. */
enum { LOOK = 16 };

/* A count that is written under idle->lock and read without. */
static void adjust(_Atomic uint32_t *count, int by) {
    uint32_t now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + (uint32_t)by, memory_order_relaxed);
}

WEFT_TEXT void weft_spare_push(struct weft_worker *w) {
    struct weft_idle *idle = &w->runtime->idle;
    weft_lock_acquire(&idle->lock);
    WEFT_CHECK(!w->is_spare);
    w->is_spare = true;
    w->spare_next = idle->first_spare;
    idle->first_spare = w;
    adjust(&idle->spares, 1);
    weft_reserve_note(w->runtime);
    weft_lock_release(&idle->lock);
    weft_reserve_release(w->runtime);
}

/* One of `node` among the first few, else the first. */
WEFT_TEXT struct weft_worker *weft_spare_pop_locked(struct weft_idle *idle,
                                                    unsigned node) {
    struct weft_worker **at = &idle->first_spare;
    for (int i = 0; i < LOOK && *at != NULL && (*at)->node != node; i++) {
        at = &(*at)->spare_next;
    }
    at = *at == NULL || (*at)->node != node ? &idle->first_spare : at;
    struct weft_worker *w = *at;
    if (w != NULL) {
        *at = w->spare_next;
        w->is_spare = false;
        adjust(&idle->spares, -1);
        weft_reserve_note(w->runtime);
    }
    return w;
}

/* Takes `w` off the list, for good. False: it stays, since it is to have a
 * processor, now or later. */
WEFT_TEXT bool weft_spare_leave(struct weft_worker *w) {
    struct weft_idle *idle = &w->runtime->idle;
    weft_lock_acquire(&idle->lock);
    bool leaves = w->is_spare;
    if (leaves) {
        struct weft_worker **at = &idle->first_spare;
        while (*at != w) {
            at = &(*at)->spare_next;
        }
        *at = w->spare_next;
        w->is_spare = false;
        adjust(&idle->spares, -1);
        leaves = !weft_reserve_keep(w);
        weft_reserve_note(w->runtime);
    }
    weft_lock_release(&idle->lock);
    return leaves;
}

/* A spare whose thread is on `node` if there is one near at hand. `for_task` is
 * what it is to run, if that is known: where threads have become few since the
 * task was picked, one that has not begun gets none. */
WEFT_TEXT struct weft_worker *weft_spare_pop(struct weft_runtime *rt,
                                             unsigned node,
                                             const struct weft_task *for_task) {
    struct weft_worker *w = NULL;
    weft_lock_acquire(&rt->idle.lock);
    if (for_task == NULL || !weft_reserve_bars(rt, for_task)) {
        w = weft_spare_pop_locked(&rt->idle, node);
    }
    weft_lock_release(&rt->idle.lock);
    weft_threads_want(rt);
    return w;
}

static void idle_push_locked(struct weft_idle *idle, struct weft_processor *p) {
    p->idle_next = idle->first;
    idle->first = p;
    adjust(&idle->processors, 1);
}

/* As weft_spare_pop_locked(). */
WEFT_TEXT struct weft_processor *weft_idle_pop_locked(struct weft_idle *idle,
                                                      unsigned node) {
    struct weft_processor **at = &idle->first;
    for (int i = 0; i < LOOK && *at != NULL && (*at)->node != node; i++) {
        at = &(*at)->idle_next;
    }
    at = *at == NULL || (*at)->node != node ? &idle->first : at;
    struct weft_processor *p = *at;
    if (p != NULL) {
        *at = p->idle_next;
        adjust(&idle->processors, -1);
    }
    return p;
}

WEFT_TEXT void weft_idle_push(struct weft_processor *p) {
    struct weft_idle *idle = &p->runtime->idle;
    WEFT_CHECK_OP(atomic_load_explicit(&p->slot, memory_order_relaxed), ==,
                  NULL);
    WEFT_CHECK_OP(p->next, ==, NULL);
    atomic_store_explicit(&p->worker, NULL, memory_order_relaxed);
    weft_lock_acquire(&idle->lock);
    idle_push_locked(idle, p);
    weft_lock_release(&idle->lock);
}

/* An idle processor, of `node` if there is one near at hand, or NULL. */
WEFT_TEXT struct weft_processor *weft_idle_pop(struct weft_runtime *rt,
                                               unsigned node) {
    if (atomic_load_explicit(&rt->idle.processors, memory_order_relaxed) == 0) {
        return NULL;
    }
    weft_lock_acquire(&rt->idle.lock);
    struct weft_processor *p = weft_idle_pop_locked(&rt->idle, node);
    weft_lock_release(&rt->idle.lock);
    if (p != NULL) {
        weft_monitor_wake(rt);
    }
    return p;
}
