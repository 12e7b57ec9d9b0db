// SPDX-License-Identifier: MIT
// The queues as C++ code uses them: what their macros make, and their batches.
#include "queue/cxx_user.h"

#include "weft/base/compiler.h"
#include "weft/queue/block_queue.h"
#include "weft/queue/global_queue.h"
#include "weft/queue/local_queue.h"
#include "weft/queue/lockfree_global.h"
#include "weft/queue/lockfree_queue.h"
#include "weft/queue/node.h"

namespace {

WEFT_LOCKFREE_QUEUE_DEFINE(cxx_ring, 4)
WEFT_BLOCK_QUEUE_DEFINE(cxx_blocks, 8, 2)

struct Item {
    struct weft_node node;
    int number;
};

int NumberOf(struct weft_node *node) {
    return node == nullptr ? 0 : weft_container_of(node, Item, node)->number;
}

}  // namespace

int cxx_lockfree_queue(void) {
    struct cxx_ring q, thief;
    struct weft_batch spilled;
    Item items[5];
    uint32_t stolen;
    cxx_ring_init(&q);
    cxx_ring_init(&thief);
    for (int i = 0; i < 5; i++) {
        items[i].number = i + 1;
        if (!cxx_ring_push(&q, &items[i].node)) {
            cxx_ring_overflow(&q, &items[i].node, &spilled);
        }
    }
    int number = 100 * NumberOf(cxx_ring_steal_into(&thief, &q, &stolen));
    number += 10 * NumberOf(cxx_ring_pop(&q));
    return number + NumberOf(weft_batch_pop(&spilled));
}

int cxx_block_queue(void) {
    struct cxx_blocks q;
    Item items[3];
    cxx_blocks_init(&q);
    for (int i = 0; i < 3; i++) {
        items[i].number = i + 1;
        cxx_blocks_push(&q, &items[i].node);
    }
    int number = 0;
    for (int i = 0; i < 3; i++) {
        number = 10 * number + NumberOf(cxx_blocks_pop(&q));
    }
    return number;
}

int cxx_local_queue(void) {
    static struct weft_local q;
    struct weft_batch spilled;
    struct weft_local_counters counted;
    Item item = {{}, 7};
    weft_local_init(&q);
    if (!weft_local_push(&q, &item.node, &spilled)) {
        return 0;
    }
    int number = NumberOf(weft_local_pop(&q));
    weft_local_counters_read(&q, &counted);
    return 10 * number + static_cast<int>(counted.pushes);
}

int cxx_global_queues(void) {
    struct weft_global locked;
    struct weft_lockfree_global lockfree;
    Item items[2] = {{{}, 1}, {{}, 2}};
    weft_global_init(&locked);
    weft_lockfree_global_init(&lockfree);
    weft_global_push(&locked, &items[0].node);
    weft_lockfree_global_push(&lockfree, &items[1].node);
    return 10 * NumberOf(weft_global_pop(&locked)) +
           NumberOf(weft_lockfree_global_pop(&lockfree));
}
