/* SPDX-License-Identifier: MIT */
/* The scheduler under io's tests: two processors whatever the machine has, and
 * a short quantum, so that tasks are interrupted inside io too. */
#include "weft/io/testing.h"
#include "weft/sched/runtime.h"

int weft_testing_run(void (*body)(void *arg)) {
    static const struct weft_config config = {
        .workers = 2,
        .quantum_ns = 1000 * WEFT_US,
        .min_slice_ns = 50 * WEFT_US,
    };
    return weft_run(&config, body, NULL);
}
