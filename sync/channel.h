/* SPDX-License-Identifier: MIT */
/* Channels: values of one size, from any number of senders to any number of
 * receivers, in the order in which they were sent.
 *
 * A channel of capacity n holds up to n values that nobody has received yet;
 * one of capacity 0 holds none, and a send waits until a receiver takes the
 * value. Waiting senders are served in their order, and so are waiting
 * receivers; a value for which a receiver waits is copied straight to it.
 *
 * Closing: sends fail with -EPIPE from then on, and so do those that wait,
 * their values unsent. Receivers first get what is in the channel, then -EPIPE.
 *
 * Values are copied with preemption off: send pointers to what is larger than
 * some kilobytes. */
#ifndef WEFT_SYNC_CHANNEL_H_
#define WEFT_SYNC_CHANNEL_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/sync/wait_list.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_channel;

/* One that waits in a channel: sync's own, here because a case of a select is
 * one (select.h). */
struct weft_channel_party {
    struct weft_waiter waiter;
    const void *from; /* a sender's value */
    void *to;         /* where a receiver wants it */
    bool sender;
};

/* Makes a channel for `capacity` values of `size` bytes (0 and more; of size 0
 * only the event is passed) and puts it into `*out`. Returns 0, or -ENOMEM,
 * also when capacity times size is out of range. Context: any thread, does not
 * switch. */
int weft_channel_new(struct weft_channel **out, size_t capacity, size_t size);

/* Frees it, with the values that are in it. Nobody may wait in it (the program
 * stops then) or use it any more. NULL does nothing. Context: any thread. */
void weft_channel_free(struct weft_channel *ch);

/* Sends a copy of the value at `value`. Returns 0 when it is in the channel or
 * with a receiver; -EPIPE when the channel is closed; -ECANCELED when it would
 * have to wait and the calling task was cancelled; -ETIMEDOUT at the deadline,
 * -ENOMEM when no timer could be had. After an error the value was not sent.
 * Context: any thread; a task may switch, another thread blocks. */
int weft_channel_send(struct weft_channel *ch, const void *value);
int weft_channel_send_until(struct weft_channel *ch, const void *value,
                            uint64_t deadline);

/* The same without waiting: 0, -EAGAIN when the channel is full (with capacity
 * 0: when no receiver waits), -EPIPE. Context: any thread; may switch when it
 * wakes a receiver. */
int weft_channel_try_send(struct weft_channel *ch, const void *value);

/* Receives the oldest value into `*value`. Returns 0; -EPIPE when the channel
 * is closed and empty; -ECANCELED, -ETIMEDOUT, -ENOMEM as for a send. After an
 * error `*value` is as it was. Context as for a send. */
int weft_channel_recv(struct weft_channel *ch, void *value);
int weft_channel_recv_until(struct weft_channel *ch, void *value,
                            uint64_t deadline);

/* The same without waiting: 0, -EAGAIN when there is nothing, -EPIPE. Context:
 * any thread; may switch when it wakes a sender. */
int weft_channel_try_recv(struct weft_channel *ch, void *value);

/* Closes it. Returns 0, or -EALREADY when it was closed before. Context: any
 * thread, may switch. */
int weft_channel_close(struct weft_channel *ch);

/* How many values are in it, a snapshot, and how many fit.
 * Context: any thread. */
size_t weft_channel_len(const struct weft_channel *ch);
size_t weft_channel_cap(const struct weft_channel *ch);

/* True once it is closed. Context: any thread. */
bool weft_channel_closed(const struct weft_channel *ch);

#ifdef __cplusplus
}
#endif

#endif
