/* SPDX-License-Identifier: MIT */
/* Whatever waits until a time waits on the virtual clock: one sentence for each
 * kind of waiting in sync and io. None takes longer than the machine needs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/weft.h"

#define HOUR (3600 * WEFT_S)

static void run_on_both(void (*fn)(void *)) {
    for (unsigned workers = 1; workers <= 3; workers += 2) {
        const struct weft_config config = {.workers = workers,
                                           .clock = WEFT_CLOCK_VIRTUAL};
        assert_int_equal(weft_run(&config, fn, NULL), 0);
    }
}

static void tick(void *arg) {
    struct weft_ticker t;
    uint64_t began = weft_now();
    (void)arg;
    weft_ticker_init(&t, HOUR);
    for (uint64_t i = 1; i <= 1000; i++) {
        WEFT_CHECK_OP(weft_ticker_wait(&t), ==, 0);
        WEFT_CHECK_OP(weft_now(), ==, began + i * HOUR);
    }
    WEFT_CHECK_OP(weft_ticker_try_wait(&t), ==, -EAGAIN);
    WEFT_CHECK_OP(weft_ticker_wait_until(&t, weft_now() + 1), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_clock_advance(3 * HOUR), ==, 0);
    WEFT_CHECK_OP(weft_ticker_try_wait(&t), ==, 2);
}

static void a_ticker_misses_nothing(void **state) {
    (void)state;
    run_on_both(tick);
}

static void *send_later(void *ch) {
    int value = 7;
    WEFT_CHECK_OP(weft_sleep(2 * HOUR), ==, 0);
    WEFT_CHECK_OP(weft_channel_send(ch, &value), ==, 0);
    return NULL;
}

static void select_with_a_timer(void *arg) {
    struct weft_channel *ways[2];
    struct weft_task *sender;
    uint64_t began = weft_now();
    int value = 0;
    (void)arg;
    for (int i = 0; i < 2; i++) {
        WEFT_CHECK_OP(weft_channel_new(&ways[i], 0, sizeof value), ==, 0);
    }
    WEFT_CHECK_OP(weft_spawn(&sender, send_later, ways[1], NULL), ==, 0);
    struct weft_select_case cases[] = {weft_select_recv(ways[0], &value),
                                       weft_select_recv(ways[1], &value)};
    WEFT_CHECK_OP(weft_select_until(cases, 2, began + HOUR), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_now(), ==, began + HOUR);
    WEFT_CHECK_OP(weft_select_until(cases, 2, began + 3 * HOUR), ==, 1);
    WEFT_CHECK_OP(value, ==, 7);
    WEFT_CHECK_OP(weft_now(), ==, began + 2 * HOUR);
    WEFT_CHECK_OP(weft_join(sender, NULL), ==, 0);
    for (int i = 0; i < 2; i++) {
        weft_channel_free(ways[i]);
    }
}

static void a_select_waits_for_what_comes_first(void **state) {
    (void)state;
    run_on_both(select_with_a_timer);
}

static void wait_in_all_ways(void *arg) {
    struct weft_mutex m = WEFT_MUTEX_INIT;
    struct weft_condition c = WEFT_CONDITION_INIT;
    struct weft_event e = WEFT_EVENT_INIT;
    struct weft_semaphore s;
    uint64_t at = weft_now();
    (void)arg;
    weft_mutex_lock(&m);
    WEFT_CHECK_OP(weft_condition_wait_until(&c, &m, at += HOUR), ==,
                  -ETIMEDOUT);
    WEFT_CHECK_OP(weft_now(), ==, at);
    weft_mutex_unlock(&m);
    WEFT_CHECK_OP(weft_event_wait_until(&e, at += HOUR), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_now(), ==, at);
    weft_semaphore_init(&s, 0);
    WEFT_CHECK_OP(weft_semaphore_acquire_until(&s, at += HOUR), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_now(), ==, at);
}

static void conditions_events_and_semaphores_time_out(void **state) {
    (void)state;
    run_on_both(wait_in_all_ways);
}

static int work_for_long(void *arg) {
    (void)arg;
    return weft_sleep(100 * HOUR);
}

static void set_a_limit(void *arg) {
    struct weft_scope s;
    uint64_t began = weft_now();
    (void)arg;
    weft_scope_init(&s);
    for (int i = 0; i < 10; i++) {
        WEFT_CHECK_OP(weft_scope_go(&s, work_for_long, NULL), ==, 0);
    }
    WEFT_CHECK_OP(weft_scope_wait_until(&s, began + HOUR), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_now(), ==, began + HOUR);
    WEFT_CHECK_OP(weft_scope_init_until(&s, began + 2 * HOUR), ==, 0);
    WEFT_CHECK_OP(weft_scope_go(&s, work_for_long, NULL), ==, 0);
    WEFT_CHECK_OP(weft_sleep(2 * HOUR), ==, 0);
    WEFT_CHECK_OP(weft_scope_error(&s), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_scope_wait(&s), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_now(), ==, began + 3 * HOUR);
}

static void a_scope_ends_at_its_deadline(void **state) {
    (void)state;
    run_on_both(set_a_limit);
}

static int ends[2];

static void *write_later(void *arg) {
    (void)arg;
    for (char i = 0; i < 100; i++) {
        WEFT_CHECK_OP(weft_sleep(HOUR), ==, 0);
        WEFT_CHECK_OP(weft_write(ends[1], &i, 1, weft_now() + 1), ==, 1);
    }
    return NULL;
}

static void read_with_a_limit(void *arg) {
    struct weft_task *writer;
    uint64_t began = weft_now();
    char got;
    (void)arg;
    WEFT_CHECK_OP(weft_pipe(ends), ==, 0);
    WEFT_CHECK_OP(weft_read(ends[0], &got, 1, began + HOUR), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_now(), ==, began + HOUR);
    WEFT_CHECK_OP(weft_spawn(&writer, write_later, NULL, NULL), ==, 0);
    for (uint64_t i = 0; i < 100; i++) {
        /* It comes a nanosecond before the deadline, and in time. */
        uint64_t due = weft_now() + HOUR;
        WEFT_CHECK_OP(weft_read(ends[0], &got, 1, due + 1), ==, 1);
        WEFT_CHECK_OP(weft_now(), ==, due);
        WEFT_CHECK_OP((uint64_t)got, ==, i);
    }
    WEFT_CHECK_OP(weft_join(writer, NULL), ==, 0);
    weft_close(ends[0]);
    weft_close(ends[1]);
}

