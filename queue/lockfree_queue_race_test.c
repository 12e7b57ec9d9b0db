/* SPDX-License-Identifier: MIT */
/* The ring among threads; what happens is in weft/queue/race_testing.h. */
#include "weft/queue/lockfree_queue.h"

#include "weft/queue/testing.h"

WEFT_LOCKFREE_QUEUE_DEFINE(four, 4)

/* Every other steal goes the quick way, every other the long one. */
static struct weft_node *steal(struct four *to, struct four *from,
                               uint64_t *seed, uint32_t *count) {
    return weft_ring_steal_into(&to->ring, to->slots, &from->ring, from->slots,
                                4, test_random(seed, 3), count);
}

static void between(struct four *q, uint64_t *seed) {
}

static void finish(struct four *q) {
}

#define stealable         four_length
#define RACE_ITEMS        60000
#define THIEVES_SEE_ORDER true

#include "weft/queue/race_testing.h"
