/* SPDX-License-Identifier: MIT */
/* Selects over the same channels, all crossing: each value that a select says
 * it sent arrives once, and no other does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/channel_inside.h"
#include "weft/sync/select.h"
#include "weft/sync/testing.h"

enum { CHANNELS = 5, TASKS = 12, MOST_VALUES = 4000 };

static struct weft_channel *ch[CHANNELS], *over;
/* Of each task's values: how often each arrived. */
static _Atomic uint8_t arrived[TASKS][MOST_VALUES];
static int sent[TASKS]; /* how many; the task's until it is joined */
static int quota;       /* how many each sends */
/* For how long a select waits before its task draws again: what all have drawn
 * may not fit together. */
static uint64_t patience;

struct message {
    int task, number;
};

static void note(const struct message *m) {
    WEFT_CHECK(m->task >= 0 && m->task < TASKS);
    WEFT_CHECK(m->number >= 0 && m->number < MOST_VALUES);
    uint8_t before = atomic_fetch_add_explicit(&arrived[m->task][m->number], 1,
                                               memory_order_relaxed);
    WEFT_CHECK_OP(before, ==, 0);
}

/* Cases at random: some receive, some send the next value, and the last is the
 * end. Returns how many. */
static int draw(struct weft_select_case *cases, struct message *in,
                const struct message *out, bool sends, uint64_t *seed) {
    int n = 0;
    for (int i = 0; i < CHANNELS; i++) {
        uint64_t dice = weft_test_random(seed) % 4;
        if (dice == 0 && sends) {
            cases[n++] = weft_select_send(ch[i], out);
        }
        if (dice == 0 || dice == 1 || !sends) {
            cases[n++] = weft_select_recv(ch[i], &in[i]);
        }
    }
    cases[n++] = weft_select_recv(over, NULL);
    return n;
}

/* Sends its quota and takes part until the end; or until it is cancelled. */
static void *takes_part(void *arg) {
    int me = (int)(intptr_t)arg;
    uint64_t seed = (uint64_t)me + 1;
    struct weft_select_case cases[2 * CHANNELS + 1];
    for (;;) {
        struct message in[CHANNELS];
        struct message out = {me, sent[me]};
        int n = draw(cases, in, &out, sent[me] < quota, &seed);
        uint64_t wait = weft_test_random(&seed) % patience;
        int which = weft_select_until(cases, n, weft_now() + wait);
        if (which < 0) {
            WEFT_CHECK(which == -ECANCELED || which == -ETIMEDOUT);
            if (which == -ECANCELED) {
                return NULL;
            }
        } else if (cases[which].channel == over) {
            return NULL;
        } else if (cases[which].result == -EPIPE) {
            weft_yield(); /* closed early: the end is near */
        } else if (cases[which].party.sender) {
            sent[me]++;
        } else {
            note(cases[which].party.to);
        }
    }
}

/* The same with one call at a time. */
static void *sends_alone(void *arg) {
    int me = (int)(intptr_t)arg;
    uint64_t seed = (uint64_t)me + 1;
    while (sent[me] < quota) {
        struct message out = {me, sent[me]};
        struct weft_channel *to = ch[weft_test_random(&seed) % CHANNELS];
        int error = weft_channel_send(to, &out);
        if (error != 0) {
            WEFT_CHECK(error == -EPIPE || error == -ECANCELED);
            break;
        }
        sent[me]++;
    }
    return NULL;
}

static void begin(void) {
    memset((void *)arrived, 0, sizeof arrived);
    memset(sent, 0, sizeof sent);
    for (int i = 0; i < CHANNELS; i++) {
        static const size_t capacities[CHANNELS] = {0, 0, 0, 1, 3};
        WEFT_CHECK_OP(
            weft_channel_new(&ch[i], capacities[i], sizeof(struct message)), ==,
            0);
    }
    WEFT_CHECK_OP(weft_channel_new(&over, 0, 0), ==, 0);
}

