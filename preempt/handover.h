/* SPDX-License-Identifier: MIT */
/* A mailbox for one pointer, on which its owner, an OS thread, sleeps: in a
 * signal handler with an interrupted task below it, or as a spare. It is how a
 * processor goes from one thread to another.
 *
 * Always true:
 * - One word says everything: empty, empty and the owner sleeps, or the value.
 *   So publishing the value IS the last store of a hand-over: what the giver
 *   did to the thing given comes before it, and the giver touches neither
 *   thing nor mailbox afterwards (a wake-up may still be on its way).
 * - A value is given once and taken once. Giving to a full mailbox is a broken
 *   promise and stops the program.
 *
 * Memory must stay readable for as long as somebody may give to it. */
#ifndef WEFT_PREEMPT_HANDOVER_H_
#define WEFT_PREEMPT_HANDOVER_H_

#include <stdint.h>

#include "weft/base/atomic.h"
#include "weft/base/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_handover {
    /* NULL, the sleeper's mark, or the value. Any thread, atomic. */
    WEFT_ATOMIC(uintptr_t) value;
};

/* Empty. Context: before anybody else can see it. */
void weft_handover_init(struct weft_handover *handover);

/* Puts `value` (not NULL, aligned to 2 bytes) in and wakes the owner if it
 * sleeps. Everything done before is seen by the owner that takes the value.
 * Context: any thread with its gate closed, signal handlers; does not block. */
void weft_handover_give(struct weft_handover *handover, void *value);

/* Takes the value, or NULL when there is none. Context: the owner. */
void *weft_handover_poll(struct weft_handover *handover);

/* Takes the value; sleeps until there is one, after a short spin. NULL when
 * `deadline` (weft_clock_now()'s scale, WEFT_FOREVER: none) comes first.
 * Context: the owner with its gate closed, signal handlers too; blocks the OS
 * thread. Signals that arrive meanwhile are handled and the sleep goes on. */
void *weft_handover_wait(struct weft_handover *handover, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif
