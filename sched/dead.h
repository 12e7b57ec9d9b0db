/* SPDX-License-Identifier: MIT */
/* What the monitor keeps to find out that nothing can ever go on: dead.c. */
#ifndef WEFT_SCHED_DEAD_H_
#define WEFT_SCHED_DEAD_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct weft_runtime;

struct weft_dead {
    /* Whoever has the seat in the poller writes: how many times it was about to
     * sleep there, with empty hands. */
    _Atomic uint32_t rounds;
    /* Fixed before the first task: threads that are the runtime's and no
     * workers. */
    _Atomic int caller, spawner;
    /* The monitor's: what it saw when it began to suspect. */
    bool suspected;
    bool polled; /* somebody slept in the poller, or was about to */
    uint32_t rounds_seen;
    uint64_t slices_seen;
    uint64_t pause; /* ns to the next look */
    uint64_t next;  /* when that is due */
};

/* The calling thread's number, as the kernel has it. */
int weft_dead_thread(void);

/* The worker with the seat in the poller is about to sleep there. */
void weft_dead_round(struct weft_dead *dead);

/* All processors have been idle for a while: can anything go on? If not, says
 * so and ends the program. Returns when to look again, WEFT_FOREVER for not
 * before something runs. Context: the monitor. */
uint64_t weft_dead_look(struct weft_runtime *rt, uint64_t now);

#endif
