/* SPDX-License-Identifier: MIT */
/* A queue's timed loops, as C functions that a C++ bench can call: the queues'
 * hot operations are inline C with C11 atomics, which C++17 cannot include. */
#ifndef WEFT_BENCH_QUEUE_LOOPS_H_
#define WEFT_BENCH_QUEUE_LOOPS_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Each does `ops` operations and returns the nanoseconds they took, or a
 * negative number when there is no second CPU to do it on. NULL: the queue has
 * no such operation. */
struct queue_loops {
    const char *name;
    double (*push_pop)(uint64_t ops);    /* 1 op: a push and a pop */
    double (*burst)(uint64_t ops);       /* the same, 128 and 128 */
    double (*steal_one)(uint64_t ops);   /* 1 op: push, and steal it */
    double (*steal_half)(uint64_t ops);  /* 1 op: a node moved out of 256 by
                                          * steals of half, and popped */
    double (*steal_other)(uint64_t ops); /* as steal_half, timed on the thief;
                                          * the owner is on another CPU */
    double (*mixed)(uint64_t ops);       /* 1 op: a push or a pop of the owner,
                                          * while a thief works elsewhere */
    double (*stream)(uint64_t ops);      /* 1 op: a node from the owner to a
                                          * thief on another CPU */
};

extern const struct queue_loops weft_local_loops; /* counted, 256 slots */
extern const struct queue_loops weft_ring_loops;  /* without counters */
extern const struct queue_loops weft_block_loops; /* 256 slots, blocks of 16 */
extern const struct queue_loops weft_mutex_loops; /* a pthread mutex's array */

/* Peers, of //bench:queue_peers_bench. */
extern const struct queue_loops weft_ck_loops;    /* Concurrency Kit, SPMC */
extern const struct queue_loops weft_moody_loops; /* moodycamel, tokens, bulk */
extern const struct queue_loops weft_boost_loops; /* boost::lockfree::queue */
extern const struct queue_loops weft_tbb_loops;   /* oneTBB concurrent_queue */
extern const struct queue_loops weft_deque_loops; /* std::deque and a mutex */

/* A global queue: one op is a push and a pop. */
struct global_loops {
    const char *name;
    double (*single)(uint64_t ops); /* of one node */
    double (*batch)(uint64_t ops);  /* in batches of 64 */
    double (*two)(uint64_t ops);    /* by two threads at once, each both */
    double (*four)(uint64_t ops);   /* by four, on whatever CPUs there are */
    double (*feed)(uint64_t ops);   /* one pushes, the other takes batches */
};

extern const struct global_loops weft_global_loops;          /* under a lock */
extern const struct global_loops weft_lockfree_global_loops; /* takers' lock */

/* What no queue between two CPUs goes below: 1 op of the first is a cache line
 * handed to the other CPU, there and back being two; of the second a pointer
 * that goes from one to the other in an array of two halves of 128, a half at a
 * time, with one word each to say whose it is. */
double queue_line_loop(uint64_t ops);
double queue_halves_loop(uint64_t ops);

#ifdef __cplusplus
}
#endif

#endif
