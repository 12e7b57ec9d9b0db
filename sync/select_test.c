/* SPDX-License-Identifier: MIT */
/* What a select promises, one sentence each; storms are in select_race_test.c.
 */
#include "weft/sync/select.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/channel_inside.h"
#include "weft/sync/testing.h"

enum { MOST = 8 };

static struct weft_channel *ch[MOST];

/* Channels of these capacities, up to a negative one. */
static void make(const int *capacities) {
    for (int i = 0; i < MOST && capacities[i] >= 0; i++) {
        WEFT_CHECK_OP(
            weft_channel_new(&ch[i], (size_t)capacities[i], sizeof(int)), ==,
            0);
    }
}

/* Nobody is left in them. */
static void free_all(void) {
    for (int i = 0; i < MOST; i++) {
        if (ch[i] != NULL) {
            WEFT_CHECK_OP(ch[i]->waiters.count, ==, 0u);
        }
        weft_channel_free(ch[i]);
        ch[i] = NULL;
    }
}

/* A task that selects, and how that ended. */
struct call {
    struct weft_select_case cases[MOST];
    int n;
    uint64_t deadline;
    int values[MOST];
};

static void *selects(void *arg) {
    struct call *call = arg;
    return (void *)(intptr_t)weft_select_until(call->cases, call->n,
                                               call->deadline);
}

static void recv_case(struct call *call, struct weft_channel *from) {
    call->values[call->n] = -1;
    call->cases[call->n] = weft_select_recv(from, &call->values[call->n]);
    call->n++;
}

static void send_case(struct call *call, struct weft_channel *to, int value) {
    call->values[call->n] = value;
    call->cases[call->n] = weft_select_send(to, &call->values[call->n]);
    call->n++;
}

static struct weft_task *start(struct call *call) {
    call->deadline = WEFT_FOREVER;
    struct weft_task *task = weft_test_spawn(selects, call);
    weft_test_await_waiting(task);
    return task;
}

static void at_once(void *arg) {
    int in = 7, out = -1;
    make((const int[]){1, 1, -1});
    struct weft_select_case cases[] = {
        weft_select_recv(ch[0], &out),
        weft_select_send(ch[1], &in),
    };
    WEFT_CHECK_OP(weft_try_select(cases, 1), ==, -EAGAIN);
    WEFT_CHECK_OP(weft_select_until(cases, 1, 0), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_select(cases, 2), ==, 1);
    WEFT_CHECK_OP(weft_channel_len(ch[1]), ==, 1u);
    WEFT_CHECK_OP(weft_try_select(cases, 2), ==, -EAGAIN);
    WEFT_CHECK_OP(weft_channel_send(ch[0], &in), ==, 0);
    /* Whatever the deadline. */
    WEFT_CHECK_OP(weft_select_until(cases, 2, 0), ==, 0);
    WEFT_CHECK_OP(cases[0].result, ==, 0);
    WEFT_CHECK_OP(out, ==, 7);
    WEFT_CHECK_OP(weft_channel_len(ch[0]), ==, 0u);
    WEFT_CHECK_OP(weft_channel_len(ch[1]), ==, 1u);
    free_all();
}

static void a_case_that_can_be_done_is_done_at_once(void **state) {
    weft_test_run(at_once, NULL);
}

static void off(void *arg) {
    int value = 1;
    make((const int[]){1, -1});
    struct weft_select_case cases[] = {
        weft_select_recv(NULL, &value),
        weft_select_send(ch[0], &value),
        weft_select_send(NULL, &value),
    };
    WEFT_CHECK_OP(weft_try_select(cases, 3), ==, 1);
    WEFT_CHECK_OP(weft_select_until(cases, 1, weft_now() + WEFT_MS), ==,
                  -ETIMEDOUT);
    WEFT_CHECK_OP(weft_select_until(NULL, 0, 1), ==, -ETIMEDOUT);
    WEFT_CHECK_OP(weft_try_select(NULL, 0), ==, -EAGAIN);
    struct call call = {.n = 0};
    struct weft_task *task = start(&call);
    weft_cancel(task);
    WEFT_CHECK_OP(weft_test_join(task), ==, -ECANCELED);
    free_all();
}

static void a_case_without_a_channel_is_never_done(void **state) {
    weft_test_run(off, NULL);
}

