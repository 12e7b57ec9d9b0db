/* SPDX-License-Identifier: MIT */
/* What a channel promises, one sentence each; storms are in
 * channel_race_test.c.
 */
#include "weft/sync/channel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/testing.h"

static struct weft_channel *make(size_t capacity) {
    struct weft_channel *ch = NULL;
    WEFT_CHECK_OP(weft_channel_new(&ch, capacity, sizeof(int)), ==, 0);
    WEFT_CHECK_OP(weft_channel_cap(ch), ==, capacity);
    return ch;
}

/* One call of a task: which one, and how it ended. */
struct call {
    struct weft_channel *ch;
    int value;
    uint64_t deadline;
};

static void *sends(void *arg) {
    struct call *call = arg;
    return (void *)(intptr_t)weft_channel_send_until(call->ch, &call->value,
                                                     call->deadline);
}

static void *receives(void *arg) {
    struct call *call = arg;
    return (void *)(intptr_t)weft_channel_recv_until(call->ch, &call->value,
                                                     call->deadline);
}

static struct weft_task *start(void *(*fn)(void *), struct call *call,
                               struct weft_channel *ch, int value) {
    *call = (struct call){ch, value, WEFT_FOREVER};
    struct weft_task *task = weft_test_spawn(fn, call);
    weft_test_await_waiting(task);
    return task;
}

static int received(struct weft_channel *ch) {
    int value = -1;
    WEFT_CHECK_OP(weft_channel_recv(ch, &value), ==, 0);
    return value;
}

static void buffered(void *arg) {
    struct weft_channel *ch = make(3);
    int value = -1;
    WEFT_CHECK_OP(weft_channel_try_recv(ch, &value), ==, -EAGAIN);
    WEFT_CHECK_OP(weft_channel_recv_until(ch, &value, 1), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(value, ==, -1);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++) {
            WEFT_CHECK_OP(weft_channel_len(ch), ==, (size_t)i);
            WEFT_CHECK_OP(weft_channel_send(ch, &i), ==, 0);
        }
        value = 99;
        WEFT_CHECK_OP(weft_channel_try_send(ch, &value), ==, -EAGAIN);
        WEFT_CHECK_OP(weft_channel_send_until(ch, &value, 1), ==, -ETIMEDOUT);
        WEFT_CHECK_OP(received(ch), ==, 0);
        value = 3;
        WEFT_CHECK_OP(weft_channel_try_send(ch, &value), ==, 0);
        WEFT_CHECK_OP(weft_channel_try_recv(ch, &value), ==, 0);
        WEFT_CHECK_OP(value, ==, 1);
        WEFT_CHECK_OP(received(ch), ==, 2);
        WEFT_CHECK_OP(received(ch), ==, 3);
    }
    WEFT_CHECK_OP(weft_channel_len(ch), ==, 0u);
    weft_channel_free(ch);
}

static void values_come_out_in_the_order_they_went_in(void **state) {
    weft_test_run(buffered, NULL);
}

static void full(void *arg) {
    struct weft_channel *ch = make(2);
    struct weft_task *tasks[3];
    struct call calls[3];
    for (int i = 0; i < 2; i++) {
        WEFT_CHECK_OP(weft_channel_send(ch, &i), ==, 0);
    }
    for (int i = 0; i < 3; i++) {
        tasks[i] = start(sends, &calls[i], ch, 2 + i);
    }
    for (int i = 0; i < 5; i++) {
        int value = 99;
        WEFT_CHECK_OP(weft_channel_try_send(ch, &value), ==,
                      i < 4 ? -EAGAIN : 0);
        WEFT_CHECK_OP(received(ch), ==, i);
        if (i < 3) {
            WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, 0);
            WEFT_CHECK_OP(weft_channel_len(ch), ==, 2u);
        }
    }
    weft_channel_free(ch);
}

static void senders_that_wait_are_served_before_those_that_come(void **state) {
    weft_test_run(full, NULL);
}

