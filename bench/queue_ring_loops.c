/* SPDX-License-Identifier: MIT */
/* The ring alone, without the local queue's counters. */
#include "weft/queue/lockfree_queue.h"

WEFT_LOCKFREE_QUEUE_DEFINE(ring, 256)

#define QUEUE      struct ring
#define queue_init ring_init
#define queue_push ring_push
#define queue_pop  ring_pop
#define LOOPS      weft_ring_loops
#define NAME       "lockfree"
#define GOOD_CATCH 32

static inline struct weft_node *queue_steal(struct ring *to,
                                            struct ring *from) {
    uint32_t count;
    return ring_steal_into(to, from, &count);
}

#include "weft/bench/queue_template.h"
