/* SPDX-License-Identifier: MIT */
/* A kernel with a few descriptors, for the poller in the checker: sockets with
 * a peer, an epoll in edge-triggered mode, a kick. It is both backends of
 * poller_backend.h and answers the system calls of io.c.
 *
 * Each call of it is a step or two of its thread; others may come before and
 * after. Two locks order what is done with it, as in Linux: a socket's (a read,
 * in vain too, before a byte that comes later) and the poller's (a byte before
 * who fetches the news of it). Of an event it tells what is so when the event
 * is fetched, as epoll does. A kick hands nothing over. A call on a number that
 * has been given back is a failure, and so is to give it back twice.
 *
 * Context: scenarios. */
#ifndef WEFT_TESTS_MODEL_KERNEL_H_
#define WEFT_TESTS_MODEL_KERNEL_H_

#include <stdbool.h>
#include <stdint.h>

enum { KERNEL_NUMBERS = 2 };

/* No number is in use, no kick on its way. From set_up(). */
void kernel_reset(void);

/* So many of the next events are also the end of a registration, as io_uring's
 * may be. From set_up(). */
extern int kernel_lets_go;

/* A kernel whose locks order nothing: to see what rests on them. */
extern bool kernel_is_loose;

/* A new socket `fd` (0 to KERNEL_NUMBERS - 1) with room for so many bytes to
 * write; false when the number is in use. */
bool kernel_open(int fd, uint32_t room);
bool kernel_is_open(int fd);

/* How many sockets of that number there have been: to be awaited. */
const volatile uint32_t *kernel_opened(int fd);

/* The peer's doing: sends a byte; ends; reads, which makes room for a byte. To
 * a number that is not in use they do nothing. */
void kernel_put(int fd);
void kernel_end(int fd);
void kernel_take(int fd);

#endif