static void empty(void *arg) {
    for (size_t capacity = 0; capacity < 3; capacity++) {
        struct weft_channel *ch = make(capacity);
        struct weft_task *tasks[3];
        struct call calls[3];
        for (int i = 0; i < 3; i++) {
            tasks[i] = start(receives, &calls[i], ch, -1);
        }
        for (int i = 0; i < 3; i++) {
            int value = 10 + i;
            WEFT_CHECK_OP(weft_channel_try_send(ch, &value), ==, 0);
            /* Straight into the receiver's hands. */
            WEFT_CHECK_OP(weft_channel_len(ch), ==, 0u);
        }
        for (int i = 0; i < 3; i++) {
            WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, 0);
            WEFT_CHECK_OP(calls[i].value, ==, 10 + i);
        }
        weft_channel_free(ch);
    }
}

static void receivers_that_wait_are_served_in_their_order(void **state) {
    weft_test_run(empty, NULL);
}

static void unbuffered(void *arg) {
    struct weft_channel *ch = make(0);
    struct call calls[2];
    int value = 5;
    WEFT_CHECK_OP(weft_channel_try_send(ch, &value), ==, -EAGAIN);
    WEFT_CHECK_OP(weft_channel_send_until(ch, &value, 1), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_channel_try_recv(ch, &value), ==, -EAGAIN);
    struct weft_task *first = start(sends, &calls[0], ch, 6);
    struct weft_task *second = start(sends, &calls[1], ch, 7);
    WEFT_CHECK_OP(weft_channel_len(ch), ==, 0u);
    WEFT_CHECK_OP(received(ch), ==, 6);
    WEFT_CHECK_OP(weft_test_join(first), ==, 0);
    WEFT_CHECK(weft_task_state(second) == WEFT_TASK_WAITING);
    WEFT_CHECK_OP(weft_channel_try_recv(ch, &value), ==, 0);
    WEFT_CHECK_OP(value, ==, 7);
    WEFT_CHECK_OP(weft_test_join(second), ==, 0);
    weft_channel_free(ch);
}

static void without_a_buffer_a_send_waits_for_its_receiver(void **state) {
    weft_test_run(unbuffered, NULL);
}

static void drained(void *arg) {
    struct weft_channel *ch = make(2);
    struct call call;
    int value = 1;
    WEFT_CHECK_OP(weft_channel_send(ch, &value), ==, 0);
    value = 2;
    WEFT_CHECK_OP(weft_channel_send(ch, &value), ==, 0);
    struct weft_task *sender = start(sends, &call, ch, 3);
    WEFT_CHECK(!weft_channel_closed(ch));
    WEFT_CHECK_OP(weft_channel_close(ch), ==, 0);
    WEFT_CHECK(weft_channel_closed(ch));
    WEFT_CHECK_OP(weft_channel_close(ch), ==, -EALREADY);
    WEFT_CHECK_OP(weft_test_join(sender), ==, -EPIPE);
    WEFT_CHECK_OP(weft_channel_send(ch, &value), ==, -EPIPE);
    WEFT_CHECK_OP(weft_channel_try_send(ch, &value), ==, -EPIPE);
    WEFT_CHECK_OP(received(ch), ==, 1);
    WEFT_CHECK_OP(weft_channel_try_recv(ch, &value), ==, 0);
    WEFT_CHECK_OP(value, ==, 2);
    WEFT_CHECK_OP(weft_channel_recv(ch, &value), ==, -EPIPE);
    WEFT_CHECK_OP(weft_channel_try_recv(ch, &value), ==, -EPIPE);
    WEFT_CHECK_OP(weft_channel_recv_until(ch, &value, 1), ==, -EPIPE);
    WEFT_CHECK_OP(value, ==, 2);
    weft_channel_free(ch);
}

static void a_closed_channel_gives_out_what_it_holds_first(void **state) {
    weft_test_run(drained, NULL);
}

