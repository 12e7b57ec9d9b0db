/* SPDX-License-Identifier: MIT */
/* What the timed loops share: pinning, a partner thread, waiting. */
#ifndef WEFT_BENCH_QUEUE_THREADS_H_
#define WEFT_BENCH_QUEUE_THREADS_H_

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/relax.h"

/* Pins the calling thread to the nth CPU it may use (counted from 0); false
 * when there are not so many. `all` is the mask before any pinning. */
static inline bool bench_pin(const cpu_set_t *all, int nth) {
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, all) && nth-- == 0) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            return sched_setaffinity(0, sizeof(one), &one) == 0;
        }
    }
    return false;
}

/* Once round a waiting loop: rests for 0.1 to 0.4 us, in which the other side
 * has its lines to itself, and now and then lets others have the CPU. */
static inline void bench_relax(uint32_t *rounds) {
    for (int i = 0; i < 16; i++) {
        weft_relax();
    }
    if (++*rounds % 1024 == 0) {
        sched_yield();
    }
}

/* Runs `partner(arg)` on the second CPU while the caller, on the first one,
 * runs `self(arg)`; both have started when either goes on. Returns the
 * nanoseconds of `self`, or -1 without a second CPU. */
struct bench_pair {
    void (*partner)(void *arg);
    void *arg;
    const cpu_set_t *all;
    _Atomic(int) ready; /* set by the partner: 1 go, -1 no second CPU */
};

static inline void *bench_partner_main(void *arg) {
    struct bench_pair *pair = (struct bench_pair *)arg;
    bool pinned = bench_pin(pair->all, 1);
    /* Release: pairs with the acquire in bench_pair_run(). */
    atomic_store_explicit(&pair->ready, pinned ? 1 : -1, memory_order_release);
    if (pinned) {
        pair->partner(pair->arg);
    }
    return NULL;
}

static inline double bench_pair_run(void (*self)(void *arg),
                                    void (*partner)(void *arg), void *arg) {
    cpu_set_t all;
    WEFT_CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
    struct bench_pair pair = {.partner = partner, .arg = arg, .all = &all};
    pthread_t thread;
    bench_pin(&all, 0);
    WEFT_CHECK(pthread_create(&thread, NULL, bench_partner_main, &pair) == 0);
    int ready;
    uint32_t rounds = 0;
    /* Acquire: pairs with the release in bench_partner_main(). */
    while ((ready = atomic_load_explicit(&pair.ready, memory_order_acquire)) ==
           0) {
        bench_relax(&rounds);
    }
    double ns = -1;
    if (ready > 0) {
        uint64_t start = weft_clock_now();
        self(arg);
        ns = (double)(weft_clock_now() - start);
    }
    WEFT_CHECK(pthread_join(thread, NULL) == 0);
    sched_setaffinity(0, sizeof(all), &all);
    return ns;
}

#endif
