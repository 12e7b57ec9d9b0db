/* SPDX-License-Identifier: MIT */
/* A peer: std::deque under std::mutex; a thief takes half in one round. */
#include <deque>
#include <mutex>

#include "weft/bench/queue_caught.h"

namespace {

struct peer {
    std::mutex mutex;
    std::deque<weft_node *> queue;
    caught mine;
};

void queue_init(peer *q) {
    q->queue.clear();
    q->mine.begin(0);
}

inline bool queue_push(peer *q, weft_node *node) {
    std::lock_guard<std::mutex> hold(q->mutex);
    if (q->queue.size() == 256) {
        return false;
    }
    q->queue.push_back(node);
    return true;
}

inline weft_node *queue_pop(peer *q) {
    if (!q->mine.empty()) {
        return q->mine.nodes[q->mine.next++];
    }
    std::lock_guard<std::mutex> hold(q->mutex);
    if (q->queue.empty()) {
        return nullptr;
    }
    weft_node *node = q->queue.front();
    q->queue.pop_front();
    return node;
}

inline weft_node *queue_steal(peer *to, peer *from) {
    std::lock_guard<std::mutex> hold(from->mutex);
    std::size_t n = (from->queue.size() + 1) / 2;
    for (std::size_t i = 0; i < n; i++) {
        to->mine.nodes[i] = from->queue.front();
        from->queue.pop_front();
    }
    return to->mine.begin(n);
}

}  // namespace

#define QUEUE      peer
#define LOOPS      weft_deque_loops
#define NAME       "mutex_deque"
#define GOOD_CATCH 32

#include "weft/bench/queue_template.h"
