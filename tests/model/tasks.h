/* SPDX-License-Identifier: MIT */
/* Tasks without a scheduler, for what is built on parking: each of the model's
 * threads is one. A park is a token and a futex, as weft_park() is to its
 * callers: it may return for no reason, or because of the deadline, whenever
 * that is. The lock of a wait list is waited for without a futex.
 *
 * Context: scenarios. */
#ifndef WEFT_TESTS_MODEL_TASKS_H_
#define WEFT_TESTS_MODEL_TASKS_H_

#include <stdint.h>

/* From set_up(): no tokens; a thread's looks at the clock find `start` + `step`
 * ns, `start` + 2 `step` and so on, whatever the others do. */
void tasks_reset(uint64_t start, uint64_t step);

/* The task of a thread, to wake it for no reason. */
struct weft_task *tasks_of(int thread);

#endif