static void waits(void *arg) {
    for (int capacity = 0; capacity < 2; capacity++) {
        for (int other = 0; other < 2; other++) {
            struct call call = {.n = 0};
            int value = 5;
            make((const int[]){capacity, capacity, -1});
            recv_case(&call, ch[0]);
            recv_case(&call, ch[1]);
            struct weft_task *task = start(&call);
            WEFT_CHECK_OP(weft_channel_try_send(ch[other], &value), ==, 0);
            WEFT_CHECK_OP(weft_test_join(task), ==, other);
            WEFT_CHECK_OP(call.cases[other].result, ==, 0);
            WEFT_CHECK_OP(call.values[other], ==, 5);
            WEFT_CHECK_OP(call.values[1 - other], ==, -1);
            WEFT_CHECK_OP(weft_channel_len(ch[other]), ==, 0u);
            free_all();
        }
    }
}

static void it_waits_for_the_first_that_sends(void **state) {
    weft_test_run(waits, NULL);
}

static void waits_to_send(void *arg) {
    for (int capacity = 0; capacity < 2; capacity++) {
        struct call call = {.n = 0};
        int value = 1;
        make((const int[]){capacity, capacity, -1});
        if (capacity == 1) {
            WEFT_CHECK_OP(weft_channel_send(ch[0], &value), ==, 0);
            WEFT_CHECK_OP(weft_channel_send(ch[1], &value), ==, 0);
        }
        send_case(&call, ch[0], 20);
        send_case(&call, ch[1], 21);
        struct weft_task *task = start(&call);
        for (int i = 0; i <= capacity; i++) {
            WEFT_CHECK_OP(weft_channel_try_recv(ch[1], &value), ==, 0);
        }
        WEFT_CHECK_OP(value, ==, 21);
        WEFT_CHECK_OP(weft_test_join(task), ==, 1);
        /* The other was not sent. */
        WEFT_CHECK_OP(weft_channel_len(ch[0]), ==, (size_t)capacity);
        free_all();
    }
}

static void it_waits_for_the_first_that_receives(void **state) {
    weft_test_run(waits_to_send, NULL);
}

static void closing(void *arg) {
    for (int sends = 0; sends < 2; sends++) {
        struct call call = {.n = 0};
        make((const int[]){0, 0, -1});
        recv_case(&call, ch[0]);
        if (sends) {
            send_case(&call, ch[1], 3);
        } else {
            recv_case(&call, ch[1]);
        }
        struct weft_task *task = start(&call);
        WEFT_CHECK_OP(weft_channel_close(ch[1]), ==, 0);
        WEFT_CHECK_OP(weft_test_join(task), ==, 1);
        WEFT_CHECK_OP(call.cases[1].result, ==, -EPIPE);
        WEFT_CHECK_OP(weft_select(call.cases, 2), ==, 1);
        WEFT_CHECK_OP(call.cases[1].result, ==, -EPIPE);
        free_all();
    }
}

static void a_closed_channel_is_a_case_that_can_be_done(void **state) {
    weft_test_run(closing, NULL);
}

/* Of eight, the neighbours 2, 3 and the last are ready. */
static void chances(void *arg) {
    enum { ROUNDS = 3000 };
    int done[MOST] = {0};
    struct call call = {.n = 0};
    make((const int[]){1, 1, 1, 1, 1, 1, 1, 1});
    for (int i = 0; i < MOST; i++) {
        recv_case(&call, ch[i]);
    }
    for (int i = 0; i < ROUNDS; i++) {
        int value = i;
        weft_channel_try_send(ch[2], &value);
        weft_channel_try_send(ch[3], &value);
        weft_channel_try_send(ch[7], &value);
        int which = weft_select(call.cases, MOST);
        WEFT_CHECK(which >= 0);
        done[which]++;
    }
    /* 1,000 each, with a deviation of 26. */
    WEFT_CHECK(done[2] > 800 && done[3] > 800 && done[7] > 800);
    WEFT_CHECK_OP(done[2] + done[3] + done[7], ==, ROUNDS);
    free_all();
}

static void each_case_that_can_be_done_has_the_same_chance(void **state) {
    weft_test_run(chances, NULL);
}

