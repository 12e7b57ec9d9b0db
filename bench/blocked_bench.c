/* SPDX-License-Identifier: MIT */
/* How long a task that blocks its thread without telling holds the processor
 * that another waits for: one worker; a task notes the time and sleeps in the
 * kernel for 20 ms; another, which computes, notes when it first goes on. More
 * than 2 ms at the median would be surprising.
 *
 *     blocked_bench [QUANTUM]     in us, the runtime's if not given */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weft/base/clock.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"

enum { ROUNDS = 100, NAP_NS = 20 * 1000 * 1000 };

static _Atomic uint64_t blocked_at; /* 0: it does not block */
static _Atomic bool time_is_up;
static uint64_t held[ROUNDS];
static unsigned count, cut_short;

static void *compute(void *arg) {
    while (!atomic_load_explicit(&time_is_up, memory_order_relaxed)) {
        /* Acquire: pairs with the release in block(). */
        uint64_t began =
            atomic_exchange_explicit(&blocked_at, 0, memory_order_acquire);
        if (began != 0) {
            held[count++] = weft_clock_now() - began;
        }
    }
    return arg;
}

static void block(void *arg) {
    struct weft_task *other;
    (void)arg;
    if (weft_spawn(&other, compute, NULL, NULL) != 0) {
        exit(1);
    }
    for (int i = 0; i < ROUNDS; i++) {
        struct timespec nap = {.tv_nsec = NAP_NS};
        weft_sleep(WEFT_MS);
        /* Release: pairs with the acquire in compute(). */
        atomic_store_explicit(&blocked_at, weft_clock_now(),
                              memory_order_release);
        cut_short += nanosleep(&nap, NULL) != 0;
    }
    atomic_store_explicit(&time_is_up, true, memory_order_relaxed);
    weft_join(other, NULL);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    struct weft_config config = {
        .workers = 1,
        .quantum_ns = argc > 1 ? (uint64_t)atoi(argv[1]) * WEFT_US : 0};
    int error = weft_run(&config, block, NULL);
    if (error != 0 || count == 0) {
        fprintf(stderr, "weft_run: %s\n", strerror(-error));
        return 1;
    }
    qsort(held, count, sizeof held[0], compare);
    printf(
        "held for %.2f ms at the median, %.2f at the most; %u of %d naps "
        "seen, %u cut short\n",
        (double)held[count / 2] / 1e6, (double)held[count - 1] / 1e6, count,
        ROUNDS, cut_short);
    return 0;
}
