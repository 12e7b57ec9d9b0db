/* SPDX-License-Identifier: MIT */
/* Returns that are predicted although the stack has changed.
 *
 * A processor predicts `ret` by a stack of its own, of the calls that it has
 * seen. When a task waits, and another goes on, the top of that is where the
 * first one would return to. Two tasks that wait at one place in the program
 * return as one would; where the places differ, each wait ends in a
 * misprediction, 7 to 10 ns. An indirect jump is predicted by what came before
 * it, whatever the stack: two tasks that talk are foreseen.
 *
 * So a function that waits, and is the last one before its caller's code, notes
 * where it will return to, for its thread, and returns by a routine
 * (returns_x86_64.S) that compares: the thread's last note is this very place:
 * `ret`; else a jump.
 *
 * Always true: the note is a guess, and wrong or old costs time, nothing else.
 *
 * Rejected: jumps each time. A jump leaves the processor's stack with an entry
 * that nobody takes, and all returns further up are off by one: that would be
 * the price of each wait of tasks that wait at one place, as a server's do,
 * whose returns are predicted now. Where the places differ the entries further
 * up are another task's in any case.
 *
 * Written for x86-64 and compilers that can be told how a function returns;
 * else nothing happens. */
#ifndef WEFT_PREEMPT_RETURNS_H_
#define WEFT_PREEMPT_RETURNS_H_

#include <stddef.h>

#include "weft/base/compiler.h"
#include "weft/preempt/returns_layout.h"
#include "weft/preempt/thread_quick.h"

#if defined(__x86_64__) && defined(__LP64__) && !WEFT_ASAN && !WEFT_TSAN && \
    defined(__has_attribute) && !defined(WEFT_MODEL_TASKS)
#if __has_attribute(function_return)
#define WEFT_RETURNS_JUMP 1
#endif
#endif

#ifdef WEFT_RETURNS_JUMP

_Static_assert(offsetof(struct weft_thread, returns_to) ==
                   WEFT_THREAD_RETURNS_TO,
               "returns_x86_64.S finds the note");

/* For a function that returns an int, or nothing. Compilers may know which
 * registers a function leaves alone, and know nothing of the routine: so they
 * are not to look into it. */
#if __has_attribute(noipa)
#define WEFT_RETURNS_ELSEWHERE \
    __attribute__((noipa, function_return("thunk-extern")))
#else
#define WEFT_RETURNS_ELSEWHERE __attribute__((function_return("thunk-extern")))
#endif

/* Notes where the function that this is written in will return to.
 * Context: a thread that has entered. */
static WEFT_ALWAYS_INLINE void weft_returns_note(void) {
    weft_thread_self_quickly()->returns_to = __builtin_return_address(0);
}

#else

#define WEFT_RETURNS_ELSEWHERE

static WEFT_ALWAYS_INLINE void weft_returns_note(void) {
}

#endif
#endif
