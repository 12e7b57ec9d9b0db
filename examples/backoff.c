/* SPDX-License-Identifier: MIT */
/* Guide, step 10: a client that tries again, later each time, and the test of
 * it: minutes of waiting, over at once. */
#include <errno.h>
#include <stdio.h>

#include "weft/weft.h"

/* Calls `fn(arg)` until it returns other than -EAGAIN, a second after the first
 * time, then two, four, and so on; or until there is no time for another. */
static int try_until(int (*fn)(void *), void *arg, uint64_t deadline) {
    uint64_t pause = WEFT_S;
    for (;;) {
        int result = fn(arg);
        if (result != -EAGAIN) {
            return result;
        }
        if (weft_now() + pause >= deadline) {
            return -ETIMEDOUT;
        }
        result = weft_sleep(pause);
        if (result != 0) {
            return result;
        }
        pause *= 2;
    }
}

static uint64_t began;

/* A server that is there after so many minutes. */
static int ask(void *minutes) {
    uint64_t age = weft_now() - began;
    printf("  asked after %u s\n", (unsigned)(age / WEFT_S));
    return age < *(unsigned *)minutes * 60 * WEFT_S ? -EAGAIN : 0;
}

static void test(void *arg) {
    unsigned late = 3;
    unsigned never = 1000;
    (void)arg;
    puts("a server that comes up after three minutes");
    began = weft_now();
    int result = try_until(ask, &late, began + 10 * 60 * WEFT_S);
    puts(result == 0 ? "  answers" : "  does not answer");
    puts("one that does not");
    began = weft_now();
    result = try_until(ask, &never, began + 60 * WEFT_S);
    puts(result == -ETIMEDOUT ? "  is given up in time" : "  is not given up");
}

int main(void) {
    const struct weft_config config = {.clock = WEFT_CLOCK_VIRTUAL};
    return weft_run(&config, test, NULL) == 0 ? 0 : 1;
}
