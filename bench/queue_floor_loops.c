/* SPDX-License-Identifier: MIT */
/* What lines cost between two CPUs: the floor of what goes through a queue. The
 * loops are described in weft/bench/queue_loops.h.
 *
 * Always true: turn is stored by the side whose turn it was, `full` by the side
 * whose half it was; the slots of a half are written while it is not full and
 * read while it is. */
#include <stdatomic.h>
#include <stddef.h>

#include "weft/base/compiler.h"
#include "weft/bench/queue_loops.h"
#include "weft/bench/queue_threads.h"

enum { HALF = 128 };

static struct {
    WEFT_CACHE_ALIGNED _Atomic uint64_t turn;
    /* Of each half: is it full? */
    struct {
        WEFT_CACHE_ALIGNED _Atomic bool full;
    } half[2];
    WEFT_CACHE_ALIGNED _Atomic(void *) slots[2 * HALF];
} shared;

static _Atomic(void *) caught[HALF];

static void await_turn(uint64_t turn) {
    /* Acquire: pairs with the release in pass(). No rest: the delay of a line
     * is what is measured. */
    while (atomic_load_explicit(&shared.turn, memory_order_acquire) != turn) {
    }
}

/* Every second turn from `first` on. */
static void pass(uint64_t first, uint64_t ops) {
    for (uint64_t turn = first; turn < ops; turn += 2) {
        await_turn(turn);
        atomic_store_explicit(&shared.turn, turn + 1, memory_order_release);
    }
}

static void even_turns(void *ops) {
    pass(0, *(uint64_t *)ops);
}

static void odd_turns(void *ops) {
    pass(1, *(uint64_t *)ops);
}

double queue_line_loop(uint64_t ops) {
    atomic_store_explicit(&shared.turn, 0, memory_order_relaxed);
    return bench_pair_run(even_turns, odd_turns, &ops);
}

static void await_half(int half, bool full) {
    uint32_t rounds = 0;
    /* Acquire: pairs with the releases in fill() and empty(). */
    while (atomic_load_explicit(&shared.half[half].full,
                                memory_order_acquire) != full) {
        bench_relax(&rounds);
    }
}

static void fill(void *ops) {
    for (uint64_t i = 0; i < *(uint64_t *)ops; i += HALF) {
        int half = (int)(i / HALF % 2);
        await_half(half, false);
        for (int j = 0; j < HALF; j++) {
            atomic_store_explicit(&shared.slots[half * HALF + j], &caught[j],
                                  memory_order_relaxed);
        }
        atomic_store_explicit(&shared.half[half].full, true,
                              memory_order_release);
    }
}

static void empty(void *ops) {
    for (uint64_t i = 0; i < *(uint64_t *)ops; i += HALF) {
        int half = (int)(i / HALF % 2);
        await_half(half, true);
        for (int j = 0; j < HALF; j++) {
            void *node = atomic_load_explicit(&shared.slots[half * HALF + j],
                                              memory_order_relaxed);
            atomic_store_explicit(&caught[j], node, memory_order_relaxed);
        }
        atomic_store_explicit(&shared.half[half].full, false,
                              memory_order_release);
    }
}

double queue_halves_loop(uint64_t ops) {
    return bench_pair_run(empty, fill, &ops);
}
