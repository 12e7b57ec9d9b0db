/* SPDX-License-Identifier: MIT */
/* A task may wait with C++ exceptions in flight: in a catch block, in a
 * destructor that one of them runs. Pinned tasks may, too (pin_test.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/exceptions.h"
#include "tests/storm.h"

enum { MOVES = 50 };

/* Alone no task can be moved, among four workers each is at times: the first to
 * be free takes who waits. */
static void on_one_worker_and_on_four(void (*first)(void *)) {
    exceptions_need_moves(0);
    storm_run(1, 10000, first, NULL);
    exceptions_need_moves(MOVES);
    storm_run(4, 10000, first, NULL);
}

static void what_is_caught_comes_through_a_wait(void **state) {
    on_one_worker_and_on_four(wait_in_catch);
}

static void what_is_thrown_again_after_a_wait_is_the_same(void **state) {
    on_one_worker_and_on_four(wait_and_throw_again);
}

static void each_of_nested_catches_has_its_own(void **state) {
    on_one_worker_and_on_four(wait_in_nested_catches);
}

static void destructors_that_wait_know_how_many_are_on_their_way(void **state) {
    on_one_worker_and_on_four(wait_while_unwinding);
}

static void an_exception_may_be_in_two_tasks_hands(void **state) {
    on_one_worker_and_on_four(wait_with_anothers_exception);
}

static void interruptions_change_nothing(void **state) {
    exceptions_need_moves(0);
    storm_run(1, 100, wait_in_all_ways, NULL);
    exceptions_need_moves(MOVES);
    storm_run(3, 100, wait_in_all_ways, NULL);
}

static void what_a_jump_leaves_is_nobodys(void **state) {
    storm_run(1, 10000, jump_out_of_catch, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_caught_comes_through_a_wait),
        cmocka_unit_test(what_is_thrown_again_after_a_wait_is_the_same),
        cmocka_unit_test(each_of_nested_catches_has_its_own),
        cmocka_unit_test(destructors_that_wait_know_how_many_are_on_their_way),
        cmocka_unit_test(an_exception_may_be_in_two_tasks_hands),
        cmocka_unit_test(interruptions_change_nothing),
        cmocka_unit_test(what_a_jump_leaves_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
