/* SPDX-License-Identifier: MIT */
/* Waiting for the first of several channels.
 *
 *     struct weft_select_case cases[] = {
 *         weft_select_recv(jobs, &job),
 *         weft_select_send(results, &result),
 *     };
 *     switch (weft_select(cases, 2)) {
 *     case 0: ...   a job came, or cases[0].result is -EPIPE
 *     case 1: ...   the result was taken
 *     default: ...  -ECANCELED
 *     }
 *
 * One case is done, the others are as if they had never been there. Where
 * several could be, each has the same chance. A deadline is
 * weft_select_until(), the default of Go's select is weft_try_select(). */
#ifndef WEFT_SYNC_SELECT_H_
#define WEFT_SYNC_SELECT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/sync/channel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One case; made by the two functions below, and good for one select after
 * another. `result` is the caller's to read, the rest is select.c's. */
struct weft_select_case {
    int result; /* of the case that was done: 0, or -EPIPE as its channel says
                 */
    uint32_t lock_order, look_order; /* places in two orders of all cases */
    struct weft_channel *channel;
    struct weft_channel_party party;
};

/* Sends a copy of `*value`, which may change until then; receives into
 * `*value`. A NULL channel is a case that is never done: one that is switched
 * off for now. Context: anywhere. */
static inline struct weft_select_case weft_select_send(struct weft_channel *ch,
                                                       const void *value) {
    struct weft_select_case c;
    c.result = 0;
    c.channel = ch;
    c.party.from = value;
    c.party.to = NULL;
    c.party.sender = true;
    return c;
}

static inline struct weft_select_case weft_select_recv(struct weft_channel *ch,
                                                       void *value) {
    struct weft_select_case c;
    c.result = 0;
    c.channel = ch;
    c.party.from = NULL;
    c.party.to = value;
    c.party.sender = false;
    return c;
}

/* Waits until one of `n` cases can be done, does it, and returns its index; the
 * case's `result` says how, as weft_channel_send() and _recv() would: 0, or
 * -EPIPE on a closed channel. The same channel may be in several cases; a
 * select never meets itself. None of the channels may be freed before it has
 * returned.
 *
 * Returns -ECANCELED when it would have to wait and the calling task was
 * cancelled; then, as after each error, nothing was sent or received. Without
 * cases it waits for that. It takes no memory; all channels are locked at once
 * for a moment: meant for some tens of cases.
 * Context: any thread; a task may switch, another thread blocks. */
int weft_select(struct weft_select_case *cases, int n);

/* The same, and -ETIMEDOUT at `deadline`, -ENOMEM when no timer could be had. A
 * case that can be done is done whatever the deadline. */
int weft_select_until(struct weft_select_case *cases, int n, uint64_t deadline);

/* The same without waiting: -EAGAIN when no case could be done, all looked at
 * in one moment. Context: any thread; may switch when it wakes somebody. */
int weft_try_select(struct weft_select_case *cases, int n);

#ifdef __cplusplus
}
#endif

#endif