static void closing_wakes(void *arg) {
    enum { TASKS = 2 * WEFT_WAIT_BATCH + 3 };
    static struct weft_task *tasks[TASKS];
    static struct call calls[TASKS];
    for (int side = 0; side < 2; side++) {
        struct weft_channel *ch = make(0);
        for (int i = 0; i < TASKS; i++) {
            tasks[i] = start(side == 0 ? sends : receives, &calls[i], ch, i);
        }
        WEFT_CHECK_OP(weft_channel_close(ch), ==, 0);
        for (int i = 0; i < TASKS; i++) {
            WEFT_CHECK_OP(weft_test_join(tasks[i]), ==, -EPIPE);
            WEFT_CHECK_OP(calls[i].value, ==, i);
        }
        weft_channel_free(ch);
    }
}

static void closing_wakes_all_senders_and_all_receivers(void **state) {
    weft_test_run(closing_wakes, NULL);
}

static void gives_up(void *arg) {
    struct weft_channel *ch = make(1);
    struct call calls[2];
    struct weft_task *first = start(receives, &calls[0], ch, -1);
    struct weft_task *second = start(receives, &calls[1], ch, -1);
    int value = 8;
    weft_cancel(first);
    WEFT_CHECK_OP(weft_test_join(first), ==, -ECANCELED);
    WEFT_CHECK_OP(calls[0].value, ==, -1);
    WEFT_CHECK_OP(weft_channel_send(ch, &value), ==, 0);
    WEFT_CHECK_OP(weft_test_join(second), ==, 0);
    WEFT_CHECK_OP(calls[1].value, ==, 8);

    WEFT_CHECK_OP(weft_channel_send(ch, &value), ==, 0);
    first = start(sends, &calls[0], ch, 9);
    second = start(sends, &calls[1], ch, 10);
    weft_cancel(first);
    WEFT_CHECK_OP(weft_test_join(first), ==, -ECANCELED);
    WEFT_CHECK_OP(received(ch), ==, 8);
    WEFT_CHECK_OP(weft_test_join(second), ==, 0);
    WEFT_CHECK_OP(received(ch), ==, 10);

    uint64_t soon = weft_now() + WEFT_MS;
    WEFT_CHECK_OP(weft_channel_recv_until(ch, &value, soon), ==, -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= soon);
    weft_channel_free(ch);
}

static void who_gives_up_neither_sends_nor_receives(void **state) {
    weft_test_run(gives_up, NULL);
}

static void *works_when_cancelled(void *arg) {
    struct weft_channel *ch = arg;
    int value = 4;
    while (!weft_cancelled()) {
        weft_yield();
    }
    WEFT_CHECK_OP(weft_channel_send(ch, &value), ==, 0);
    WEFT_CHECK_OP(weft_channel_send(ch, &value), ==, -ECANCELED);
    WEFT_CHECK_OP(weft_channel_recv(ch, &value), ==, 0);
    WEFT_CHECK_OP(weft_channel_recv(ch, &value), ==, -ECANCELED);
    return NULL;
}

static void cancelled(void *arg) {
    struct weft_channel *ch = make(1);
    struct weft_task *task = weft_test_spawn(works_when_cancelled, ch);
    weft_cancel(task);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
    weft_channel_free(ch);
}

static void a_cancelled_task_may_do_what_needs_no_wait(void **state) {
    weft_test_run(cancelled, NULL);
}

struct big {
    char bytes[1000];
};

static void sizes(void *arg) {
    struct weft_channel *ch = NULL;
    struct big in, out;
    WEFT_CHECK_OP(weft_channel_new(&ch, 3, sizeof(in)), ==, 0);
    for (int i = 0; i < 20; i++) {
        memset(&in, i, sizeof(in));
        WEFT_CHECK_OP(weft_channel_send(ch, &in), ==, 0);
        WEFT_CHECK_OP(weft_channel_recv(ch, &out), ==, 0);
        WEFT_CHECK_OP(memcmp(&in, &out, sizeof(in)), ==, 0);
    }
    weft_channel_free(ch);

    WEFT_CHECK_OP(weft_channel_new(&ch, 2, 0), ==, 0);
    WEFT_CHECK_OP(weft_channel_send(ch, NULL), ==, 0);
    WEFT_CHECK_OP(weft_channel_send(ch, NULL), ==, 0);
    WEFT_CHECK_OP(weft_channel_try_send(ch, NULL), ==, -EAGAIN);
    WEFT_CHECK_OP(weft_channel_recv(ch, NULL), ==, 0);
    WEFT_CHECK_OP(weft_channel_len(ch), ==, 1u);
    weft_channel_free(ch);

    WEFT_CHECK_OP(weft_channel_new(&ch, SIZE_MAX / 2, 4), ==, -ENOMEM);
    WEFT_CHECK_OP(weft_channel_new(&ch, SIZE_MAX, 1), ==, -ENOMEM);
    weft_channel_free(NULL);
}

