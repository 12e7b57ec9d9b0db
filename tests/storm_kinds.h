/* SPDX-License-Identifier: MIT */
/* What the storm and its kinds of tasks have in common. A task does one thing
 * of its kind after the other until kind_goes_on() says no. */
#ifndef WEFT_TESTS_STORM_KINDS_H_
#define WEFT_TESTS_STORM_KINDS_H_

#include <stdbool.h>

enum { STORM_KINDS = 16 };

/* Counts the progress of task `me`; false when it shall end. */
bool kind_goes_on(unsigned me);

/* Computes for a while, interruptibly. */
void kind_burns(unsigned rounds);

/* The same for who holds a lock of libc: never gives way by itself, since it
 * might go on on another thread. */
void kind_burns_locked(unsigned rounds);

static inline unsigned storm_random(unsigned *seed) {
    *seed = *seed * 1103515245U + 12345U;
    return *seed >> 8;
}

/* The kinds that are busy in libc; `count` locks of each sort for them. The end
 * looks at what they have printed. Context: cmocka's thread. */
void libc_kinds_begin(int count);
void libc_kinds_end(void);

void use_malloc(unsigned me);
void fail_and_look(unsigned me);
void print_lines(unsigned me);
void lock_twice(unsigned me);
void hold_a_lock(unsigned me);

#endif
