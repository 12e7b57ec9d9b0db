/* SPDX-License-Identifier: MIT */
/* Something that is to be done once, by whoever comes first; the others wait
 * until it is done. It may fail, and then the next one tries.
 *
 *     static struct weft_once loaded;
 *     error = weft_once_run(&loaded, load, "/etc/motd");
 */
#ifndef WEFT_SYNC_ONCE_H_
#define WEFT_SYNC_ONCE_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/sync/wait_list.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zeroes is a thing not done yet. The memory may go when no call is under
 * way any more. */
struct weft_once {
    WEFT_SYNC_ATOMIC(uint32_t) state; /* see once.c */
    struct weft_task *runner;         /* under the list's lock */
    struct weft_wait_list waiters;
};

/* clang-format off */
#define WEFT_ONCE_INIT {0}
/* clang-format on */

/* Unless it has been done: calls `fn(arg)`, or waits while another caller does.
 * It is done when a call returned 0. Returns 0 when it is done, and what `fn`
 * did is seen; what `fn` returned otherwise, to the one that called it (the
 * next that waits then calls its own `fn`); or -ECANCELED when it would have to
 * wait and the calling task was cancelled. Stops the program when `fn` itself
 * runs the same once in the same task, which would wait for itself. One load
 * when it is done.
 * Context: any thread; a task may switch, another thread blocks. */
int weft_once_run(struct weft_once *o, int (*fn)(void *), void *arg);

/* The same, and -ETIMEDOUT when another's call has not ended at `deadline`,
 * -ENOMEM when no timer could be had. */
int weft_once_run_until(struct weft_once *o, int (*fn)(void *), void *arg,
                        uint64_t deadline);

/* Whether it is done. Context: any thread, does not switch. */
bool weft_once_is_done(const struct weft_once *o);

#ifdef __cplusplus
}
#endif

#endif
