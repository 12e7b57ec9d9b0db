/* SPDX-License-Identifier: MIT */
/* Many senders, many receivers, deadlines, and closing in the middle of it: no
 * value is lost, made up, doubled or overtaken. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/channel.h"
#include "weft/sync/testing.h"

enum { SENDERS = 8, RECEIVERS = 8 };

struct message {
    int sender;
    int number;
};

static struct weft_channel *ch;
static bool with_deadlines;
static int per_sender;
/* One each per task, read after the join. */
static long sent[SENDERS], got[RECEIVERS];

static uint64_t deadline(uint64_t *seed) {
    uint64_t wait = weft_test_random(seed) % (20 * WEFT_US);
    return with_deadlines ? weft_now() + wait : WEFT_FOREVER;
}

/* Numbers its messages from 0, those alone that were sent; ends early when the
 * channel is closed. */
static void *sends(void *arg) {
    int me = (int)(intptr_t)arg;
    uint64_t seed = (uint64_t)me + 1;
    sent[me] = 0;
    for (int i = 0; i < per_sender; i++) {
        struct message message = {me, (int)sent[me]};
        int error = weft_channel_send_until(ch, &message, deadline(&seed));
        if (error == -EPIPE) {
            break;
        }
        WEFT_CHECK(error == 0 || (with_deadlines && error == -ETIMEDOUT));
        sent[me] += error == 0;
    }
    return NULL;
}

static void *receives(void *arg) {
    int me = (int)(intptr_t)arg;
    uint64_t seed = (uint64_t)me + 100;
    int next[SENDERS] = {0};
    got[me] = 0;
    for (;;) {
        struct message message = {-1, -1};
        int error = weft_channel_recv_until(ch, &message, deadline(&seed));
        if (error == -EPIPE) {
            return NULL;
        }
        if (error != 0) {
            WEFT_CHECK(with_deadlines && error == -ETIMEDOUT);
            WEFT_CHECK_OP(message.sender, ==, -1);
            continue;
        }
        WEFT_CHECK(message.sender >= 0 && message.sender < SENDERS);
        /* What one receiver gets of one sender comes in order. */
        WEFT_CHECK(message.number >= next[message.sender]);
        next[message.sender] = message.number + 1;
        got[me]++;
    }
}

/* Closes when all are sent, or after a while in the middle of it. */
static void storm(size_t capacity, bool close_early) {
    struct weft_task *senders[SENDERS], *receivers[RECEIVERS];
    long in = 0, out = 0;
    WEFT_CHECK_OP(weft_channel_new(&ch, capacity, sizeof(struct message)), ==,
                  0);
    for (intptr_t i = 0; i < RECEIVERS; i++) {
        receivers[i] = weft_test_spawn(receives, (void *)i);
    }
    for (intptr_t i = 0; i < SENDERS; i++) {
        senders[i] = weft_test_spawn(sends, (void *)i);
    }
    if (close_early) {
        WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
        WEFT_CHECK_OP(weft_channel_close(ch), ==, 0);
    }
    for (int i = 0; i < SENDERS; i++) {
        weft_test_join(senders[i]);
        in += sent[i];
    }
    if (!close_early) {
        WEFT_CHECK_OP(weft_channel_close(ch), ==, 0);
    }
    for (int i = 0; i < RECEIVERS; i++) {
        weft_test_join(receivers[i]);
        out += got[i];
    }
    WEFT_CHECK_OP(in, ==, out);
    WEFT_CHECK_OP(weft_channel_len(ch), ==, 0u);
    if (!close_early && !with_deadlines) {
        WEFT_CHECK_OP(in, ==, (long)SENDERS * per_sender);
    }
    weft_channel_free(ch);
}

static void storms(void *arg) {
    static const size_t capacities[] = {0, 1, 4};
    for (int i = 0; i < 3; i++) {
        with_deadlines = false;
        per_sender = WEFT_TEST_ROUNDS(10000);
        storm(capacities[i], false);
        with_deadlines = true;
        per_sender = WEFT_TEST_ROUNDS(2000);
        storm(capacities[i], false);
    }
}

