/* SPDX-License-Identifier: MIT */
/* The mailbox's word is 0 (empty), SLEEPER (empty, and the owner sleeps on it)
 * or the value itself. A value is aligned to 2 bytes, so it is neither.
 *
 *     giver                            owner
 *     1. old = exchange(word, value)   a. word: 0 -> SLEEPER by CAS
 *     2. old == SLEEPER: wake          b. sleep while the word is SLEEPER
 *                                      c. else: value = word; word = 0
 *
 *     0 ------- giver -> value     SLEEPER - giver -> value, and a wake-up
 *     0 ------- owner -> SLEEPER   SLEEPER - owner -> 0, at a deadline
 *     value --- owner -> 0         who may move the word; all but the last
 *                                  by read-modify-write
 *
 * 1 before a: the CAS fails and the owner goes to c at once. 1 after a: the
 * giver sees SLEEPER and wakes; if the owner has not begun to sleep, the kernel
 * finds that the word is not SLEEPER any more and does not let it. A time-out
 * takes SLEEPER back by CAS; where that fails, 1 was first and c follows. After
 * 1 the giver does nothing but wake the address: a late wake-up is one that
 * nobody needed. tests/model/handover_model_test.c runs this file in every
 * interleaving.
 *
 * The kernel looks at 32 bits, the half of the word that is 1 in SLEEPER and,
 * by the alignment, in no value.
 *
 * Tried and dropped: the value in one word and "somebody sleeps" in another.
 * Whatever is stored second tells the truth too late for somebody: an earlier
 * form of this protocol published the thing before the note of who has it, and
 * lost processors. Dropped as well: a condition variable. Its mutex is a libc
 * lock, and a handler may have interrupted its holder. */
#include "weft/preempt/handover.h"

#include <errno.h>
#include <stddef.h>

#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/base/futex.h"
#include "weft/base/relax.h"

#define SLEEPER ((uintptr_t)1)

/* About 1 us. A look costs little beside a futex round trip, but on one CPU
 * the giver cannot run meanwhile, and most waits are as long as somebody
 * else's quantum. Measured by bench/preempt_bench.cc, busy machine, ns:
 *     spins   handover/same_cpu   handover/other_cpu
 *         0        4,600 to 4,800    41,000 to 101,000
 *        32        2,800 to 4,400     12,000 to 24,000
 *       200       8,900 to 23,000                  160 */
#ifndef WEFT_HANDOVER_SPINS /* the model checker asks for fewer */
#define WEFT_HANDOVER_SPINS 32
#endif

static inline _Atomic uint32_t *futex_word(struct weft_handover *handover) {
    char *word = (char *)&handover->value;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word += sizeof(handover->value) - sizeof(uint32_t);
#endif
    return (_Atomic uint32_t *)(void *)word;
}

void weft_handover_init(struct weft_handover *handover) {
    atomic_store_explicit(&handover->value, 0, memory_order_relaxed);
}

WEFT_TEXT void weft_handover_give(struct weft_handover *handover, void *value) {
    uintptr_t given = (uintptr_t)value;
    WEFT_CHECK_OP(given, !=, (uintptr_t)0);
    WEFT_CHECK_OP(given & 1, ==, (uintptr_t)0);
    /* Release: pairs with the acquire in weft_handover_poll(). */
    uintptr_t old =
        atomic_exchange_explicit(&handover->value, given, memory_order_release);
    WEFT_CHECK_OP(old, <=, SLEEPER); /* it was empty */
    if (old == SLEEPER) {
        weft_futex_wake(futex_word(handover), 1);
    }
}

WEFT_TEXT void *weft_handover_poll(struct weft_handover *handover) {
    /* Acquire: pairs with the release in weft_handover_give(). */
    uintptr_t value =
        atomic_load_explicit(&handover->value, memory_order_acquire);
    if (value <= SLEEPER) {
        return NULL;
    }
    /* Relaxed: the next giver has the right to give from somebody who had it
     * from here, so it comes after this store. */
    atomic_store_explicit(&handover->value, 0, memory_order_relaxed);
    return (void *)value;
}

WEFT_TEXT void *weft_handover_wait(struct weft_handover *handover,
                                   uint64_t deadline) {
    for (int i = 0; i < WEFT_HANDOVER_SPINS; i++) {
        void *value = weft_handover_poll(handover);
        if (value != NULL) {
            return value;
        }
        weft_relax();
    }
    uintptr_t seen = 0;
    if (!atomic_compare_exchange_strong_explicit(&handover->value, &seen,
                                                 SLEEPER, memory_order_relaxed,
                                                 memory_order_relaxed)) {
        return weft_handover_poll(handover);
    }
    for (;;) {
        int result =
            weft_futex_wait(futex_word(handover), (uint32_t)SLEEPER, deadline);
        void *value = weft_handover_poll(handover);
        if (value != NULL) {
            return value;
        }
        seen = SLEEPER;
        if (result == -ETIMEDOUT &&
            atomic_compare_exchange_strong_explicit(&handover->value, &seen, 0,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed)) {
            return NULL;
        }
    }
}
