/* SPDX-License-Identifier: MIT */
/* Guide, step 2: two tasks that talk by channels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/weft.h"

struct table {
    struct weft_channel *there, *back;
};

static void pong(void *arg) {
    struct table *table = arg;
    int ball;
    while (weft_channel_recv(table->there, &ball) == 0) {
        printf("pong %d\n", ball);
        weft_channel_send(table->back, &ball);
    }
    weft_channel_close(table->back);
}

static void ping(void *arg) {
    struct table *table = arg;
    for (int ball = 1; ball <= 3; ball++) {
        printf("ping %d\n", ball);
        weft_channel_send(table->there, &ball);
        weft_channel_recv(table->back, &ball);
    }
    weft_channel_close(table->there);
    int nothing; /* until the other one has closed its side, too */
    while (weft_channel_recv(table->back, &nothing) == 0) {
    }
}

/* An example has nowhere to go without memory. */
static void need(int error) {
    if (error != 0) {
        fprintf(stderr, "%s\n", strerror(-error));
        exit(1);
    }
}

static void first(void *arg) {
    struct table table;
    (void)arg;
    need(weft_channel_new(&table.there, 0, sizeof(int)));
    need(weft_channel_new(&table.back, 0, sizeof(int)));
    need(weft_go(pong, &table));
    ping(&table);
    weft_channel_free(table.there);
    weft_channel_free(table.back);
}

int main(void) {
    return weft_run(NULL, first, NULL) == 0 ? 0 : 1;
}
