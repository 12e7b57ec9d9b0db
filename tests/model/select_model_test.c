/* SPDX-License-Identifier: MIT */
/* Selects (sync/select.c) in the checker: waiters in two channels' lists with
 * one claim, those that choose them, and their own giving up.
 *
 * Checked: of a select's cases one is done and the other is as if it had never
 * been there; each value that was sent arrives once, with what its sender
 * wrote; who gave up has sent and received nothing; two selects that could
 * serve each other do; nobody waits beside a value; a select that has returned
 * is in no list (its waiters are on its stack). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "tasks.h"
#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/base/lock.h"
#include "weft/sync/channel.h"
#include "weft/sync/select.h"

enum { ROOM = 512, VALUES = 4 };

/* Memory at the same addresses in all runs. */
static _Alignas(64) char memory[2][ROOM];
static int taken;

void *model_malloc(size_t size);
void *model_malloc(size_t size) {
    WEFT_CHECK(size <= ROOM && taken < 2);
    return memory[taken++];
}

/* What is sent: pointers to plain memory. */
static struct weft_channel *channels[2];
static uint32_t values[VALUES];
static uint32_t sent[MODEL_THREADS], received[MODEL_THREADS]; /* bits */

static uint32_t *value(uint32_t i) {
    values[i] = i;
    return &values[i];
}

static void have_sent(uint32_t i) {
    sent[model_self()] |= 1u << i;
}

static void have_received(const uint32_t *v) {
    WEFT_CHECK(v >= values && v < values + VALUES);
    WEFT_CHECK_OP(v, ==, &values[*v]);
    received[model_self()] |= 1u << *v;
}

/* Receives from both; a value's number says which channel it went through. */
static bool receive_one(uint64_t deadline) {
    uint32_t *from[2] = {NULL, NULL};
    struct weft_select_case cases[] = {
        weft_select_recv(channels[0], &from[0]),
        weft_select_recv(channels[1], &from[1]),
    };
    int done = weft_select_until(cases, 2, deadline);
    if (done < 0) {
        WEFT_CHECK_OP(done, ==, -ETIMEDOUT);
        WEFT_CHECK(from[0] == NULL && from[1] == NULL);
        return false;
    }
    WEFT_CHECK_OP(cases[done].result, ==, 0);
    WEFT_CHECK(from[1 - done] == NULL);
    have_received(from[done]);
    return true;
}

static void receives_from_both(void) {
    receive_one(WEFT_FOREVER);
    receive_one(WEFT_FOREVER);
}

static void receives_or_gives_up(void) {
    receive_one(1);
}

static void send(uint32_t i, uint64_t deadline) {
    uint32_t *v = value(i);
    int error = weft_channel_send_until(channels[i % 2], &v, deadline);
    if (error == 0) {
        have_sent(i);
    } else {
        WEFT_CHECK(error == -ETIMEDOUT || error == -EPIPE);
    }
}

static void sends_to_first(void) {
    send(0, WEFT_FOREVER);
}

static void sends_to_second(void) {
    send(1, WEFT_FOREVER);
}

static void sends_or_gives_up(void) {
    send(0, 1);
}

static void sends_to_second_or_gives_up(void) {
    send(1, 1);
}

/* Sends `i`, or receives from the other channel. */
static void send_or_receive(uint32_t i, uint64_t deadline) {
    uint32_t *out = value(i), *in = NULL;
    struct weft_select_case cases[] = {
        weft_select_send(channels[i % 2], &out),
        weft_select_recv(channels[1 - i % 2], &in),
    };
    int done = weft_select_until(cases, 2, deadline);
    if (done == 0) {
        have_sent(i);
    } else if (done == 1) {
        have_received(in);
    } else {
        WEFT_CHECK_OP(done, ==, -ETIMEDOUT);
    }
    WEFT_CHECK(done == 1 || in == NULL);
}

static void one_way(void) {
    send_or_receive(2, WEFT_FOREVER);
}

static void the_other_way(void) {
    send_or_receive(3, WEFT_FOREVER);
}

static void the_other_way_or_gives_up(void) {
    send_or_receive(3, 1);
}

static void one_way_or_gives_up(void) {
    send_or_receive(2, 1);
}

static void set_up(void) {
    /* Time and an address on the stack give the order in which a select looks:
     * the same each time that the program runs, wherever it is loaded. */
    tasks_reset(-(uint64_t)(uintptr_t)memory, 7919);
    memset(memory, 0, sizeof(memory));
    memset(values, 0, sizeof(values));
    memset(sent, 0, sizeof(sent));
    memset(received, 0, sizeof(received));
    taken = 0;
    for (int i = 0; i < 2; i++) {
        WEFT_CHECK_OP(
            weft_channel_new(&channels[i], (size_t)model_arg(), sizeof(void *)),
            ==, 0);
        /* A wait list, and so its lock, is first in a channel. */
        model_name(memory[i], sizeof(struct weft_lock), "lock");
    }
    model_label(memory, sizeof(memory), "a channel");
    model_label(values, sizeof(values), "a value");
}

static void check(void) {
    uint32_t in = 0, out = 0;
    for (int i = 0; i < MODEL_THREADS; i++) {
        WEFT_CHECK_OP(out & received[i], ==, 0u);
        in |= sent[i];
        out |= received[i];
    }
    for (int i = 0; i < 2; i++) {
        uint32_t *v = NULL;
        while (weft_channel_try_recv(channels[i], &v) == 0) {
            WEFT_CHECK_OP(out >> *v & 1, ==, 0u);
            out |= 1u << *v;
        }
    }
    WEFT_CHECK_OP(in, ==, out); /* nothing lost, nothing made up */
}

#define SCENARIO(title, capacity, switches, ...)                             \
    {                                                                        \
        .name = title, .set_up = set_up, .threads = {__VA_ARGS__},           \
        .check = check, .preemptions = switches, .stale = 1, .arg = capacity \
    }

static const struct model_scenario scenarios[] = {
    SCENARIO("two senders, two channels", 0, 2, receives_from_both,
             sends_to_first, sends_to_second),
    SCENARIO("the same with room", 1, 2, receives_from_both, sends_to_first,
             sends_to_second),
    SCENARIO("one of the three gives up", 0, 1, receives_or_gives_up,
             sends_or_gives_up, sends_to_second_or_gives_up),
    SCENARIO("two selects", 0, 2, one_way, the_other_way),
    SCENARIO("two selects, and one gives up", 0, 3, one_way_or_gives_up,
             the_other_way_or_gives_up),
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

static void one_case_is_done(void **state) {
    (void)state;
    for (int i = 0; i < SCENARIOS; i++) {
        model_expect_right(&scenarios[i]);
    }
}

static void every_order_is_needed(void **state) {
    static const struct model_fault faults[] = {
        {"lock", MODEL_EXCHANGE, memory_order_acquire, memory_order_relaxed,
         -1},
        {"lock", MODEL_EXCHANGE, memory_order_release, memory_order_relaxed,
         -1},
        /* weft_waiter.granted */
        {"a stack", MODEL_STORE, memory_order_release, memory_order_relaxed,
         -1},
        {"a stack", MODEL_LOAD, memory_order_acquire, memory_order_relaxed, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        model_expect_caught(scenarios, SCENARIOS, faults[i]);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_case_is_done),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
