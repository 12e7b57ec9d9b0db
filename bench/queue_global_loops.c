/* SPDX-License-Identifier: MIT */
/* The global queue's timed loops. */
#include "weft/bench/queue_loops.h"
#include "weft/bench/queue_threads.h"
#include "weft/queue/global_queue.h"

enum { BATCH = 64 };

static struct weft_node nodes[2][BATCH];
static struct weft_global global;

double weft_global_single(uint64_t ops) {
    weft_global_init(&global);
    uint64_t start = weft_clock_now();
    for (uint64_t i = 0; i < ops; i++) {
        weft_global_push(&global, &nodes[0][i % BATCH]);
        WEFT_CHECK(weft_global_pop(&global) != NULL);
    }
    return (double)(weft_clock_now() - start);
}

double weft_global_batch(uint64_t ops) {
    struct weft_batch batch;
    weft_batch_init(&batch);
    weft_global_init(&global);
    for (uint32_t i = 0; i < BATCH; i++) {
        weft_batch_push(&batch, &nodes[0][i]);
    }
    uint64_t start = weft_clock_now();
    for (uint64_t i = 0; i < ops; i += BATCH) {
        weft_global_push_batch(&global, &batch);
        WEFT_CHECK(weft_global_pop_batch(&global, BATCH, &batch) == BATCH);
    }
    return (double)(weft_clock_now() - start);
}

/* Each pushes one and pops one, whosever it is. */
static void push_and_pop(uint64_t ops, struct weft_node *first) {
    struct weft_node *node = first;
    for (uint64_t i = 0; i < ops / 2; i++) {
        weft_global_push(&global, node);
        node = weft_global_pop(&global);
        WEFT_CHECK(node != NULL);
    }
}

static void two_here(void *arg) {
    push_and_pop(*(uint64_t *)arg, &nodes[0][0]);
}

static void two_there(void *arg) {
    push_and_pop(*(uint64_t *)arg, &nodes[1][0]);
}

double weft_global_two(uint64_t ops) {
    weft_global_init(&global);
    return bench_pair_run(two_here, two_there, &ops);
}
