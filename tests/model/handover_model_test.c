/* SPDX-License-Identifier: MIT */
/* The mailbox (preempt/handover.c) in the checker: a thing goes to and fro
 * between two threads, each of which owns a box, as a processor does. Sleeps
 * may end for no reason and, where a deadline is given, at any moment.
 *
 * Checked: the thing arrives, each time, with all that was done to it before
 * (it is plain memory); nobody sleeps while his box is full; a time-out loses
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "model.h"
#include "weft/base/check.h"
#include "weft/preempt/handover.h"

static struct weft_handover boxes[2];
static struct thing { uint64_t trips; } thing;

/* Waits for the thing; with a deadline first, which may be over at once. */
static struct thing *wait(int me) {
    struct thing *got = NULL;
    if (model_arg() > 0) {
        got = weft_handover_wait(&boxes[me], 1);
    }
    return got != NULL ? got : weft_handover_wait(&boxes[me], WEFT_FOREVER);
}

static void receive(int me, uint64_t trips) {
    struct thing *got = wait(me);
    WEFT_CHECK_OP(got, ==, &thing);
    WEFT_CHECK_OP(got->trips, ==, trips);
    got->trips++;
}

static void first(void) {
    thing.trips = 1;
    weft_handover_give(&boxes[1], &thing);
    receive(0, 2);
    weft_handover_give(&boxes[1], &thing);
}

static void second(void) {
    receive(1, 1);
    weft_handover_give(&boxes[0], &thing);
    receive(1, 3);
}

static void set_up(void) {
    weft_handover_init(&boxes[0]);
    weft_handover_init(&boxes[1]);
    thing.trips = 0;
    model_name(boxes, sizeof(boxes), "box");
    model_name(&thing, sizeof(thing), "thing");
}

static void check(void) {
    WEFT_CHECK_OP(thing.trips, ==, 4u);
    WEFT_CHECK(weft_handover_poll(&boxes[0]) == NULL);
    WEFT_CHECK(weft_handover_poll(&boxes[1]) == NULL);
}

static const struct model_scenario scenarios[] = {
    {
        .name = "to and fro",
        .set_up = set_up,
        .threads = {first, second},
        .check = check,
        .preemptions = MODEL_ALL,
        .stale = 2,
        .spurious = 1,
    },
    {
        .name = "with deadlines",
        .set_up = set_up,
        .threads = {first, second},
        .check = check,
        .preemptions = MODEL_ALL,
        .stale = 1,
        .arg = 1,
    },
};

static void every_interleaving_hands_over(void **state) {
    model_expect_right(&scenarios[0]);
}

static void a_timeout_at_any_step_loses_nothing(void **state) {
    model_expect_right(&scenarios[1]);
}

static void every_order_is_needed(void **state) {
    model_expect_all_needed(scenarios, 2, NULL, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_interleaving_hands_over),
        cmocka_unit_test(a_timeout_at_any_step_loses_nothing),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
