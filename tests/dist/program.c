/* SPDX-License-Identifier: MIT */
/* What dist_test.sh compiles against the tarball, without Bazel: one worker, a
 * task that never lets go of it, and two that talk beside it. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "weft/io/address.h"
#include "weft/weft.h"

static _Atomic int done;
static struct weft_channel *channel;

static void spin(void *arg) {
    (void)arg;
    while (!atomic_load_explicit(&done, memory_order_relaxed)) {
        weft_check();
    }
}

static void *count(void *arg) {
    for (int i = 1; i <= 3; i++) {
        weft_sleep(WEFT_MS);
        weft_channel_send(channel, &i);
    }
    weft_channel_close(channel);
    return arg;
}

static void first(void *arg) {
    struct weft_task *counter;
    int number, *sum = arg;
    weft_channel_new(&channel, 1, sizeof number);
    weft_go(spin, NULL);
    weft_spawn(&counter, count, NULL, NULL);
    while (weft_channel_recv(channel, &number) == 0) {
        *sum += number;
    }
    weft_join(counter, NULL);
    weft_channel_free(channel);
    atomic_store_explicit(&done, 1, memory_order_relaxed);
}

int main(void) {
    struct weft_config config = {.workers = 1};
    struct sockaddr_storage address;
    int sum = 0;
    if (strcmp(weft_version(), WEFT_VERSION) != 0 ||
        weft_address_parse("127.0.0.1:80", &address) < 0 ||
        weft_run(&config, first, &sum) != 0) {
        return 1;
    }
    printf("weft %s: %d\n", weft_version(), sum);
    return sum == 6 ? 0 : 1;
}
