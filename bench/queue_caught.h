/* SPDX-License-Identifier: MIT */
/* For peers whose thief takes many at a time into memory of its own. */
#ifndef WEFT_BENCH_QUEUE_CAUGHT_H_
#define WEFT_BENCH_QUEUE_CAUGHT_H_

#include <cstddef>

#include "weft/queue/node.h"

/* The catch of the last steal; the thief's alone. */
struct caught {
    static constexpr std::size_t kMost = 128;
    weft_node *nodes[kMost];
    std::size_t count = 0, next = 0;

    /* After a steal has written `n` nodes: the first, or nullptr. */
    weft_node *begin(std::size_t n) {
        count = n;
        next = n != 0;
        return n != 0 ? nodes[0] : nullptr;
    }

    bool empty() const {
        return next == count;
    }
};

#endif
