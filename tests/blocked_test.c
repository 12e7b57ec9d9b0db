/* SPDX-License-Identifier: MIT */
/* Threads that sleep in the kernel, with the runtime told and without: the
 * others run meanwhile, and the sleepers go on when they wake. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/check.h"

static void *nap(void *ns) {
    struct timespec ts = {.tv_nsec = (long)(uintptr_t)ns};
    while (nanosleep(&ts, &ts) != 0) {
        WEFT_CHECK_OP(errno, ==, EINTR);
    }
    return ns;
}

/* The monitor, which saw the first nap, takes the processor at the moment at
 * which the task gives it up itself. */
static void *nap_secretly_then_openly(void *index) {
    uintptr_t rounds = 0;
    while (!storm_over()) {
        nap((void *)(uintptr_t)(40000 + 5000 * ((rounds + (uintptr_t)index) % 8)));
        WEFT_CHECK_OP(weft_blocking(nap, (void *)60000), ==, (void *)60000);
        rounds++;
    }
    return (void *)rounds;
}

static void a_call_that_blocks_openly_may_follow_one_that_did_not(
    void **state) {
    assert_int_not_equal(
        storm_tasks(1, 50, 8, 300, nap_secretly_then_openly), 0);
    assert_int_not_equal(
        storm_tasks(2, 50, 8, 300, nap_secretly_then_openly), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_blocks_openly_may_follow_one_that_did_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
