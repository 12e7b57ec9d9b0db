/* SPDX-License-Identifier: MIT */
/* One lock round per call, whatever the size of the batch: a batch comes and
 * goes as one list. pop_batch cuts the list after `max` nodes instead of moving
 * them one by one. Overview and invariants: the header. */
#include "weft/queue/global_queue.h"

WEFT_TEXT void weft_global_init(struct weft_global *global) {
    atomic_init(&global->length, 0);
    atomic_init(&global->lock.word, 0);
    weft_batch_init(&global->list);
}

/* Relaxed: see "that look orders nothing" in the header. */
static inline void unlock(struct weft_global *global) {
    atomic_store_explicit(&global->length, global->list.count,
                          memory_order_relaxed);
    weft_lock_release(&global->lock);
}

WEFT_TEXT void weft_global_push(struct weft_global *global,
                                struct weft_node *node) {
    weft_lock_acquire(&global->lock);
    weft_batch_push(&global->list, node);
    unlock(global);
}

WEFT_TEXT void weft_global_push_front(struct weft_global *global,
                                      struct weft_node *node) {
    weft_lock_acquire(&global->lock);
    weft_batch_push_front(&global->list, node);
    unlock(global);
}

WEFT_TEXT void weft_global_push_batch(struct weft_global *global,
                                      struct weft_batch *batch) {
    if (batch->count == 0) {
        return;
    }
    weft_lock_acquire(&global->lock);
    weft_batch_append(&global->list, batch);
    unlock(global);
}

WEFT_TEXT struct weft_node *weft_global_pop(struct weft_global *global) {
    if (weft_global_length(global) == 0) {
        return NULL;
    }
    weft_lock_acquire(&global->lock);
    struct weft_node *node = weft_batch_pop(&global->list);
    unlock(global);
    return node;
}

WEFT_TEXT uint32_t weft_global_pop_batch(struct weft_global *global,
                                         uint32_t max, struct weft_batch *out) {
    if (max == 0 || weft_global_length(global) == 0) {
        return 0;
    }
    struct weft_batch cut;
    weft_batch_init(&cut);
    weft_lock_acquire(&global->lock);
    weft_batch_split(&global->list, max, &cut);
    unlock(global);
    uint32_t count = cut.count;
    weft_batch_append(out, &cut);
    return count;
}

WEFT_TEXT uint32_t weft_global_clear(struct weft_global *global,
                                     struct weft_batch *out) {
    weft_lock_acquire(&global->lock);
    struct weft_batch all = global->list;
    weft_batch_init(&global->list);
    unlock(global);
    uint32_t count = all.count;
    weft_batch_append(out, &all);
    return count;
}

WEFT_TEXT struct weft_node *weft_global_find(
    struct weft_global *global, bool (*fits)(const struct weft_node *)) {
    struct weft_batch before;
    struct weft_node *node = NULL;
    if (weft_global_length(global) == 0) {
        return NULL;
    }
    weft_batch_init(&before);
    weft_lock_acquire(&global->lock);
    while ((node = weft_batch_pop(&global->list)) != NULL && !fits(node)) {
        weft_batch_push(&before, node);
    }
    weft_batch_append(&before, &global->list);
    global->list = before;
    unlock(global);
    return node;
}

WEFT_TEXT bool weft_global_valid(struct weft_global *global) {
    weft_lock_acquire(&global->lock);
    bool ok = weft_batch_valid(&global->list) &&
              weft_global_length(global) == global->list.count;
    weft_lock_release(&global->lock);
    return ok;
}
