/* SPDX-License-Identifier: MIT */
/* A peer: Concurrency Kit's ring, one producer and many consumers. A thief
 * takes one node at a time, and the owner pops as a thief does. */
#include <ck_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/queue/node.h"

struct peer {
    ck_ring_t ring;
    ck_ring_buffer_t buffer[512]; /* CK keeps one slot free */
};

static void queue_init(struct peer *q) {
    ck_ring_init(&q->ring, 512);
}

static inline bool queue_push(struct peer *q, struct weft_node *node) {
    return ck_ring_enqueue_spmc(&q->ring, q->buffer, node);
}

static inline struct weft_node *queue_pop(struct peer *q) {
    void *node;
    return ck_ring_dequeue_spmc(&q->ring, q->buffer, &node) ? node : NULL;
}

static inline struct weft_node *queue_steal(struct peer *to,
                                            struct peer *from) {
    (void)to;
    return queue_pop(from);
}

#define QUEUE struct peer
#define LOOPS weft_ck_loops
#define NAME  "ck_ring"

#include "weft/bench/queue_template.h"
