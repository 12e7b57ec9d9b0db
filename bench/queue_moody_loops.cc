/* SPDX-License-Identifier: MIT */
/* A peer: moodycamel's ConcurrentQueue. The owner has a producer's token, and
 * all take from that producer, thieves in bulk: its fast ways. Unbounded. */
#include <concurrentqueue/concurrentqueue.h>

#include <memory>

#include "weft/bench/queue_caught.h"

namespace {

using Queue = moodycamel::ConcurrentQueue<weft_node *>;

struct peer {
    std::unique_ptr<Queue> queue;
    std::unique_ptr<moodycamel::ProducerToken> token;
    caught mine;
};

void queue_init(peer *q) {
    q->token.reset();
    q->queue = std::make_unique<Queue>(1024);
    q->token = std::make_unique<moodycamel::ProducerToken>(*q->queue);
    q->mine.begin(0);
}

inline bool queue_push(peer *q, weft_node *node) {
    return q->queue->enqueue(*q->token, node);
}

inline weft_node *queue_pop(peer *q) {
    weft_node *node;
    if (!q->mine.empty()) {
        return q->mine.nodes[q->mine.next++];
    }
    return q->queue->try_dequeue_from_producer(*q->token, node) ? node
                                                                : nullptr;
}

inline weft_node *queue_steal(peer *to, peer *from) {
    return to->mine.begin(from->queue->try_dequeue_bulk_from_producer(
        *from->token, to->mine.nodes, caught::kMost));
}

}  // namespace

#define QUEUE      peer
#define LOOPS      weft_moody_loops
#define NAME       "moodycamel"
#define GOOD_CATCH 32

#include "weft/bench/queue_template.h"
