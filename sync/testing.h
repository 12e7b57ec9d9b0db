/* SPDX-License-Identifier: MIT */
/* What the tests of sync share. Inside tasks they use WEFT_CHECK rather than
 * cmocka's assertions: those leave by longjmp(), and a task's stack is not the
 * test's. */
#ifndef WEFT_SYNC_TESTING_H_
#define WEFT_SYNC_TESTING_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/base/compiler.h"
#include "weft/sched/task.h"
#include "weft/sync/wait_list.h"

/* Rounds of a storm: fewer where everything is slower. */
#if WEFT_ASAN || WEFT_TSAN || !defined(__x86_64__)
#define WEFT_TEST_ROUNDS(n) ((n) / 5)
#else
#define WEFT_TEST_ROUNDS(n) (n)
#endif

/* Runs `fn` as the first task on 2 workers with a quantum of 50 us. */
void weft_test_run(void (*fn)(void *), void *arg);

/* The same on 1 worker that takes no task off its processor: what happens
 * between two waits is one step. */
void weft_test_run_stepwise(void (*fn)(void *), void *arg);

/* Runs `fn` in a child process, as a task or as it is, and asserts that it
 * aborts and that what it prints contains `sentence`. */
void weft_test_stops(void (*fn)(void *), bool as_task, const char *sentence);

/* Runs `fn(arg)` on an OS thread that weft does not know, to its end. */
void weft_test_foreign(void (*fn)(void *), void *arg);

/* Starts a task that can be joined; stops the test when there is none. */
struct weft_task *weft_test_spawn(void *(*fn)(void *), void *arg);

/* Waits until `task` has ended; returns its result as a number. */
intptr_t weft_test_join(struct weft_task *task);

/* Yields until `task` waits. */
void weft_test_await_waiting(struct weft_task *task);

/* Yields until `count` waiters are in `list`. */
void weft_test_await_count(struct weft_wait_list *list, uint32_t count);

/* xorshift64; `*state` is not 0. */
uint64_t weft_test_random(uint64_t *state);

#endif