static void gives_up(void *arg) {
    struct call call = {.n = 0};
    int value = 1;
    make((const int[]){0, 0, 1, -1});
    WEFT_CHECK_OP(weft_channel_send(ch[2], &value), ==, 0);
    recv_case(&call, ch[0]);
    send_case(&call, ch[1], 8);
    send_case(&call, ch[2], 9);
    struct weft_task *task = start(&call);
    weft_cancel(task);
    WEFT_CHECK_OP(weft_test_join(task), ==, -ECANCELED);
    uint64_t soon = weft_now() + WEFT_MS;
    WEFT_CHECK_OP(weft_select_until(call.cases, 3, soon), ==, -ETIMEDOUT);
    WEFT_CHECK(weft_now() >= soon);
    /* Nothing came of it. */
    WEFT_CHECK_OP(weft_channel_try_send(ch[0], &value), ==, -EAGAIN);
    WEFT_CHECK_OP(weft_channel_try_recv(ch[1], &value), ==, -EAGAIN);
    WEFT_CHECK_OP(weft_channel_recv(ch[2], &value), ==, 0);
    WEFT_CHECK_OP(value, ==, 1);
    WEFT_CHECK_OP(weft_channel_len(ch[2]), ==, 0u);
    free_all();
}

static void who_gives_up_neither_sends_nor_receives(void **state) {
    weft_test_run(gives_up, NULL);
}

static void *works_when_cancelled(void *arg) {
    int value = 4;
    struct weft_select_case c = weft_select_send(ch[0], &value);
    while (!weft_cancelled()) {
        weft_yield();
    }
    WEFT_CHECK_OP(weft_select(&c, 1), ==, 0);
    WEFT_CHECK_OP(weft_select(&c, 1), ==, -ECANCELED);
    return NULL;
}

static void cancelled(void *arg) {
    make((const int[]){1, -1});
    struct weft_task *task = weft_test_spawn(works_when_cancelled, NULL);
    weft_cancel(task);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
    free_all();
}

static void a_cancelled_task_may_do_what_needs_no_wait(void **state) {
    weft_test_run(cancelled, NULL);
}

/* Each sends on one and receives on the other: crosswise, and with all on one
 * channel, where each wants to do both. */
static void crossing(void *arg) {
    for (int same = 0; same < 2; same++) {
        struct call call = {.n = 0}, mine = {.n = 0};
        make((const int[]){0, 0, -1});
        struct weft_channel *there = ch[0], *back = ch[same ? 0 : 1];
        send_case(&call, there, 11);
        recv_case(&call, back);
        struct weft_task *task = start(&call);
        send_case(&mine, back, 22);
        recv_case(&mine, there);
        int which = weft_select(mine.cases, 2);
        WEFT_CHECK_OP(weft_test_join(task), ==, 1 - which);
        if (which == 0) {
            WEFT_CHECK_OP(call.values[1], ==, 22);
        } else {
            WEFT_CHECK_OP(mine.values[1], ==, 11);
        }
        free_all();
    }
}

static void two_selects_meet_in_one_channel(void **state) {
    weft_test_run(crossing, NULL);
}

/* One that wants both, and behind it a sender and a receiver that wait: they
 * could not if they met. */
static void both(void *arg) {
    struct call call = {.n = 0};
    int value = -1;
    make((const int[]){0, -1});
    send_case(&call, ch[0], 1);
    recv_case(&call, ch[0]);
    struct weft_task *task = start(&call);
    weft_test_await_count(&ch[0]->waiters, 2);
    struct call second = {.n = 0};
    send_case(&second, ch[0], 2);
    /* The first takes it, and is gone from the list as a sender too. */
    WEFT_CHECK_OP(weft_select(second.cases, 1), ==, 0);
    WEFT_CHECK_OP(weft_test_join(task), ==, 1);
    WEFT_CHECK_OP(call.values[1], ==, 2);
    WEFT_CHECK_OP(weft_channel_try_recv(ch[0], &value), ==, -EAGAIN);

    call.n = 0;
    recv_case(&call, ch[0]);
    recv_case(&call, ch[0]);
    send_case(&call, ch[0], 3);
    task = start(&call);
    WEFT_CHECK_OP(weft_channel_try_recv(ch[0], &value), ==, 0);
    WEFT_CHECK_OP(value, ==, 3);
    WEFT_CHECK_OP(weft_test_join(task), ==, 2);
    free_all();
}

