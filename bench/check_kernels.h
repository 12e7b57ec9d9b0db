/* SPDX-License-Identifier: MIT */
/* Loops as users write them, in C, each built in three ways: as it is, with a
 * weft_check() in each innermost loop, with checks that the compiler inserts.
 */
#ifndef WEFT_BENCH_CHECK_KERNELS_H_
#define WEFT_BENCH_CHECK_KERNELS_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHECK_KERNELS(way)                                             \
    /* `rounds` steps, each of which needs the one before. */          \
    uint64_t check_chain_##way(uint64_t rounds);                       \
    /* Sums up; vectorised where nothing is in the way. */             \
    uint64_t check_sum_##way(const uint32_t *numbers, uint64_t count); \
    /* Quicksort, recursive. */                                        \
    void check_sort_##way(uint32_t *numbers, uint64_t count);          \
    /* Counts to `rounds`, and nothing else. */                        \
    void check_count_##way(uint64_t rounds);

CHECK_KERNELS(plain)
CHECK_KERNELS(written)
CHECK_KERNELS(inserted)

#ifdef __cplusplus
}
#endif

#endif
