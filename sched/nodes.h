/* SPDX-License-Identifier: MIT */
/* Memory nodes: which processor is of which, and what follows from it. See
 * nodes.c. For the files of core.h's target. */
#ifndef WEFT_SCHED_NODES_H_
#define WEFT_SCHED_NODES_H_

#include "weft/sched/core.h"

/* Finds out which nodes there are. Context: before anybody else looks at `rt`;
 * reads files. */
void weft_nodes_start(struct weft_runtime *rt);

/* Deals the processors out. Context: as above, when they have been made. */
void weft_nodes_deal(struct weft_runtime *rt);

/* The node of a thread that has not been given a processor yet. */
unsigned weft_nodes_none(const struct weft_runtime *rt);

/* The thread of `w`, the caller, is to run on the CPUs of the node of `p`,
 * which it takes. Context: inside; a system call. */
void weft_nodes_settle(struct weft_worker *w, const struct weft_processor *p);

/* The processor that a thief with `p` looks at as the `i`th of a round
 * (0 <= i < processors): those of its node first, either part from anywhere:
 * `start` is random. All in turn, `p` itself as one of them. */
static inline unsigned weft_nodes_victim(const struct weft_processor *p,
                                         unsigned i, unsigned start) {
    unsigned near = p->near_count;
    if (WEFT_LIKELY(i < near)) {
        return p->near_first + (start + i) % near;
    }
    unsigned at = (start + i) % (p->runtime->processor_count - near);
    return at < p->near_first ? at : at + near;
}

#endif
