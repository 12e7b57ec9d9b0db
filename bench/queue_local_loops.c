/* SPDX-License-Identifier: MIT */
/* The local queue as the scheduler uses it. */
#include "weft/queue/local_queue.h"

#define QUEUE         struct weft_local
#define queue_init(q) weft_local_init(q)
#define queue_pop     weft_local_pop
#define queue_steal   weft_local_steal
#define LOOPS         weft_local_loops
#define NAME          "local"
#define GOOD_CATCH    32

/* A full ring waits: an overflow would hand half of it to nobody. */
static inline bool queue_push(struct weft_local *q, struct weft_node *node) {
    if (!weft_local_ring_push(&q->ring, node)) {
        return false;
    }
    weft_local_count(&q->pushes, 1);
    return true;
}

#include "weft/bench/queue_template.h"