static void every_value_arrives_once_and_in_order(void **state) {
    weft_test_run(storms, NULL);
}

static void closings(void *arg) {
    for (int i = 0; i < WEFT_TEST_ROUNDS(200); i++) {
        with_deadlines = i % 4 == 3;
        per_sender = 1 << 30;
        storm((size_t)(i % 3), true);
    }
}

static void closing_in_the_middle_loses_nothing_that_was_sent(void **state) {
    weft_test_run(closings, NULL);
}

/* Cancels tasks that wait in a channel that others go on using. */
static void *echoes(void *arg) {
    struct weft_channel **ways = arg;
    for (;;) {
        long value;
        int error = weft_channel_recv(ways[0], &value);
        if (error == 0) {
            error = weft_channel_send(ways[1], &value);
        }
        if (error != 0) {
            return (void *)(intptr_t)error;
        }
    }
}

static void cancels(void *arg) {
    for (int i = 0; i < WEFT_TEST_ROUNDS(4000); i++) {
        struct weft_channel *ways[2];
        WEFT_CHECK_OP(weft_channel_new(&ways[0], (size_t)(i % 2), sizeof(long)),
                      ==, 0);
        /* Room for all answers: who is cancelled with a value in hand need not
         * wait to pass it on. */
        WEFT_CHECK_OP(weft_channel_new(&ways[1], 4, sizeof(long)), ==, 0);
        struct weft_task *task = weft_test_spawn(echoes, ways);
        struct weft_task *spare = weft_test_spawn(echoes, ways);
        for (long k = 0; k < 4; k++) {
            long value = k;
            WEFT_CHECK_OP(weft_channel_send(ways[0], &value), ==, 0);
            WEFT_CHECK_OP(weft_channel_recv(ways[1], &value), ==, 0);
            WEFT_CHECK_OP(value, ==, k);
            if (k == i % 4) {
                weft_cancel(task);
            }
        }
        weft_cancel(spare);
        WEFT_CHECK_OP(weft_test_join(task), ==, -ECANCELED);
        WEFT_CHECK_OP(weft_test_join(spare), ==, -ECANCELED);
        weft_channel_free(ways[0]);
        weft_channel_free(ways[1]);
    }
}

static void cancelling_one_receiver_leaves_the_values_to_others(void **state) {
    weft_test_run(cancels, NULL);
}

static void plays(void *arg) {
    struct weft_channel *ways[2];
    const long rounds = WEFT_TEST_ROUNDS(500000L);
    for (size_t capacity = 0; capacity < 2; capacity++) {
        for (int k = 0; k < 2; k++) {
            WEFT_CHECK_OP(weft_channel_new(&ways[k], capacity, sizeof(long)),
                          ==, 0);
        }
        struct weft_task *task = weft_test_spawn(echoes, ways);
        for (long i = 0; i < rounds / 2; i++) {
            long value = i;
            WEFT_CHECK_OP(weft_channel_send(ways[0], &value), ==, 0);
            value = -1;
            WEFT_CHECK_OP(weft_channel_recv(ways[1], &value), ==, 0);
            WEFT_CHECK_OP(value, ==, i);
        }
        weft_channel_close(ways[0]);
        WEFT_CHECK_OP(weft_test_join(task), ==, -EPIPE);
        weft_channel_free(ways[0]);
        weft_channel_free(ways[1]);
    }
}

static void two_tasks_play_a_million_messages(void **state) {
    weft_test_run(plays, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_arrives_once_and_in_order),
        cmocka_unit_test(closing_in_the_middle_loses_nothing_that_was_sent),
        cmocka_unit_test(cancelling_one_receiver_leaves_the_values_to_others),
        cmocka_unit_test(two_tasks_play_a_million_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
