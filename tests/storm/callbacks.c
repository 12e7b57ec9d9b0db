/* SPDX-License-Identifier: MIT */
/* Functions of libc that call the user's: sorting, searching, trees. */
#define _GNU_SOURCE /* qsort_r(), tdestroy() */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "tests/storm/kind.h"
#include "weft/base/check.h"

enum { NUMBERS = 200 };

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    storm_work(20);
    return (x > y) - (x < y);
}

static int compare_downwards(const void *a, const void *b, void *calls) {
    ++*(uint64_t *)calls;
    return compare(b, a);
}

static void fill(struct storm_task *self, uint32_t numbers[NUMBERS],
                 uint64_t *sum) {
    *sum = 0;
    for (int i = 0; i < NUMBERS; i++) {
        numbers[i] = storm_random(self);
        *sum += numbers[i];
    }
}

static void sort_and_search(struct storm_task *self) {
    uint32_t numbers[NUMBERS];
    uint64_t sum, calls = 0;
    fill(self, numbers, &sum);
    qsort_r(numbers, NUMBERS, sizeof numbers[0], compare_downwards, &calls);
    WEFT_CHECK(calls >= NUMBERS - 1);
    for (int i = 1; i < NUMBERS; i++) {
        WEFT_CHECK(numbers[i - 1] >= numbers[i]);
    }
    qsort(numbers, NUMBERS, sizeof numbers[0], compare);
    for (int i = 0; i < NUMBERS; i++) {
        WEFT_CHECK(i == 0 || numbers[i - 1] <= numbers[i]);
        sum -= numbers[i];
    }
    WEFT_CHECK_OP(sum, ==, 0U);
    for (int i = 0; i < NUMBERS; i += 10) {
        const uint32_t *found =
            bsearch(&numbers[i], numbers, NUMBERS, sizeof numbers[0], compare);
        WEFT_CHECK_OP(found, !=, NULL);
        WEFT_CHECK_OP(*found, ==, numbers[i]);
    }
}

STORM_KIND(qsort_bsearch, sort_and_search, NULL, NULL);

static void leave(void *node) {
    (void)node;
}

static void grow_tree(struct storm_task *self) {
    uint32_t numbers[NUMBERS];
    uint64_t sum;
    void *root = NULL;
    fill(self, numbers, &sum);
    for (int i = 0; i < NUMBERS; i++) {
        uint32_t **node = tsearch(&numbers[i], &root, compare);
        WEFT_CHECK_OP(node, !=, NULL);
        WEFT_CHECK_OP(**node, ==, numbers[i]);
    }
    for (int i = 0; i < NUMBERS; i += 2) {
        WEFT_CHECK_OP(tfind(&numbers[i], &root, compare), !=, NULL);
    }
    tdestroy(root, leave);
}

STORM_KIND(tsearch, grow_tree, NULL, NULL);