static void values_may_have_any_size(void **state) {
    weft_test_run(sizes, NULL);
}

static struct weft_channel *done_alone;

static void from_outside(void *arg) {
    struct weft_channel *ch = arg;
    int value = 21;
    WEFT_CHECK_OP(weft_channel_send(ch, &value), ==, 0); /* to the receiver */
    WEFT_CHECK_OP(weft_channel_recv_until(ch, &value, 0), ==, -ETIMEDOUT);
    value = 22;
    WEFT_CHECK_OP(weft_channel_send(ch, &value), ==, 0);
    WEFT_CHECK_OP(weft_channel_send_until(ch, &value, 0), ==, -ETIMEDOUT);
    value = 0;
    WEFT_CHECK_OP(weft_channel_recv(ch, &value), ==, 0);
    WEFT_CHECK_OP(value, ==, 22);
    WEFT_CHECK_OP(weft_channel_send(done_alone, &value), ==, 0);
    /* Sums up what comes until the end. */
    int sum = 0;
    while (weft_channel_recv(ch, &value) == 0) {
        sum += value;
    }
    WEFT_CHECK_OP(sum, ==, 4950);
}

static void *goes_outside(void *arg) {
    weft_test_foreign(from_outside, arg);
    return NULL;
}

static void foreign(void *arg) {
    struct weft_channel *ch = make(1);
    struct call call;
    struct weft_task *task = start(receives, &call, ch, -1);
    int value = 0;
    done_alone = make(0);
    struct weft_task *outside = weft_test_spawn(goes_outside, ch);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
    WEFT_CHECK_OP(call.value, ==, 21);
    WEFT_CHECK_OP(weft_channel_recv(done_alone, &value), ==, 0);
    for (int i = 0; i < 100; i++) {
        WEFT_CHECK_OP(weft_channel_send_until(ch, &i, WEFT_FOREVER - 1), ==, 0);
    }
    WEFT_CHECK_OP(weft_channel_close(ch), ==, 0);
    WEFT_CHECK_OP(weft_test_join(outside), ==, 0);
    weft_channel_free(done_alone);
    weft_channel_free(ch);
}

static void a_foreign_thread_waits_as_a_task_does(void **state) {
    weft_test_run(foreign, NULL);
}

static void frees_too_early(void *arg) {
    struct call call;
    struct weft_channel *ch = make(0);
    start(receives, &call, ch, 0);
    weft_channel_free(ch);
}

static void freeing_it_under_a_waiter_stops_with_a_sentence(void **state) {
    weft_test_stops(frees_too_early, true, "1 tasks wait in the channel");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_out_in_the_order_they_went_in),
        cmocka_unit_test(senders_that_wait_are_served_before_those_that_come),
        cmocka_unit_test(receivers_that_wait_are_served_in_their_order),
        cmocka_unit_test(without_a_buffer_a_send_waits_for_its_receiver),
        cmocka_unit_test(a_closed_channel_gives_out_what_it_holds_first),
        cmocka_unit_test(closing_wakes_all_senders_and_all_receivers),
        cmocka_unit_test(who_gives_up_neither_sends_nor_receives),
        cmocka_unit_test(a_cancelled_task_may_do_what_needs_no_wait),
        cmocka_unit_test(values_may_have_any_size),
        cmocka_unit_test(a_foreign_thread_waits_as_a_task_does),
        cmocka_unit_test(freeing_it_under_a_waiter_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
