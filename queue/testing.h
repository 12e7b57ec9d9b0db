/* SPDX-License-Identifier: MIT */
/* What the queues' tests share: numbered nodes, a seed that can be repeated,
 * and a gate that lets threads start together. Assertions of cmocka belong to
 * the main thread; others use WEFT_CHECK, which ends the test as surely. */
#ifndef WEFT_QUEUE_TESTING_H_
#define WEFT_QUEUE_TESTING_H_

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/queue/node.h"

/* A node that knows its place in the order of pushes. All fields belong to who
 * holds the node: they are plain, so that the thread sanitizer sees every hand-
 * over that was not ordered. */
struct item {
    struct weft_node node;
    uint32_t number;
    uint32_t taken; /* how often somebody ran it */
};

static inline struct item *item_of(struct weft_node *node) {
    return node == NULL ? NULL : weft_container_of(node, struct item, node);
}

/* `count` items numbered from 0; free() them. */
static inline struct item *items_new(uint32_t count) {
    struct item *items = calloc(count, sizeof(*items));
    WEFT_CHECK(items != NULL);
    for (uint32_t i = 0; i < count; i++) {
        items[i].number = i;
    }
    return items;
}

/* Each item was run exactly once. Context: after the threads were joined. */
static inline void items_all_taken_once(const struct item *items,
                                        uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].taken != 1) {
            print_error("item %u of %u was taken %u times\n", i, count,
                        items[i].taken);
        }
        assert_int_equal(items[i].taken, 1);
    }
}

/* The seed: WEFT_TEST_SEED, or new each time. Printed, to be repeated. */
static inline uint64_t test_seed(void) {
    const char *given = getenv("WEFT_TEST_SEED");
    uint64_t seed =
        given != NULL ? strtoull(given, NULL, 0) : (weft_clock_now() | 1);
    print_message("WEFT_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed | 1;
}

/* xorshift64*; *state is never 0. */
static inline uint32_t test_random(uint64_t *state, uint32_t below) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545F4914F6CDD1DULL) >> 33) % below;
}

/* Threads that count down wait for the last one. */
static inline void test_start_together(_Atomic uint32_t *missing) {
    atomic_fetch_sub_explicit(missing, 1, memory_order_acq_rel);
    while (atomic_load_explicit(missing, memory_order_acquire) != 0) {
        sched_yield();
    }
}

#endif
