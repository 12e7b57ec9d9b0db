/* SPDX-License-Identifier: MIT */
/* The timed loops for one queue; included once by each file that defines
 *
 *     QUEUE                    its type, with room for 256 nodes
 *     queue_init(q)
 *     queue_push(q, node)      owner; false: full
 *     queue_pop(q)             owner; NULL: empty
 *     queue_steal(to, from)    owner of `to`; one node, others may move to `to`
 *     SHARES, queue_share(q)   owner; optional: what it holds can be stolen
 *     GOOD_CATCH               optional: see stream_thief()
 *     LOOPS, NAME              what to call the table
 *
 * A node here is never looked into. C11, or C++23, which has C's atomics: peers
 * are templates. */
#include <stddef.h>
#include <stdint.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/bench/queue_loops.h"
#include "weft/bench/queue_threads.h"
#include "weft/queue/node.h"

#ifndef GOOD_CATCH
#define GOOD_CATCH 0
#endif

#ifndef SHARES
static inline void queue_share(QUEUE *q) {
    (void)q;
}
#endif

enum { SLOTS = 256, BURST = 128 };

static struct weft_node nodes[SLOTS];
static QUEUE left, right;

static double push_pop(uint64_t ops) {
    queue_init(&left);
    uint64_t start = weft_clock_now();
    for (uint64_t i = 0; i < ops; i++) {
        queue_push(&left, &nodes[i % SLOTS]);
        WEFT_CHECK(queue_pop(&left) != NULL);
    }
    return (double)(weft_clock_now() - start);
}

static double burst(uint64_t ops) {
    queue_init(&left);
    uint64_t start = weft_clock_now();
    for (uint64_t i = 0; i < ops; i += BURST) {
        for (uint32_t j = 0; j < BURST; j++) {
            queue_push(&left, &nodes[j]);
        }
        for (uint32_t j = 0; j < BURST; j++) {
            WEFT_CHECK(queue_pop(&left) != NULL);
        }
    }
    return (double)(weft_clock_now() - start);
}

static double steal_one(uint64_t ops) {
    queue_init(&left);
    queue_init(&right);
    uint64_t start = weft_clock_now();
    for (uint64_t i = 0; i < ops; i++) {
        queue_push(&left, &nodes[i % SLOTS]);
        queue_share(&left);
        WEFT_CHECK(queue_steal(&right, &left) != NULL);
    }
    return (double)(weft_clock_now() - start);
}

/* Everything out of `left`; returns how many. */
static uint32_t take_all(void) {
    uint32_t count = 0;
    while (queue_steal(&right, &left) != NULL) {
        do {
            count++;
        } while (queue_pop(&right) != NULL);
    }
    return count;
}

static uint32_t fill(void) {
    uint32_t n = 0;
    while (n < SLOTS && queue_push(&left, &nodes[n])) {
        n++;
    }
    queue_share(&left);
    return n;
}

static double steal_half(uint64_t ops) {
    uint64_t spent = 0;
    queue_init(&left);
    queue_init(&right);
    for (uint64_t i = 0; i < ops; i += SLOTS) {
        uint32_t n = fill();
        uint64_t start = weft_clock_now();
        WEFT_CHECK_OP(take_all(), ==, n);
        spent += (weft_clock_now() - start) * SLOTS / n;
    }
    return (double)spent;
}

struct work {
    uint64_t ops;
    _Atomic(uint64_t) turn; /* even: the owner fills; odd: the thief empties */
    _Atomic(bool) done;
    uint64_t spent;
};

static void wait_turn(struct work *work, uint64_t turn) {
    uint32_t rounds = 0;
    /* Acquire: pairs with the release stores of turn below. */
    while (atomic_load_explicit(&work->turn, memory_order_acquire) != turn) {
        bench_relax(&rounds);
    }
}

static void other_owner(void *arg) {
    struct work *work = (struct work *)arg;
    uint64_t turn = 0;
    for (uint64_t i = 0; i < work->ops; i += SLOTS, turn += 2) {
        wait_turn(work, turn);
        fill();
        atomic_store_explicit(&work->turn, turn + 1, memory_order_release);
    }
}

static void other_thief(void *arg) {
    struct work *work = (struct work *)arg;
    uint64_t turn = 1;
    for (uint64_t i = 0; i < work->ops; i += SLOTS, turn += 2) {
        wait_turn(work, turn);
        uint64_t start = weft_clock_now();
        uint32_t n = take_all();
        work->spent += (weft_clock_now() - start) * SLOTS / n;
        atomic_store_explicit(&work->turn, turn + 1, memory_order_release);
    }
}

static double steal_other(uint64_t ops) {
    struct work work = {.ops = ops};
    queue_init(&left);
    queue_init(&right);
    double ns = bench_pair_run(other_thief, other_owner, &work);
    return ns < 0 ? ns : (double)work.spent;
}

/* A thief as the scheduler has them: a steal, the catch is run, a pause. */
static void mixed_thief(void *arg) {
    struct work *work = (struct work *)arg;
    /* Acquire: pairs with the release in mixed_owner(). */
    while (!atomic_load_explicit(&work->done, memory_order_acquire)) {
        if (queue_steal(&right, &left) != NULL) {
            while (queue_pop(&right) != NULL) {
            }
        }
        for (int i = 0; i < 200; i++) {
            atomic_signal_fence(memory_order_seq_cst);
        }
    }
}

static void mixed_owner(void *arg) {
    struct work *work = (struct work *)arg;
    uint32_t bits = 1;
    for (uint64_t i = 0; i < work->ops; i++) {
        bits = bits * 1664525u + 1013904223u;
        if (bits >> 31 != 0) {
            queue_push(&left, &nodes[i % SLOTS]); /* full: dropped */
        } else {
            queue_pop(&left);
        }
    }
    atomic_store_explicit(&work->done, true, memory_order_release);
}

static double mixed(uint64_t ops) {
    struct work work = {.ops = ops};
    queue_init(&left);
    queue_init(&right);
    return bench_pair_run(mixed_owner, mixed_thief, &work);
}

static void stream_owner(void *arg) {
    struct work *work = (struct work *)arg;
    for (uint64_t i = 0; i < work->ops; i++) {
        uint32_t rounds = 0;
        while (!queue_push(&left, &nodes[i % SLOTS])) {
            bench_relax(&rounds);
        }
    }
    queue_share(&left);
}

/* A thief that takes many at a time rests when it caught less than GOOD_CATCH:
 * else it is soon so close behind the owner that each looks for lines which the
 * other has just written, for a few nodes each time. (J. Giacomoni et al.,
 * "FastForward", PPoPP 2008, calls it slipping.) */
static void stream_thief(void *arg) {
    struct work *work = (struct work *)arg;
    uint32_t rounds = 0;
    for (uint64_t got = 0; got < work->ops;) {
        uint32_t caught = 0;
        if (queue_steal(&right, &left) != NULL) {
            do {
                caught++;
            } while (queue_pop(&right) != NULL);
        }
        got += caught;
        if (caught == 0 || caught < GOOD_CATCH) {
            bench_relax(&rounds);
        }
    }
}

static double stream(uint64_t ops) {
    struct work work = {.ops = ops};
    queue_init(&left);
    queue_init(&right);
    return bench_pair_run(stream_thief, stream_owner, &work);
}

const struct queue_loops LOOPS = {
    .name = NAME,
    .push_pop = push_pop,
    .burst = burst,
    .steal_one = steal_one,
    .steal_half = steal_half,
    .steal_other = steal_other,
    .mixed = mixed,
    .stream = stream,
};
