/* SPDX-License-Identifier: MIT */
/* False sharing: a word that many write does not lie in the cache line of one
 * that others read all the time. docs/scaling.md has what each costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weft/base/compiler.h"
#include "weft/sched/core.h"

#define LINE(type, member) (offsetof(struct type, member) / WEFT_CACHE_LINE)

/* The last line that `member` lies in. */
#define LAST(type, member)                                                 \
    ((offsetof(struct type, member) + sizeof(((struct type *)0)->member) - \
      1) /                                                                 \
     WEFT_CACHE_LINE)

static void processors_share_no_line(void **state) {
    (void)state;
    assert_int_equal(sizeof(struct weft_processor) % WEFT_CACHE_LINE, 0);
    assert_int_equal(_Alignof(struct weft_processor), WEFT_CACHE_LINE);
}

/* Others read these; the owner writes them at each switch. Their lines hold
 * nothing that others write often. */
static void counters_timers_and_the_monitors_words_are_apart(void **state) {
    (void)state;
    assert_true(LINE(weft_processor, spawned) > LAST(weft_processor, brood));
    assert_true(LINE(weft_processor, timer_lock) >
                LAST(weft_processor, adopted));
    assert_true(LINE(weft_processor, seen_seq) > LAST(weft_processor, timers));
}

/* What every wake reads (is anybody idle, does anybody search) and what every
 * pick reads (is a queue of all empty). */
static void what_all_read_is_apart_from_what_locks_write(void **state) {
    (void)state;
    assert_true(LINE(weft_runtime, idle) > LAST(weft_runtime, monitor));
    assert_true(LINE(weft_runtime, global) > LAST(weft_runtime, idle));
    assert_true(LINE(weft_global, lock) > LINE(weft_global, length));
    assert_true(LINE(weft_runtime, high) > LAST(weft_runtime, global));
    assert_true(LINE(weft_runtime, hogs) > LAST(weft_runtime, high));
    assert_true(LINE(weft_runtime, tight) > LAST(weft_runtime, held));
    assert_true(LINE(weft_runtime, poll_until) > LAST(weft_runtime, cap_said));
}

#if WEFT_RECORD_APART
/* Which of a record's lines, which lie far from one another. */
#define PART(member) \
    (offsetof(struct weft_task, member) / WEFT_RECORDS_DISTANCE)
#define LAST_BYTE(member)                 \
    (offsetof(struct weft_task, member) + \
     sizeof(((struct weft_task *)0)->member) - 1)

/* A birth, a run, an end and a join write a line of the record; with a million
 * of them each line is 64 MB to and from memory, three times. A wait touches a
 * second one, a name or a stack of its own size the third. */
static void a_task_that_never_waits_has_one_line(void **state) {
    (void)state;
    assert_true(LAST_BYTE(keeps) < WEFT_CACHE_LINE - sizeof(uint64_t));
    assert_int_equal(PART(joiner), 0);
    assert_int_equal(PART(fn), 0);
    assert_int_equal(PART(value), 0);
    assert_int_equal(PART(id), 0);
    assert_int_equal(PART(token), 0);
    assert_int_equal(PART(state), 0);
    assert_int_equal(PART(why), 1);
    assert_int_equal(PART(gate), 1);
    assert_int_equal(PART(timer), 1);
    assert_int_equal(PART(carried), 1);
    assert_true(LAST_BYTE(home) < WEFT_RECORDS_DISTANCE + WEFT_CACHE_LINE);
    assert_int_equal(PART(name), 2);
    assert_int_equal(PART(stack), 2);
}
#endif

/* Each push and pick reads the number of processors and the configuration, each
 * look for work whether the runtime ends. */
static void what_is_fixed_is_apart_from_what_is_not(void **state) {
    (void)state;
    assert_int_equal(offsetof(struct weft_runtime, config), 0);
    assert_true(LINE(weft_runtime, records) > LAST(weft_runtime, keeps));
    assert_true(LINE(weft_runtime, foreign_spawned) >
                LAST(weft_runtime, stopped));
    assert_true(LINE(weft_runtime, stopping) > LAST(weft_runtime, last_poll));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processors_share_no_line),
        cmocka_unit_test(counters_timers_and_the_monitors_words_are_apart),
        cmocka_unit_test(what_all_read_is_apart_from_what_locks_write),
        cmocka_unit_test(what_is_fixed_is_apart_from_what_is_not),
#if WEFT_RECORD_APART
        cmocka_unit_test(a_task_that_never_waits_has_one_line),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
