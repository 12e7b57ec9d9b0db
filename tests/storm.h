/* SPDX-License-Identifier: MIT */
/* What the tests of the whole have in common: a run with a short quantum, and
 * a watchdog that dumps all tasks and workers and aborts when it stands still.
 *
 * A check that fails inside a task stops the program with both values
 * (WEFT_CHECK): a task runs on a thread that cmocka does not know. */
#ifndef WEFT_TESTS_STORM_H_
#define WEFT_TESTS_STORM_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/sched/runtime.h"
#include "weft/sched/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runs `fn(arg)` with `workers` workers and a quantum of `quantum_us`. Aborts
 * with a dump when it takes longer than 50 s. */
void storm_run(unsigned workers, unsigned quantum_us, void (*fn)(void *),
               void *arg);

/* The same with any configuration. */
void storm_run_with(const struct weft_config *config, void (*fn)(void *),
                    void *arg);

/* Runs `tasks` tasks of `fn(i)` for `ms` milliseconds under storm_run(); each
 * calls storm_over() to learn that time is up. Their results are added up. */
uint64_t storm_tasks(unsigned workers, unsigned quantum_us, unsigned tasks,
                     unsigned ms, void *(*fn)(void *index));

/* The same with all of a configuration. */
uint64_t storm_tasks_with(const struct weft_config *config, unsigned tasks,
                          unsigned ms, void *(*fn)(void *index));

/* Whom the watchdog asks when the 50 s are over: has anything moved since it
 * last asked? If so it waits again, until the process has used 100 s of CPU:
 * other load may leave it next to nothing. NULL, the default: it does not wait.
 */
void storm_on_stall(bool (*fn)(void));

/* True when the tasks of storm_tasks() shall end. A scheduling point only where
 * there are no signals. */
bool storm_over(void);

/* Whether tasks are interrupted in this build and environment. Where they are
 * not, a loop without calls can only be stopped by a check inside it. */
bool storm_has_signals(void);

/* Skips the running test with preemption off: what it promises is not promised
 * then. */
void storm_needs_preemption(void);

/* For loops that would have no calls: where they are not interrupted, a check,
 * or with preemption off a yield now and then. */
void storm_check(void);
#define STORM_CHECK()             \
    do {                          \
        if (!storm_has_signals()) \
            storm_check();        \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