static void what_lies_in_a_pipe_comes_before_the_deadline(void **state) {
    (void)state;
    run_on_both(read_with_a_limit);
}

static void wait_for_a_program(void *arg) {
    char *const words[] = {"sleep", "0.01", NULL};
    uint64_t began = weft_now();
    int status = -1;
    (void)arg;
    int child = weft_process_spawn(words, NULL, NULL);
    WEFT_CHECK_OP(child, >=, 0);
    weft_clock_hold();
    WEFT_CHECK_OP(weft_process_wait(child, &status, began + 1), ==, 0);
    weft_clock_release();
    WEFT_CHECK_OP(status, ==, 0);
    WEFT_CHECK_OP(weft_now(), ==, began);
    WEFT_CHECK_OP(weft_close(child), ==, 0);
}

static void who_holds_the_clock_can_wait_for_a_program(void **state) {
    (void)state;
    run_on_both(wait_for_a_program);
}

static void *fail_to_answer(void *fd) {
    char got[64];
    WEFT_CHECK_OP(weft_read((int)(intptr_t)fd, got, sizeof got, WEFT_FOREVER),
                  ==, -ECANCELED);
    return NULL;
}

static void cancel_a_reader(void *arg) {
    struct weft_task *reader;
    (void)arg;
    WEFT_CHECK_OP(weft_pipe(ends), ==, 0);
    WEFT_CHECK_OP(
        weft_spawn(&reader, fail_to_answer, (void *)(intptr_t)ends[0], NULL),
        ==, 0);
    WEFT_CHECK_OP(weft_sleep(HOUR), ==, 0);
    weft_cancel(reader);
    WEFT_CHECK_OP(weft_join_until(reader, NULL, weft_now() + 1), ==, 0);
    weft_close(ends[0]);
    weft_close(ends[1]);
}

static void a_reader_is_cancelled_in_time(void **state) {
    (void)state;
    run_on_both(cancel_a_reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticker_misses_nothing),
        cmocka_unit_test(a_select_waits_for_what_comes_first),
        cmocka_unit_test(conditions_events_and_semaphores_time_out),
        cmocka_unit_test(a_scope_ends_at_its_deadline),
        cmocka_unit_test(what_lies_in_a_pipe_comes_before_the_deadline),
        cmocka_unit_test(who_holds_the_clock_can_wait_for_a_program),
        cmocka_unit_test(a_reader_is_cancelled_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
