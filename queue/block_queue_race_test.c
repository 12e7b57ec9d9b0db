/* SPDX-License-Identifier: MIT */
/* The block queue among threads, with blocks of WEFT_TEST_BLOCK (1 or 2) of its
 * four slots; what happens is in weft/queue/race_testing.h. */
#include "weft/queue/block_queue.h"

#include "weft/queue/testing.h"

WEFT_BLOCK_QUEUE_DEFINE(four, 4, WEFT_TEST_BLOCK)

static struct weft_node *steal(struct four *to, struct four *from,
                               uint64_t *seed, uint32_t *count) {
    return four_steal_into(to, from, count);
}

/* Half of the time thieves find all there is, half of the time they don't. */
static void between(struct four *q, uint64_t *seed) {
    if (test_random(seed, 2) == 0) {
        four_share(q);
    }
}

static void finish(struct four *q) {
    while (!four_share(q)) {
        sched_yield();
    }
}

#define stealable  four_shared
#define RACE_ITEMS 20000

/* What is shared after a steal may be older than what was stolen. */
#define THIEVES_SEE_ORDER false

#include "weft/queue/race_testing.h"
