/* SPDX-License-Identifier: MIT */
/* Waiting on a 32-bit word (futex(2)), private to the process.
 *
 * A wake-up may come for no reason: callers loop over their own condition.
 * Context of all: any thread, signal handlers too; they block the OS thread. */
#ifndef WEFT_BASE_FUTEX_H_
#define WEFT_BASE_FUTEX_H_

#include <stddef.h>
#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sleeps while *word == expected, until woken or until `deadline` on
 * CLOCK_MONOTONIC (WEFT_FOREVER: no limit). Returns 0 when woken, -EAGAIN when
 * the word differed, -EINTR after a signal, -ETIMEDOUT. */
int weft_futex_wait(WEFT_ATOMIC(uint32_t) * word, uint32_t expected,
                    uint64_t deadline);

/* Wakes up to `count` sleepers; returns how many. */
int weft_futex_wake(WEFT_ATOMIC(uint32_t) * word, int count);

#ifdef __cplusplus
}
#endif

#endif
