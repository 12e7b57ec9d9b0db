/* SPDX-License-Identifier: MIT */
#include "weft/preempt/returns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weft/arch/context.h"
#include "weft/preempt/thread.h"

static struct weft_context here, there;
static int result_there;

static WEFT_NOINLINE WEFT_RETURNS_ELSEWHERE int noted(int value) {
    weft_returns_note();
    return value;
}

static WEFT_NOINLINE WEFT_RETURNS_ELSEWHERE int not_noted(int value) {
    __asm__ volatile("" : "+r"(value));
    return value;
}

/* Gives way to the other flow, and goes on when that one does. */
static WEFT_NOINLINE WEFT_RETURNS_ELSEWHERE int wait(struct weft_context *me,
                                                     struct weft_context *next,
                                                     int value) {
    weft_returns_note();
    weft_context_switch(me, next);
    return value;
}

/* Some of these are kept in registers that `wait` has to keep. */
static int sum(struct weft_context *me, struct weft_context *next) {
    int a = 1, b = 2, c = 3, d = 4, e = 5;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
    for (int i = 0; i < 1000; i++) {
        a += wait(me, next, 1);
        b += wait(me, next, 2);
    }
    return a + b + c + d + e;
}

static void sum_there(void *arg) {
    (void)arg;
    result_there = sum(&there, &here);
    weft_context_exit(&there, &here);
}

static void they_return_to_their_caller_without_a_thread(void **state) {
    assert_null(weft_thread_self());
    assert_int_equal(not_noted(3), 3);
}

static void they_return_to_their_caller_whatever_the_note(void **state) {
    struct weft_thread thread;
    weft_thread_enter(&thread);
    assert_int_equal(not_noted(3), 3); /* none */
    for (int i = 0; i < 3; i++) {      /* this place, another, this place */
        assert_int_equal(noted(4), 4);
        assert_int_equal(not_noted(5), 5);
        assert_int_equal(noted(6), 6);
    }
    weft_thread_leave();
}

static void two_flows_that_wait_here_and_there_return_each_to_its_own(
    void **state) {
    static _Alignas(16) char stack[256 * 1024];
    struct weft_thread thread;
    weft_thread_enter(&thread);
    weft_context_adopt(&here);
    weft_context_init(&there, stack, sizeof stack, sum_there, NULL);
    assert_int_equal(wait(&here, &there, 7), 7); /* a third place */
    assert_int_equal(sum(&here, &there), 3015);
    assert_int_equal(result_there, 3015); /* it has ended */
    weft_context_fini(&there);
    weft_thread_leave();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_return_to_their_caller_without_a_thread),
        cmocka_unit_test(they_return_to_their_caller_whatever_the_note),
        cmocka_unit_test(
            two_flows_that_wait_here_and_there_return_each_to_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
