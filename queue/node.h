/* SPDX-License-Identifier: MIT */
/* What the queues carry. Whatever wants to be queued embeds a weft_node and
 * finds itself again by weft_container_of(); a queue knows no more about it.
 *
 * Always true: a node is in one place at a time (one queue or one batch), and
 * whoever holds it that way owns its `next`. A ring's slot holds a node without
 * touching `next`, so that only lists pay for it.
 *
 * A batch is a list that moves at once: pushed behind another or into a queue
 * in a constant number of steps. It belongs to one thread, mostly on its stack.
 * Context of all: whoever owns the batch. */
#ifndef WEFT_QUEUE_NODE_H_
#define WEFT_QUEUE_NODE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft_node {
    /* Meaningful only inside a list; garbage behind the last one. */
    struct weft_node *next;
};

struct weft_batch {
    struct weft_node *head; /* garbage when count is 0, as is tail */
    struct weft_node *tail;
    uint32_t count;
};

/* Makes the batch empty. */
static inline void weft_batch_init(struct weft_batch *batch) {
    batch->head = NULL;
    batch->tail = NULL;
    batch->count = 0;
}

/* Puts `node` last. */
static inline void weft_batch_push(struct weft_batch *batch,
                                   struct weft_node *node) {
    if (batch->count == 0) {
        batch->head = node;
    } else {
        batch->tail->next = node;
    }
    batch->tail = node;
    batch->count++;
}

/* Puts `node` first. */
static inline void weft_batch_push_front(struct weft_batch *batch,
                                         struct weft_node *node) {
    if (batch->count == 0) {
        batch->tail = node;
    } else {
        node->next = batch->head;
    }
    batch->head = node;
    batch->count++;
}

/* Takes the first node, or NULL. */
static inline struct weft_node *weft_batch_pop(struct weft_batch *batch) {
    if (batch->count == 0) {
        return NULL;
    }
    struct weft_node *node = batch->head;
    batch->count--;
    if (batch->count != 0) {
        batch->head = node->next;
    }
    return node;
}

/* Moves all of `more` behind the last of `batch`; `more` is then empty. */
static inline void weft_batch_append(struct weft_batch *batch,
                                     struct weft_batch *more) {
    if (more->count == 0) {
        return;
    }
    if (batch->count == 0) {
        batch->head = more->head;
    } else {
        batch->tail->next = more->head;
    }
    batch->tail = more->tail;
    batch->count += more->count;
    more->count = 0;
}

/* Moves the first `max` (not 0), or all if there are fewer, into `out`, which
 * becomes a new list. Walks them, without writing to any. */
static inline void weft_batch_split(struct weft_batch *batch, uint32_t max,
                                    struct weft_batch *out) {
    *out = *batch;
    if (batch->count <= max) {
        batch->count = 0;
        return;
    }
    out->count = max;
    out->tail = out->head;
    for (uint32_t i = 1; i < max; i++) {
        out->tail = out->tail->next;
    }
    batch->head = out->tail->next;
    batch->count -= max;
}

/* Does the list have `count` nodes, the last of them `tail`? Walks it. */
static inline bool weft_batch_valid(const struct weft_batch *batch) {
    const struct weft_node *node = batch->head;
    for (uint32_t i = 1; i < batch->count; i++) {
        if (node == NULL) {
            return false;
        }
        node = node->next;
    }
    return batch->count == 0 || (node != NULL && node == batch->tail);
}

#endif
