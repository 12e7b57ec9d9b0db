/* SPDX-License-Identifier: MIT */
/* For kinds that block their thread without telling weft: retrying as
 * docs/preemption.md asks, and a second task to wait for. */
#ifndef WEFT_TESTS_STORM_BLOCKING_H_
#define WEFT_TESTS_STORM_BLOCKING_H_

#include <errno.h>
#include <time.h>

#include "tests/storm/kind.h"
#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/task.h"

/* The value of `call`, which is made again while it is interrupted. */
#define RETRY(call)                               \
    __extension__({                               \
        __typeof__(call) retry_;                  \
        do {                                      \
            retry_ = (call);                      \
        } while (retry_ == -1 && errno == EINTR); \
        retry_;                                   \
    })

static inline struct timespec timespec_of(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / WEFT_S),
                             .tv_nsec = (long)(ns % WEFT_S)};
}

/* Sleeps in the kernel. */
static inline void nap(uint64_t ns) {
    struct timespec left = timespec_of(ns);
    while (nanosleep(&left, &left) != 0) {
        WEFT_CHECK_OP(errno, ==, EINTR);
    }
}

/* Another task, which the caller has to join. */
static inline struct weft_task *start(void *(*fn)(void *), void *arg) {
    struct weft_task *task;
    WEFT_CHECK_OP(weft_spawn(&task, fn, arg, NULL), ==, 0);
    return task;
}

/* May move the caller to another thread: the last thing in a function. */
static inline void join(struct weft_task *task) {
    WEFT_CHECK_OP(weft_join(task, NULL), ==, 0);
}

#endif
