/* SPDX-License-Identifier: MIT */
/* CPU time burnt in a plain loop: no call in it, no check, nothing that a
 * scheduler could wait for.
 *
 * How long a task has run cannot be read off the wall clock, since it may be
 * interrupted, nor off the thread's CPU clock without a call. So the loop is
 * timed once at the start, and a number of its rounds stands for a millisecond.
 * The figure is the machine's best: on a CPU that slows down later the same
 * rounds take longer.
 * Context: anywhere; nothing waits, the loop is interrupted at will. */
#ifndef WEFT_DEMO_HTTP_BURN_H_
#define WEFT_DEMO_HTTP_BURN_H_

#include <stdint.h>

/* How many rounds take a millisecond of CPU here, at least 1. Takes about
 * 20 ms. */
uint64_t http_burn_calibrate(void);

/* Runs `rounds` of the loop; returns something that depends on all of them. */
uint64_t http_burn(uint64_t rounds);

/* fib(n), by calling itself as often as the naive way does. */
uint64_t http_fib(unsigned n);

#endif
