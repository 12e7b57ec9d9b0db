/* SPDX-License-Identifier: MIT */
/* The block queue; what its owner keeps to itself is taken by its owner. */
#include "weft/base/relax.h"
#include "weft/queue/block_queue.h"

WEFT_BLOCK_QUEUE_DEFINE(blocks, 256, 32)

#define QUEUE      struct blocks
#define queue_init blocks_init
#define queue_push blocks_push
#define queue_pop  blocks_pop
#define LOOPS      weft_block_loops
#define NAME       "block"
#define GOOD_CATCH 32
#define SHARES

static void queue_share(struct blocks *q) {
    while (!blocks_share(q)) {
        weft_relax();
    }
}

static inline struct weft_node *queue_steal(struct blocks *to,
                                            struct blocks *from) {
    uint32_t count;
    return blocks_steal_into(to, from, &count);
}

#include "weft/bench/queue_template.h"
