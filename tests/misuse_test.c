/* SPDX-License-Identifier: MIT */
/* Misuse of sched's and io's calls that no error can answer stops the program
 * with a sentence: what was wrong, in which task, and what to do. (What sync's
 * calls say stands in their own tests, what becomes of pthread_exit() and of
 * fork() in sched/ends_test.c, of pins in pin_test.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/sched/park.h"
#include "weft/sync/testing.h"
#include "weft/weft.h"

static void *nothing(void *arg) {
    return arg;
}

static void *stay(void *arg) {
    (void)weft_sleep(100 * WEFT_S);
    return arg;
}

static struct weft_task *spawn(void *(*fn)(void *)) {
    struct weft_task *t;
    WEFT_CHECK_OP(weft_spawn(&t, fn, NULL, NULL), ==, 0);
    return t;
}

static void joins_twice(void *arg) {
    struct weft_task *t = spawn(nothing);
    (void)arg;
    WEFT_CHECK_OP(weft_join(t, NULL), ==, 0);
    (void)weft_join(t, NULL);
}

static void joins_what_is_detached(void *arg) {
    struct weft_task *t = spawn(stay);
    (void)arg;
    WEFT_CHECK_OP(weft_detach(t), ==, 0);
    (void)weft_join(t, NULL);
}

static void detaches_twice(void *arg) {
    struct weft_task *t = spawn(stay);
    (void)arg;
    WEFT_CHECK_OP(weft_detach(t), ==, 0);
    (void)weft_detach(t);
}

static void detaches_what_was_joined(void *arg) {
    struct weft_task *t = spawn(nothing);
    (void)arg;
    WEFT_CHECK_OP(weft_join(t, NULL), ==, 0);
    (void)weft_detach(t);
}

static void a_handle_is_given_up_once(void **state) {
    (void)state;
    weft_test_stops(joins_twice, true, "\"main\" uses a handle that is gone");
    weft_test_stops(joins_what_is_detached, true, "uses a handle that is gone");
    weft_test_stops(detaches_twice, true, "uses a handle that is gone");
    weft_test_stops(detaches_what_was_joined, true,
                    "uses a handle that is gone");
}

static void enables_alone(void *arg) {
    (void)arg;
    weft_preempt_enable();
}

static void waits_disabled(void *arg) {
    (void)arg;
    weft_preempt_disable();
    (void)weft_sleep(WEFT_MS);
}

static void ends_disabled(void *arg) {
    (void)arg;
    weft_preempt_disable();
}

static void disabling_goes_in_pairs_around_no_wait(void **state) {
    (void)state;
    weft_test_stops(enables_alone, true, "enable once for each disable");
    weft_test_stops(waits_disabled, true,
                    "task \"main\" waits (sleep) after weft_preempt_disable(); "
                    "enable before");
    weft_test_stops(ends_disabled, true, "enable on each way out");
}

static void waits_outside(void *arg) {
    (void)arg;
    (void)weft_park(WEFT_FOREVER, "anything");
}

static void releases_alone(void *arg) {
    (void)arg;
    weft_clock_release();
}

static void unpins_alone(void *arg) {
    (void)arg;
    weft_unpin_thread();
}

static void what_has_no_partner_says_which(void **state) {
    (void)state;
    weft_test_stops(waits_outside, false, "outside a task; start one");
    weft_test_stops(releases_alone, true, "hold it first");
    weft_test_stops(releases_alone, false, "hold it first");
    weft_test_stops(unpins_alone, true, "unpin once for each pin");
}

static void reads_into_a_byte(void *arg) {
    struct weft_reader reader;
    char buffer[1];
    (void)arg;
    weft_reader_init(&reader, 0, buffer, sizeof buffer);
}

static void writes_from_nothing(void *arg) {
    struct weft_writer writer;
    (void)arg;
    weft_writer_init(&writer, 1, NULL, 0);
}

static void a_buffer_has_room_for_something(void **state) {
    (void)state;
    weft_test_stops(reads_into_a_byte, false,
                    "weft_reader_init: a buffer of 1 bytes; give it");
    weft_test_stops(writes_from_nothing, false,
                    "weft_writer_init: a buffer of 0 bytes; give it");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_is_given_up_once),
        cmocka_unit_test(disabling_goes_in_pairs_around_no_wait),
        cmocka_unit_test(what_has_no_partner_says_which),
        cmocka_unit_test(a_buffer_has_room_for_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
