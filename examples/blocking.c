/* SPDX-License-Identifier: MIT */
/* Guide, step 9: a library that knows nothing of weft and blocks its thread;
 * the other tasks go on. */
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "weft/weft.h"

/* Somebody else's: slow, and asleep in the kernel meanwhile. */
static int slow_square(int n) {
    struct timespec ts = {.tv_nsec = 50000000};
    nanosleep(&ts, NULL);
    return n * n;
}

/* The call as weft_blocking() wants it: one argument, which holds the answer.
 */
struct call {
    int n, answer;
};

static void *call(void *arg) {
    struct call *c = arg;
    c->answer = slow_square(c->n);
    return NULL;
}

static void *ask(void *arg) {
    weft_blocking(call, arg);
    return NULL;
}

/* The C library blocks, too: a name takes a look-up. */
static void *look_up(void *name) {
    struct addrinfo *found = NULL;
    const char *result = getaddrinfo(name, NULL, NULL, &found) == 0 ? name : "";
    if (found != NULL) {
        freeaddrinfo(found);
    }
    return (void *)result;
}

static _Atomic int ticks;

static void *tick(void *arg) {
    while (weft_sleep(WEFT_MS) == 0) {
        atomic_fetch_add_explicit(&ticks, 1, memory_order_relaxed);
    }
    return arg;
}

/* An example has nowhere to go without memory. */
static void need(int error) {
    if (error != 0) {
        fprintf(stderr, "%s\n", strerror(-error));
        exit(1);
    }
}

static void first(void *arg) {
    struct call calls[4] = {{.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}};
    struct weft_task *clock, *tasks[4];
    (void)arg;
    need(weft_spawn(&clock, tick, NULL, NULL));
    for (int i = 0; i < 4; i++) {
        need(weft_spawn(&tasks[i], ask, &calls[i], NULL));
    }
    for (int i = 0; i < 4; i++) {
        weft_join(tasks[i], NULL);
        printf("%d times %d is %d\n", calls[i].n, calls[i].n, calls[i].answer);
    }
    printf("found: %s\n", (char *)weft_blocking(look_up, "127.0.0.1"));
    puts(atomic_load_explicit(&ticks, memory_order_relaxed) > 0
             ? "the clock ticked meanwhile"
             : "the clock stood still");
    weft_cancel(clock);
    weft_join(clock, NULL);
}

int main(void) {
    struct weft_config config = {.workers = 1};
    return weft_run(&config, first, NULL) == 0 ? 0 : 1;
}
