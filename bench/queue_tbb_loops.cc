/* SPDX-License-Identifier: MIT */
/* A peer: oneTBB's concurrent_queue, the faster of its two. Unbounded; nothing
 * for batches. */
#include <tbb/concurrent_queue.h>

#include "weft/queue/node.h"

namespace {

struct peer {
    tbb::concurrent_queue<weft_node *> queue;
};

void queue_init(peer *q) {
    q->queue.clear();
}

inline bool queue_push(peer *q, weft_node *node) {
    q->queue.push(node);
    return true;
}

inline weft_node *queue_pop(peer *q) {
    weft_node *node;
    return q->queue.try_pop(node) ? node : nullptr;
}

inline weft_node *queue_steal(peer *, peer *from) {
    return queue_pop(from);
}

}  // namespace

#define QUEUE peer
#define LOOPS weft_tbb_loops
#define NAME  "tbb"

#include "weft/bench/queue_template.h"
