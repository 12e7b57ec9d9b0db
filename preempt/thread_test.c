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
    atomic_store_explicit(&thread.asked, 1, memory_order_relaxed);
    assert_true(weft_thread_take_asked(&thread));
    assert_false(weft_thread_take_asked(&thread));
    weft_thread_leave();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_knows_itself_and_others_do_not),
        cmocka_unit_test(a_thread_enters_with_its_gate_closed),
        cmocka_unit_test(leaving_does_not_wait_for_ever_for_a_swallowed_signal),
        cmocka_unit_test(a_note_is_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