static void a_channel_may_be_in_several_cases(void **state) {
    weft_test_run(both, NULL);
}

static void *receives(void *arg) {
    int value = -1;
    WEFT_CHECK_OP(weft_channel_recv(ch[0], &value), ==, 0);
    return (void *)(intptr_t)value;
}

static void in_order(void *arg) {
    struct call call = {.n = 0};
    make((const int[]){0, 0, -1});
    recv_case(&call, ch[0]);
    recv_case(&call, ch[1]);
    struct weft_task *first = weft_test_spawn(receives, NULL);
    weft_test_await_waiting(first);
    struct weft_task *second = start(&call);
    struct weft_task *third = weft_test_spawn(receives, NULL);
    weft_test_await_waiting(third);
    for (int i = 0; i < 3; i++) {
        WEFT_CHECK_OP(weft_channel_try_send(ch[0], &i), ==, 0);
    }
    WEFT_CHECK_OP(weft_test_join(first), ==, 0);
    WEFT_CHECK_OP(weft_test_join(second), ==, 0);
    WEFT_CHECK_OP(call.values[0], ==, 1);
    WEFT_CHECK_OP(weft_test_join(third), ==, 2);
    free_all();
}

static void a_select_waits_in_its_order_like_others(void **state) {
    weft_test_run(in_order, NULL);
}

static void from_outside(void *arg) {
    struct call call = {.n = 0};
    recv_case(&call, ch[0]);
    recv_case(&call, ch[1]);
    WEFT_CHECK_OP(weft_select_until(call.cases, 2, weft_now() + WEFT_MS), ==,
                  -ETIMEDOUT);
    WEFT_CHECK_OP(weft_channel_close(ch[2]), ==, 0);
    int sum = 0;
    for (;;) {
        int which = weft_select(call.cases, 2);
        if (call.cases[which].result == -EPIPE) {
            break;
        }
        sum += call.values[which];
    }
    WEFT_CHECK_OP(sum, ==, 4950);
}

static void *goes_outside(void *arg) {
    weft_test_foreign(from_outside, NULL);
    return NULL;
}

static void foreign(void *arg) {
    int value;
    make((const int[]){0, 0, 0, -1});
    struct weft_task *task = weft_test_spawn(goes_outside, NULL);
    WEFT_CHECK_OP(weft_channel_recv(ch[2], &value), ==, -EPIPE);
    for (int i = 0; i < 100; i++) {
        WEFT_CHECK_OP(weft_channel_send(ch[i % 2], &i), ==, 0);
    }
    WEFT_CHECK_OP(weft_channel_close(ch[1]), ==, 0);
    WEFT_CHECK_OP(weft_test_join(task), ==, 0);
    free_all();
}

static void a_foreign_thread_selects_as_a_task_does(void **state) {
    weft_test_run(foreign, NULL);
}

static void frees_too_early(void *arg) {
    struct call call = {.n = 0};
    make((const int[]){0, 0, -1});
    recv_case(&call, ch[0]);
    recv_case(&call, ch[1]);
    start(&call);
    weft_channel_free(ch[1]);
}

static void counts_wrongly(void *arg) {
    weft_try_select(NULL, -1);
}

static void misuse_stops_with_a_sentence(void **state) {
    weft_test_stops(frees_too_early, true, "1 tasks wait in the channel");
    weft_test_stops(counts_wrongly, false, "-1 cases");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_case_that_can_be_done_is_done_at_once),
        cmocka_unit_test(a_case_without_a_channel_is_never_done),
        cmocka_unit_test(it_waits_for_the_first_that_sends),
        cmocka_unit_test(it_waits_for_the_first_that_receives),
        cmocka_unit_test(a_closed_channel_is_a_case_that_can_be_done),
        cmocka_unit_test(each_case_that_can_be_done_has_the_same_chance),
        cmocka_unit_test(who_gives_up_neither_sends_nor_receives),
        cmocka_unit_test(a_cancelled_task_may_do_what_needs_no_wait),
        cmocka_unit_test(two_selects_meet_in_one_channel),
        cmocka_unit_test(a_channel_may_be_in_several_cases),
        cmocka_unit_test(a_select_waits_in_its_order_like_others),
        cmocka_unit_test(a_foreign_thread_selects_as_a_task_does),
        cmocka_unit_test(misuse_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
