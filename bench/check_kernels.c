/* SPDX-License-Identifier: MIT */
/* Compiled three times: CHECK_WAY says as what, CHECK() is what stands in each
 * innermost loop. */
#include "weft/bench/check_kernels.h"

#include "weft/sched/task.h"

#define NAME_(kernel, way)   check_##kernel##_##way
#define NAME_OF(kernel, way) NAME_(kernel, way)
#define NAME(kernel)         NAME_OF(kernel, CHECK_WAY)

#ifdef CHECK_WRITTEN
#define CHECK() weft_check()
#else
#define CHECK() (void)0
#endif

uint64_t NAME(chain)(uint64_t rounds) {
    uint64_t x = 88172645463325252;
    for (uint64_t i = 0; i < rounds; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        CHECK();
    }
    return x;
}

uint64_t NAME(sum)(const uint32_t *numbers, uint64_t count) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += numbers[i];
        CHECK();
    }
    return sum;
}

void NAME(sort)(uint32_t *numbers, uint64_t count) {
    while (count > 1) {
        uint32_t pivot = numbers[count / 2];
        uint64_t i = 0, j = count - 1;
        for (;;) {
            while (numbers[i] < pivot) {
                i++;
                CHECK();
            }
            while (numbers[j] > pivot) {
                j--;
                CHECK();
            }
            if (i >= j) {
                break;
            }
            uint32_t other = numbers[i];
            numbers[i++] = numbers[j];
            numbers[j--] = other;
        }
        NAME(sort)(numbers, i);
        numbers += i;
        count -= i;
    }
}

/* The empty assembly is the loop's only content, so that it is one. */
void NAME(count)(uint64_t rounds) {
    for (uint64_t i = 0; i < rounds; i++) {
        __asm__ volatile("");
        CHECK();
    }
}
