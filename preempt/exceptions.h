/* SPDX-License-Identifier: MIT */
/* What C++ keeps for each OS thread of the exceptions in flight, so that it can
 * go with a task which changes its thread: the list of those that are being
 * handled (the innermost `catch` first) and the number of those that are thrown
 * and not caught yet. Where it starts is what __cxa_get_globals() returns, and
 * its form is fixed by the Itanium C++ ABI, 2.2.2; the exceptions themselves
 * lie on the heap and belong to no thread.
 *
 * A program without the C++ library has none, and needs none: the reference to
 * the function is weak. (A library that dlopen() brings the C++ library with
 * comes too late for it.)
 *
 * Always true: whoever lets other code run on the thread takes what is there
 * first; so code that takes nothing with it has nothing to put back.
 *
 * Right between any two calls into the C++ library. Inside one (an interrupted
 * __cxa_throw()) it is not: the library has the address in a register. */
#ifndef WEFT_PREEMPT_EXCEPTIONS_H_
#define WEFT_PREEMPT_EXCEPTIONS_H_

#include <stdbool.h>
#include <stddef.h>

#include "weft/base/compiler.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_exceptions {
    void *caught;
    unsigned uncaught;
};

/* Those of the calling thread, good for as long as it lives; NULL in a program
 * without C++. Context: any thread, not in a signal handler (the C++ library
 * may allocate). */
struct weft_exceptions *weft_exceptions_of_thread(void);

/* Are there any? `thread` is as above. Context: its thread. */
static WEFT_ALWAYS_INLINE bool weft_exceptions_any(
    const struct weft_exceptions *thread) {
    return thread != NULL && (thread->caught != NULL || thread->uncaught != 0);
}

/* Moves them to `*out`; the thread has none then. Context: its thread. */
static WEFT_ALWAYS_INLINE void weft_exceptions_take(
    struct weft_exceptions *thread, struct weft_exceptions *out) {
    out->caught = NULL;
    out->uncaught = 0;
    if (weft_exceptions_any(thread)) {
        out->caught = thread->caught;
        out->uncaught = thread->uncaught;
        thread->caught = NULL;
        thread->uncaught = 0;
    }
}

/* Moves what was taken, perhaps on another thread, to this one, which has none.
 * Context: its thread. */
static WEFT_ALWAYS_INLINE void weft_exceptions_put(
    struct weft_exceptions *thread, const struct weft_exceptions *taken) {
    if (weft_exceptions_any(taken)) {
        thread->caught = taken->caught;
        thread->uncaught = taken->uncaught;
    }
}

#ifdef __cplusplus
}
#endif

#endif
