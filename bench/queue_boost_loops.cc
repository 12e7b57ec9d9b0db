/* SPDX-License-Identifier: MIT */
/* A peer: boost::lockfree::queue with its nodes in an array, which needs no
 * allocation and no pointers of two words. It has nothing for batches. */
#include <boost/lockfree/queue.hpp>

#include "weft/queue/node.h"

namespace {

struct peer {
    boost::lockfree::queue<weft_node *, boost::lockfree::capacity<256>> queue;
};

inline weft_node *queue_pop(peer *q) {
    weft_node *node;
    return q->queue.pop(node) ? node : nullptr;
}

void queue_init(peer *q) {
    while (queue_pop(q) != nullptr) {
    }
}

inline bool queue_push(peer *q, weft_node *node) {
    return q->queue.bounded_push(node);
}

inline weft_node *queue_steal(peer *, peer *from) {
    return queue_pop(from);
}

}  // namespace

#define QUEUE peer
#define LOOPS weft_boost_loops
#define NAME  "boost_lockfree"

#include "weft/bench/queue_template.h"
