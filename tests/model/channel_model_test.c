/* SPDX-License-Identifier: MIT */
/* The channel and its wait list (sync/channel.c, wait_list.c) in the checker.
 * Each thread is a task as tasks.h has them.
 *
 * Checked: every value that was sent arrives once, in its sender's order, with
 * what the sender wrote before; who gave up has sent or received nothing; who
 * waits in a channel that is closed hears of it; nobody waits beside a value or
 * room; a waiter, which lies on its task's stack, is not touched after its
 * grant. */
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

/* Memory at one address in all runs. */
static _Alignas(64) char memory[512];

void *model_malloc(size_t size);
void *model_malloc(size_t size) {
    WEFT_CHECK(size <= sizeof(memory));
    return memory;
}

/* What is sent: pointers to plain memory. */
static struct weft_channel *ch;
static struct value { uint32_t sender, number; } values[4];
static uint32_t sent, received; /* bits: by the two sides, one thread each */
static uint32_t sent_too, received_too;

static bool send(int i, uint64_t deadline, uint32_t *bits) {
    struct value *v = &values[i];
    v->sender = (uint32_t)model_self();
    v->number = (uint32_t)i;
    int error = weft_channel_send_until(ch, &v, deadline);
    if (error == 0) {
        *bits |= 1u << i;
    } else {
        WEFT_CHECK(error == -ETIMEDOUT || error == -EPIPE);
    }
    return error == 0;
}

static bool receive(uint64_t deadline, uint32_t *bits) {
    struct value *v = NULL;
    int error = weft_channel_recv_until(ch, &v, deadline);
    if (error == 0) {
        WEFT_CHECK(v >= values && v < values + 4);
        WEFT_CHECK_OP(v, ==, &values[v->number]);
        for (uint32_t i = v->number + 1; i < 4; i++) { /* none that is newer */
            WEFT_CHECK((*bits >> i & 1) == 0 || values[i].sender != v->sender);
        }
        *bits |= 1u << v->number;
    } else {
        WEFT_CHECK(error == -ETIMEDOUT || error == -EPIPE);
    }
    return error == 0;
}

static void sends_two(void) {
    send(0, WEFT_FOREVER, &sent);
    send(1, WEFT_FOREVER, &sent);
}

static void receives_two(void) {
    receive(WEFT_FOREVER, &received);
    receive(WEFT_FOREVER, &received);
}

static void sends_one(void) {
    send(0, WEFT_FOREVER, &sent);
}

static void sends_another(void) {
    send(1, WEFT_FOREVER, &sent_too);
}

static void receives_one(void) {
    receive(WEFT_FOREVER, &received);
}

static void receives_another(void) {
    receive(WEFT_FOREVER, &received_too);
}

static void sends_with_deadline(void) {
    send(0, 1, &sent);
}

static void receives_with_deadline(void) {
    receive(1, &received);
}

static void closes(void) {
    WEFT_CHECK_OP(weft_channel_close(ch), ==, 0);
}

/* The scenario's arg: the capacity. */
static void set_up(void) {
    tasks_reset(WEFT_MS, 0);
    memset(values, 0, sizeof(values));
    memset(memory, 0, sizeof(memory));
    sent = sent_too = received = received_too = 0;
    WEFT_CHECK_OP(weft_channel_new(&ch, (size_t)model_arg(), sizeof(void *)),
                  ==, 0);
    /* A wait list, and so its lock, is first in a channel. */
    model_name(memory, sizeof(struct weft_lock), "lock");
    model_label(memory, sizeof(memory), "the channel");
    model_label(values, sizeof(values), "a value");
}

static void check(void) {
    uint32_t in = sent | sent_too, out = received | received_too;
    WEFT_CHECK_OP(received & received_too, ==, 0u);
    WEFT_CHECK_OP(out & ~in, ==, 0u); /* nothing that was not sent */
    struct value *v = NULL;
    while (weft_channel_try_recv(ch, &v) == 0) {
        WEFT_CHECK_OP(out >> v->number & 1, ==, 0u);
        out |= 1u << v->number;
    }
    WEFT_CHECK_OP(out, ==, in); /* nothing that was sent is lost */
}

#define SCENARIO(title, capacity, switches, ...)                             \
    {                                                                        \
        .name = title, .set_up = set_up, .threads = {__VA_ARGS__},           \
        .check = check, .preemptions = switches, .stale = 1, .arg = capacity \
    }

static const struct model_scenario scenarios[] = {
    SCENARIO("two values, no room", 0, 3, sends_two, receives_two),
    SCENARIO("two values, room for one", 1, 3, sends_two, receives_two),
    SCENARIO("two senders", 0, 2, sends_one, receives_two, sends_another),
    SCENARIO("two receivers", 1, 2, sends_two, receives_one, receives_another),
    SCENARIO("a sender gives up", 0, 3, sends_with_deadline,
             receives_with_deadline),
    SCENARIO("both give up, room for one", 1, 1, sends_two,
             receives_with_deadline, receives_another),
    SCENARIO("closed while one receives", 0, 2, sends_with_deadline,
             receives_one, closes),
    SCENARIO("closed while one sends", 0, 2, sends_one, receives_with_deadline,
             closes),
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

static void values_arrive_once_and_in_order(void **state) {
    for (int i = 0; i < 4; i++) {
        model_expect_right(&scenarios[i]);
    }
}

static void giving_up_and_closing_lose_nothing(void **state) {
    for (int i = 4; i < SCENARIOS; i++) {
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
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        model_expect_caught(scenarios, SCENARIOS, faults[i]);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_arrive_once_and_in_order),
        cmocka_unit_test(giving_up_and_closing_lose_nothing),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
