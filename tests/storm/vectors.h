/* SPDX-License-Identifier: MIT */
/* A kernel that works with vectors of one width, and a check of its results. */
#ifndef WEFT_TESTS_STORM_VECTORS_H_
#define WEFT_TESTS_STORM_VECTORS_H_

#include <stdint.h>
#include <string.h>

#include "tests/storm/kind.h"
#include "weft/base/check.h"

enum { VECTOR_NUMBERS = 1024, VECTOR_TURNS = 8 };

struct vector_sums {
    uint32_t whole;
    float broken;
};

/* Defines `struct vector_sums name(const uint32_t *, const float *)`, which
 * adds VECTOR_NUMBERS numbers of each by vectors of `bytes`. */
#define VECTOR_KERNEL(name, bytes, attribute)                       \
    attribute static struct vector_sums name(const uint32_t *whole, \
                                             const float *broken) { \
        typedef uint32_t ints __attribute__((vector_size(bytes)));  \
        typedef float floats __attribute__((vector_size(bytes)));   \
        enum { LANES = (bytes) / 4 };                               \
        ints isum[2] = {{0}, {0}};                                  \
        floats fsum[2] = {{0}, {0}};                                \
        for (int i = 0; i < VECTOR_NUMBERS; i += LANES) {           \
            ints n;                                                 \
            floats f;                                               \
            memcpy(&n, whole + i, sizeof n);                        \
            memcpy(&f, broken + i, sizeof f);                       \
            isum[i / LANES % 2] += n * 3U;                          \
            fsum[i / LANES % 2] += f * 0.5F;                        \
        }                                                           \
        ints iall = isum[0] + isum[1];                              \
        floats fall = fsum[0] + fsum[1];                            \
        struct vector_sums sums = {0, 0};                           \
        for (int i = 0; i < LANES; i++) {                           \
            sums.whole += iall[i];                                  \
            sums.broken += fall[i];                                 \
        }                                                           \
        return sums;                                                \
    }

/* Small numbers, so that floats add up exactly in any order. */
static inline void check_sums(struct storm_task *self,
                              struct vector_sums (*sum)(const uint32_t *,
                                                        const float *)) {
    uint32_t whole[VECTOR_NUMBERS];
    float broken[VECTOR_NUMBERS];
    uint32_t expected = 0;
    for (int i = 0; i < VECTOR_NUMBERS; i++) {
        whole[i] = storm_random(self) % 1024;
        broken[i] = (float)whole[i];
        expected += whole[i];
    }
    for (int i = 0; i < VECTOR_TURNS; i++) {
        struct vector_sums sums = sum(whole, broken);
        WEFT_CHECK_OP(sums.whole, ==, 3 * expected);
        WEFT_CHECK(sums.broken == (float)expected * 0.5F);
    }
}

#endif
