/* SPDX-License-Identifier: MIT */
#include "doubler.h"

static void work(void *arg) {
    struct doubler *d = arg;
    int number;
    while (weft_channel_recv(d->in, &number) == 0) {
        weft_check();
        number *= 2;
        weft_channel_send(d->out, &number);
    }
    weft_channel_close(d->out);
}

int doubler_start(struct doubler *d) {
    return weft_go(work, d);
}
