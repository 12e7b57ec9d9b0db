/* SPDX-License-Identifier: MIT */
/* Guide, step 4: computing on all processors: a merge sort whose halves are
 * tasks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/weft.h"

#define COUNT 300000

struct range {
    unsigned *values, *room; /* `room` is as large, for merging */
    size_t count;
};

static int compare(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static void merge(const struct range *left, const struct range *right,
                  unsigned *out) {
    size_t i = 0, j = 0;
    while (i < left->count && j < right->count) {
        *out++ = right->values[j] < left->values[i] ? right->values[j++]
                                                    : left->values[i++];
    }
    memcpy(out, left->values + i, (left->count - i) * sizeof *out);
    out += left->count - i;
    memcpy(out, right->values + j, (right->count - j) * sizeof *out);
}

static void *sort(void *arg) {
    struct range *all = arg;
    if (all->count < 5000) { /* a task for less would cost more than it saves */
        qsort(all->values, all->count, sizeof *all->values, compare);
        return NULL;
    }
    size_t half = all->count / 2;
    struct range left = {all->values, all->room, half};
    struct range right = {all->values + half, all->room + half,
                          all->count - half};
    struct weft_task *task;
    if (weft_spawn(&task, sort, &left, NULL) == 0) {
        sort(&right);
        weft_join(task, NULL); /* `left` lives on this stack until then */
    } else {
        sort(&left);
        sort(&right);
    }
    merge(&left, &right, all->room);
    memcpy(all->values, all->room, all->count * sizeof *all->values);
    return NULL;
}

static void first(void *arg) {
    struct range all = {calloc(COUNT, sizeof(unsigned)),
                        calloc(COUNT, sizeof(unsigned)), COUNT};
    unsigned random = 1;
    size_t wrong = 0;
    (void)arg;
    if (all.values != NULL && all.room != NULL) {
        for (size_t i = 0; i < COUNT; i++) {
            random = random * 1664525u + 1013904223u;
            all.values[i] = random;
        }
        sort(&all);
        for (size_t i = 1; i < COUNT; i++) {
            wrong += all.values[i - 1] > all.values[i];
        }
        printf("%d numbers, %zu in the wrong place\n", COUNT, wrong);
    }
    free(all.values);
    free(all.room);
}

int main(void) {
    return weft_run(NULL, first, NULL) == 0 ? 0 : 1;
}
