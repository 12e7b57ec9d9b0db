/* SPDX-License-Identifier: MIT */
/* The timer alone: a thread that ticks three times, a millisecond apart, and
 * then not before it is kicked. */
#include <stdatomic.h>
#include <stdio.h>

#include "weft/preempt/timer.h"

static _Atomic int ticks;

static uint64_t tick(void *arg, uint64_t now) {
    (void)arg;
    int n = atomic_fetch_add_explicit(&ticks, 1, memory_order_relaxed) + 1;
    return n < 3 ? now + WEFT_MS : WEFT_FOREVER;
}

static void until(int n) {
    while (atomic_load_explicit(&ticks, memory_order_relaxed) < n) {
    }
}

int main(void) {
    static struct weft_timer timer;
    struct weft_timer_config config = {.tick = tick, .name = "ticks"};
    if (weft_timer_start(&timer, &config) != 0) {
        return 1;
    }
    until(3);
    weft_timer_kick(&timer);
    until(4);
    weft_timer_stop(&timer);
    printf("%d ticks\n", ticks);
    return ticks == 4 ? 0 : 1;
}
