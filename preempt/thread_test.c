/* SPDX-License-Identifier: MIT */
#include "weft/preempt/thread.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/arch/context.h"
#include "weft/preempt/thread_quick.h"

static void *ask_self(void *arg) {
    return weft_thread_self();
}

static void a_thread_knows_itself_and_others_do_not(void **state) {
    struct weft_thread thread;
    pthread_t other;
    void *answer = &thread;
    assert_null(weft_thread_self());
    weft_thread_enter(&thread);
    assert_ptr_equal(weft_thread_self(), &thread);
    assert_int_equal(thread.tid, syscall(SYS_gettid));
    assert_int_equal(pthread_create(&other, NULL, ask_self, NULL), 0);
    pthread_join(other, &answer);
    assert_null(answer);
    weft_thread_leave();
    assert_null(weft_thread_self());
}

static struct weft_context flow, home[2];
static struct weft_thread *asked[3];

static void ask_on_two_threads(void *arg) {
    asked[0] = weft_thread_self_quickly();
    asked[1] = weft_thread_self_quickly();
    weft_context_switch(&flow, &home[0]);
    asked[2] = weft_thread_self_quickly();
    weft_context_exit(&flow, &home[1]);
}

static void *go_on_with_flow(void *arg) {
    weft_thread_enter(arg);
    weft_context_adopt(&home[1]);
    weft_context_switch(&home[1], &flow);
    weft_thread_leave();
    return NULL;
}

/* The compiler must not keep the answer, or where it stood, over a switch. */
static void one_that_changes_threads_is_told_the_new_one(void **state) {
    static _Alignas(16) char stack[256 * 1024];
    struct weft_thread here, there;
    pthread_t other;
    weft_thread_enter(&here);
    weft_context_adopt(&home[0]);
    weft_context_init(&flow, stack, sizeof stack, ask_on_two_threads, NULL);
    weft_context_switch(&home[0], &flow);
    assert_int_equal(pthread_create(&other, NULL, go_on_with_flow, &there), 0);
    pthread_join(other, NULL);
    weft_context_fini(&flow);
    weft_thread_leave();
    assert_ptr_equal(asked[0], &here);
    assert_ptr_equal(asked[1], &here);
    assert_ptr_equal(asked[2], &there);
}

static void a_thread_enters_with_its_gate_closed(void **state) {
    struct weft_thread thread;
    weft_thread_enter(&thread);
    assert_true(weft_gate_is_closed(&thread.gate));
    assert_false(weft_gate_open(&thread.gate));
    weft_gate_close(&thread.gate);
    weft_thread_leave();
}

static void leaving_does_not_wait_for_ever_for_a_swallowed_signal(
    void **state) {
    struct weft_thread thread;
    weft_thread_enter(&thread);
    atomic_store_explicit(&thread.in_flight, 1, memory_order_relaxed);
    weft_thread_leave();
    assert_int_equal(
        atomic_load_explicit(&thread.in_flight, memory_order_relaxed),
        WEFT_THREAD_LEFT);
}

static void a_note_is_taken_once(void **state) {
    struct weft_thread thread;
    weft_thread_enter(&thread);
    assert_false(weft_thread_take_asked(&thread));
    assert_true(weft_thread_ask(&thread));
    assert_false(weft_thread_ask(&thread));
    assert_true(weft_anybody_asked());
    assert_true(weft_thread_take_asked(&thread));
    assert_false(weft_thread_take_asked(&thread));
    assert_false(weft_anybody_asked());
    weft_thread_leave();
}

static void who_leaves_takes_its_note_along(void **state) {
    struct weft_thread thread;
    weft_thread_enter(&thread);
    assert_true(weft_thread_ask(&thread));
    weft_thread_leave();
    assert_false(weft_anybody_asked());
    assert_false(weft_thread_ask(&thread));
    assert_false(weft_anybody_asked());
}

/* Two ask all the time, one takes: the word is 0 when all is over. */
enum { ASKED_ROUNDS = 20000 };

static struct weft_thread asked_thread;
static _Atomic int asking;

static void *ask_often(void *arg) {
    for (int i = 0; i < ASKED_ROUNDS; i++) {
        weft_thread_ask(&asked_thread);
    }
    atomic_fetch_sub_explicit(&asking, 1, memory_order_relaxed);
    return arg;
}

static void the_word_counts_no_note_twice(void **state) {
    pthread_t threads[2];
    uint64_t taken = 0;
    atomic_store_explicit(&asking, 2, memory_order_relaxed);
    weft_thread_enter(&asked_thread);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, NULL), 0);
    }
    while (atomic_load_explicit(&asking, memory_order_relaxed) > 0) {
        taken += weft_thread_take_asked(&asked_thread);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    taken += weft_thread_take_asked(&asked_thread);
    assert_true(taken > 0);
    assert_false(weft_anybody_asked());
    weft_thread_leave();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_knows_itself_and_others_do_not),
        cmocka_unit_test(one_that_changes_threads_is_told_the_new_one),
        cmocka_unit_test(a_thread_enters_with_its_gate_closed),
        cmocka_unit_test(leaving_does_not_wait_for_ever_for_a_swallowed_signal),
        cmocka_unit_test(a_note_is_taken_once),
        cmocka_unit_test(who_leaves_takes_its_note_along),
        cmocka_unit_test(the_word_counts_no_note_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
