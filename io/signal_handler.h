/* SPDX-License-Identifier: MIT */
/* The handler's half of signal_channel.c, which tells the protocol. */
#ifndef WEFT_IO_SIGNAL_HANDLER_H_
#define WEFT_IO_SIGNAL_HANDLER_H_

#include <stdatomic.h>

#define WEFT_SIGNALS 65 /* 1 to 64 */

/* Where a signal goes. */
struct weft_signal_route {
    _Atomic int to;      /* any thread: the writing end + 1; 0: none */
    _Atomic int waiting; /* any thread: 1: in the pipe */
};

extern struct weft_signal_route weft_signal_routes[WEFT_SIGNALS];
extern _Atomic int weft_signal_inside; /* handlers that may use a `to` */
extern _Atomic int weft_signal_owner;  /* the process that opened last */

/* The handler of all of them. */
void weft_signal_handle(int number);

#endif
