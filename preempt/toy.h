/* SPDX-License-Identifier: MIT */
/* A preemptive scheduler in a page: several jobs, each on an OS thread of its
 * own, share one processor, so that one of them runs at a time. Made of gates,
 * hand-overs, signals and the timer alone; tests use it, and it shows how.
 *
 * Always true: only the holder of the processor touches the ring of workers, so
 * the ring has no lock. */
#ifndef WEFT_PREEMPT_TOY_H_
#define WEFT_PREEMPT_TOY_H_

#include <stdint.h>

#include "weft/preempt/signals.h"

struct toy_job {
    void (*run)(void *arg);
    void *arg;
};

struct toy_result {
    uint64_t switches; /* times the processor changed hands */
    uint64_t ticks;
    struct weft_preempt_counters counters;
};

/* Runs all the jobs to their ends, `quantum_ns` for each in turn. Context: a
 * thread that has not entered, signals not installed; `mode` SIGNAL or
 * COOPERATIVE. */
void toy_run(const struct toy_job *jobs, int count, uint64_t quantum_ns,
             enum weft_preempt_mode mode, struct toy_result *result);

/* A place where a job gives way if it was asked to: what cooperative mode
 * needs. Context: a job. */
void toy_check(void);

#endif
