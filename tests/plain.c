/* SPDX-License-Identifier: MIT */
#include "tests/plain.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline int is_over(const _Atomic int *stop) {
    return atomic_load_explicit(stop, memory_order_relaxed);
}

void plain_spin(const _Atomic int *stop) {
    while (!is_over(stop)) {
    }
}

uint64_t plain_goto(const _Atomic int *stop) {
    uint64_t n = 0;
again:
    n++;
    if (!is_over(stop)) {
        goto again;
    }
    return n;
}

uint64_t plain_count(const _Atomic int *stop) {
    uint64_t n = 1;
    do {
        for (unsigned i = 0; i < 10000; i++) {
            n = n * 3 + i;
        }
    } while (!is_over(stop));
    return n | 1;
}

uint64_t plain_errno(const _Atomic int *stop) {
    uint64_t wrong = 0;
    volatile unsigned x = 0;
    while (!is_over(stop)) {
        errno = 0;
        close(-1);
        for (unsigned i = 0; i < 50; i++) {
            x = x + i;
        }
        wrong += errno != EBADF;
    }
    return wrong;
}

enum { NUMBERS = 100 };

static int compare(const void *a, const void *b) {
    int x = *(const int *)a;
    int y = *(const int *)b;
    volatile int slow = 0;
    while (slow < 20) {
        slow = slow + 1;
    }
    return x < y ? -1 : x > y;
}

uint64_t plain_sort(const _Atomic int *stop) {
    uint64_t wrong = 0;
    unsigned seed = 1;
    while (!is_over(stop)) {
        int numbers[NUMBERS];
        for (int i = 0; i < NUMBERS; i++) {
            seed = seed * 1103515245 + 12345;
            numbers[i] = (int)(seed >> 8);
        }
        qsort(numbers, NUMBERS, sizeof *numbers, compare);
        for (int i = 1; i < NUMBERS; i++) {
            wrong += numbers[i - 1] > numbers[i];
        }
    }
    return wrong;
}

uint64_t plain_sums(const _Atomic int *stop) {
    uint64_t wrong = 0;
    while (!is_over(stop)) {
        double a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
        for (int i = 1; i <= 1000; i++) {
            a += i, b += 2 * i, c += 3 * i, d += 4 * i;
            e += 5 * i, f += 6 * i, g += 7 * i, h += 8 * i;
        }
        wrong += a != 500500 || b != 2 * a || c != 3 * a || d != 4 * a ||
                 e != 5 * a || f != 6 * a || g != 7 * a || h != 8 * a;
    }
    return wrong;
}
