/* SPDX-License-Identifier: MIT */
/* Each round needs the one before it (a multiplication and an addition), so
 * that no compiler and no CPU can run two of them at a time. */
#include "weft/demo_http/burn.h"

#include <time.h>

__attribute__((noinline)) uint64_t http_burn(uint64_t rounds) {
    uint64_t x = rounds | 1;
    for (uint64_t i = 0; i < rounds; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        __asm__ volatile("" : "+r"(x)); /* no shortcut to the last value */
    }
    return x;
}

static uint64_t cpu_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

uint64_t http_burn_calibrate(void) {
    uint64_t rounds = 10000;
    uint64_t best = 0; /* rounds per ms */
    for (int good = 0; good < 5;) {
        uint64_t start = cpu_ns();
        http_burn(rounds);
        uint64_t ns = cpu_ns() - start;
        if (ns < 2000000) {
            rounds *= 2; /* too short to be timed well */
            continue;
        }
        uint64_t rate = (uint64_t)((double)rounds * 1e6 / (double)ns);
        best = rate > best ? rate : best;
        good++;
    }
    return best > 0 ? best : 1;
}

__attribute__((noinline)) uint64_t http_fib(unsigned n) {
    return n < 2 ? n : http_fib(n - 1) + http_fib(n - 2);
}