/* All tasks have ended: what was sent is what arrived or still lies there. */
static void end(void) {
    for (int i = 0; i < CHANNELS; i++) {
        struct message m;
        WEFT_CHECK_OP(ch[i]->waiters.count, ==, 0u);
        while (weft_channel_try_recv(ch[i], &m) == 0) {
            note(&m);
        }
        weft_channel_free(ch[i]);
    }
    weft_channel_free(over);
    for (int t = 0; t < TASKS; t++) {
        for (int i = 0; i < MOST_VALUES; i++) {
            int times =
                atomic_load_explicit(&arrived[t][i], memory_order_relaxed);
            WEFT_CHECK_OP(times, ==, i < sent[t] ? 1 : 0);
        }
    }
}

static int all_sent(void) {
    int sum = 0;
    for (int i = 0; i < CHANNELS; i++) {
        sum += (int)weft_channel_len(ch[i]);
    }
    for (int t = 0; t < TASKS; t++) {
        for (int i = 0; i < quota; i++) {
            sum += atomic_load_explicit(&arrived[t][i], memory_order_relaxed);
        }
    }
    return sum;
}

static void storm(void *arg) {
    struct weft_task *tasks[TASKS];
    begin();
    for (intptr_t i = 0; i < TASKS; i++) {
        tasks[i] = weft_test_spawn(i < 3 ? sends_alone : takes_part, (void *)i);
    }
    while (all_sent() < TASKS * quota) {
        weft_sleep(WEFT_MS);
    }
    WEFT_CHECK_OP(weft_channel_close(over), ==, 0);
    for (int i = 0; i < TASKS; i++) {
        weft_test_join(tasks[i]);
        WEFT_CHECK_OP(sent[i], ==, quota);
    }
    end();
}

static void every_value_arrives_once(void **state) {
    patience = WEFT_MS;
    quota = WEFT_TEST_ROUNDS(MOST_VALUES);
    weft_test_run(storm, NULL);
    patience = 20 * WEFT_US;
    quota = WEFT_TEST_ROUNDS(MOST_VALUES) / 2;
    weft_test_run(storm, NULL);
}

/* Ends the tasks in the middle of it: by cancelling, or by closing channels one
 * after the other. */
static void broken_off(void *arg) {
    bool closes = *(const bool *)arg;
    uint64_t seed = 99;
    quota = MOST_VALUES;
    for (int round = 0; round < WEFT_TEST_ROUNDS(50); round++) {
        struct weft_task *tasks[TASKS];
        patience = round % 4 == 3 ? 20 * WEFT_US : WEFT_MS;
        begin();
        for (intptr_t i = 0; i < TASKS; i++) {
            tasks[i] =
                weft_test_spawn(i < 2 ? sends_alone : takes_part, (void *)i);
        }
        weft_sleep(weft_test_random(&seed) % WEFT_MS);
        for (int i = 0; i < CHANNELS && closes; i++) {
            WEFT_CHECK_OP(weft_channel_close(ch[i]), ==, 0);
        }
        if (closes) {
            WEFT_CHECK_OP(weft_channel_close(over), ==, 0);
        }
        for (int i = 0; i < TASKS && !closes; i++) {
            weft_cancel(tasks[i]);
            if (i % 3 == 0) {
                weft_yield();
            }
        }
        for (int i = 0; i < TASKS; i++) {
            weft_test_join(tasks[i]);
        }
        end();
    }
}

static void cancelling_selects_loses_and_doubles_nothing(void **state) {
    weft_test_run(broken_off, &(bool){false});
}

static void closing_under_selects_loses_and_doubles_nothing(void **state) {
    weft_test_run(broken_off, &(bool){true});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_arrives_once),
        cmocka_unit_test(cancelling_selects_loses_and_doubles_nothing),
        cmocka_unit_test(closing_under_selects_loses_and_doubles_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
