/* SPDX-License-Identifier: MIT */
/* Guide, step 5: stages that run at the same time; a select over what may come
 * first; and an end that comes from outside, by cancelling. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/weft.h"

struct source {
    struct weft_channel *out; /* of long */
    long next, step;
};

/* Counts for ever: until it is cancelled. */
static void *count(void *arg) {
    struct source *s = arg;
    int error;
    do {
        error = weft_channel_send(s->out, &s->next);
        s->next += s->step;
    } while (error == 0);
    weft_channel_close(s->out); /* cleans up, as after any error */
    return (void *)(long)error;
}

struct merge {
    struct weft_channel *a, *b, *out;
};

/* Passes on what comes from either side, until both are closed. */
static void *merge(void *arg) {
    struct merge *m = arg;
    long a, b;
    struct weft_select_case cases[] = {
        weft_select_recv(m->a, &a),
        weft_select_recv(m->b, &b),
    };
    for (int open = 2; open > 0;) {
        int i = weft_select(cases, 2);
        if (i < 0) {
            break; /* cancelled */
        }
        if (cases[i].result == -EPIPE) {
            cases[i] = weft_select_recv(NULL, NULL); /* never again */
            open--;
        } else if (weft_channel_send(m->out, i == 0 ? &a : &b) != 0) {
            break;
        }
    }
    weft_channel_close(m->out);
    return NULL;
}

/* An example has nowhere to go without memory. */
static void need(int error) {
    if (error != 0) {
        fprintf(stderr, "%s\n", strerror(-error));
        exit(1);
    }
}

static void first(void *arg) {
    struct source odd = {.next = 1, .step = 2};
    struct source even = {.next = 2, .step = 2};
    struct merge m;
    struct weft_task *tasks[3];
    long number, last[2] = {0, -1};
    bool in_order = true;
    (void)arg;
    need(weft_channel_new(&odd.out, 0, sizeof(long)));
    need(weft_channel_new(&even.out, 0, sizeof(long)));
    need(weft_channel_new(&m.out, 4, sizeof(long)));
    m.a = odd.out;
    m.b = even.out;
    need(weft_spawn(&tasks[0], count, &odd, NULL));
    need(weft_spawn(&tasks[1], count, &even, NULL));
    need(weft_spawn(&tasks[2], merge, &m, NULL));
    for (int i = 0; i < 100; i++) {
        weft_channel_recv(m.out, &number);
        in_order = in_order && number > last[number % 2];
        last[number % 2] = number;
    }
    printf("100 numbers, each side %s\n", in_order ? "in order" : "mixed up");

    void *why;
    weft_cancel(tasks[0]); /* the sources end, so the merge does */
    weft_cancel(tasks[1]);
    while (weft_channel_recv(m.out, &number) == 0) {
    }
    weft_join(tasks[0], &why);
    printf("the source ended: %s\n",
           (long)why == -ECANCELED ? "cancelled" : "otherwise");
    weft_join(tasks[1], NULL);
    weft_join(tasks[2], NULL);
    weft_channel_free(odd.out);
    weft_channel_free(even.out);
    weft_channel_free(m.out);
}

int main(void) {
    return weft_run(NULL, first, NULL) == 0 ? 0 : 1;
}
