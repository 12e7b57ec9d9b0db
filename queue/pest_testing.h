/* SPDX-License-Identifier: MIT */
/* A pest: a thread that interrupts others at any instruction and makes them
 * give their processor away there, so that operations stop half-way even on a
 * busy machine with one processor to spare. One at a time; it uses SIGUSR1. */
#ifndef WEFT_QUEUE_PEST_TESTING_H_
#define WEFT_QUEUE_PEST_TESTING_H_

#include <pthread.h>
#include <signal.h>

#include "weft/queue/testing.h"

struct pest {
    pthread_t thread;
    pthread_t *victims;
    uint32_t count;
    _Atomic bool stop;
    uint64_t seed;
};

static inline void yield_here(int signal) {
    sched_yield();
}

static inline void *pest_main(void *arg) {
    struct pest *pest = arg;
    while (!atomic_load_explicit(&pest->stop, memory_order_acquire)) {
        uint32_t i = test_random(&pest->seed, pest->count);
        pthread_kill(pest->victims[i], SIGUSR1);
        sched_yield();
    }
    return NULL;
}

static inline void pest_start(struct pest *pest, pthread_t *victims,
                              uint32_t count, uint64_t seed) {
    struct sigaction action = {.sa_handler = yield_here};
    sigaction(SIGUSR1, &action, NULL);
    *pest = (struct pest){.victims = victims, .count = count, .seed = seed};
    WEFT_CHECK(pthread_create(&pest->thread, NULL, pest_main, pest) == 0);
}

/* Before the victims are joined: a signal needs a thread to go to. */
static inline void pest_stop(struct pest *pest) {
    atomic_store_explicit(&pest->stop, true, memory_order_release);
    WEFT_CHECK(pthread_join(pest->thread, NULL) == 0);
}

#endif
