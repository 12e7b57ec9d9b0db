/* SPDX-License-Identifier: MIT */
/* All of weft: a runtime, a task, two channels, and time. */
#include <stdio.h>

#include "doubler.h"
#include "weft/weft.h"

static void first(void *arg) {
    int *sum = arg;
    struct doubler d;
    weft_channel_new(&d.in, 0, sizeof(int));
    weft_channel_new(&d.out, 0, sizeof(int));
    if (doubler_start(&d) != 0) {
        return;
    }
    for (int i = 1; i <= 10; i++) {
        int twice;
        weft_channel_send(d.in, &i);
        weft_channel_recv(d.out, &twice);
        *sum += twice;
    }
    weft_channel_close(d.in);
    int nothing;
    while (weft_channel_recv(d.out, &nothing) == 0) {
    }
    weft_sleep(WEFT_MS);
    weft_channel_free(d.in);
    weft_channel_free(d.out);
}

int main(void) {
    int sum = 0;
    if (weft_run(NULL, first, &sum) != 0) {
        return 1;
    }
    printf("twice 1 to 10: %d\n", sum);
    return sum == 110 ? 0 : 1;
}
