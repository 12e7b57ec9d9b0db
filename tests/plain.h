/* SPDX-License-Identifier: MIT */
/* Code as users write it: it knows nothing of weft. It is built with checks
 * that the compiler inserts, and is to be interruptible without signals. */
#ifndef WEFT_TESTS_PLAIN_H_
#define WEFT_TESTS_PLAIN_H_

#include <stdatomic.h>
#include <stdint.h>

/* Until *stop is not 0. */
void plain_spin(const _Atomic int *stop);

/* The same by `goto`, and with a body; returns how often. */
uint64_t plain_goto(const _Atomic int *stop);
uint64_t plain_count(const _Atomic int *stop);

/* Calls close(-1) until *stop is not 0; how often errno was not what it set,
 * although some lines are between the two. */
uint64_t plain_errno(const _Atomic int *stop);

/* Sorts numbers again and again until *stop is not 0, with a comparator that is
 * slow; how often they were not sorted. */
uint64_t plain_sort(const _Atomic int *stop);

/* Adds up doubles in eight variables; how often the sums were wrong. */
uint64_t plain_sums(const _Atomic int *stop);

#endif
