/* SPDX-License-Identifier: MIT */
/* The poller (sched/poller.c) in the checker, on a modelled kernel whose locks
 * order nothing: what an edge, a close and a kick hand over by themselves.
 *
 * Checked: a waiter is taken out once, by an edge or a close, or comes back by
 * itself; who takes it out sees what it wrote, and who was taken out what the
 * other did before; a kick goes to one that is blocked, with what the kicker
 * wrote, past one who only looks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "descriptors.h"
#include "kernel.h"
#include "model.h"
#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/io/io.h"
#include "weft/io/operation.h"
#include "weft/sched/poller.h"

/* Plain: a race on them is an order missing. */
static uint32_t told, shown;

/* `told` is what the waiter has written for who takes it out,
 * `shown` what that one did before. */
static void arms(void) {
    struct weft_descriptor *d = weft_poller_find(&descriptors_poller, 0);
    if (weft_poller_enter(d, WEFT_READING) != 0) {
        return; /* it is being closed */
    }
    told = 1;
    int error = weft_poller_arm(d, WEFT_READING, &told);
    if (error == 0 && model_arg() == 0) {
        if (!weft_poller_disarm(d, WEFT_READING, &told)) {
            WEFT_CHECK_OP(shown, ==, 1u);
        }
    } else if (error == 0 && !weft_poller_armed(d, WEFT_READING, &told)) {
        WEFT_CHECK_OP(shown, ==, 1u);
    } else if (error == -EALREADY) {
        WEFT_CHECK_OP(shown, ==, 1u);
    }
}

static void takes_out(void) {
    void *waiters[DESCRIPTORS_BATCH];
    shown = 1;
    if (weft_poller_wait(&descriptors_poller, 0, waiters, DESCRIPTORS_BATCH) ==
        1) {
        WEFT_CHECK_OP(*(uint32_t *)waiters[0], ==, 1u);
    }
}

static void takes_out_by_closing(void) {
    void *waiters[WEFT_DIRECTIONS];
    shown = 1;
    WEFT_CHECK_OP(
        weft_poller_close(weft_poller_find(&descriptors_poller, 0), waiters),
        ==, 0);
    if (waiters[WEFT_READING] != NULL) {
        WEFT_CHECK_OP(*(uint32_t *)waiters[WEFT_READING], ==, 1u);
    }
}

/* Two sockets whose records are in a chunk that is still to be made. */
static void hands_out(void) {
    int fd = model_self();
    WEFT_CHECK(kernel_open(fd, 1));
    WEFT_CHECK_OP(weft_io_hand_out(fd, WEFT_DESCRIPTOR_TCP), ==, fd);
    WEFT_CHECK_OP(weft_write(fd, "a", 1, WEFT_FOREVER), ==, 1);
    WEFT_CHECK_OP(weft_close(fd), ==, 0);
}

/* A kick, past one who only looks. */
static void is_kicked(void) {
    void *waiters[DESCRIPTORS_BATCH];
    WEFT_CHECK_OP(weft_poller_wait(&descriptors_poller, WEFT_FOREVER, waiters,
                                   DESCRIPTORS_BATCH),
                  ==, 0);
    WEFT_CHECK_OP(told, ==, 1u);
}

static void tells_and_kicks(void) {
    told = 1;
    weft_poller_kick(&descriptors_poller);
}

/* --- before and after --------------------------------------------------------
 */

static void set_up_nothing(void) {
    descriptors_reset();
    told = shown = 0;
    model_label(&told, sizeof(told), "what is told");
    model_label(&shown, sizeof(shown), "what is shown");
}

static void set_up(void) {
    descriptors_reset_to_one();
    told = shown = 0;
    model_label(&told, sizeof(told), "what is told");
    model_label(&shown, sizeof(shown), "what is shown");
}

static void set_up_with_news(void) {
    set_up();
    kernel_put(0);
}

static void check_nothing(void) {
}

static void check_waiting(void) {
    WEFT_CHECK_OP(weft_poller_waiting(&descriptors_poller), ==, 0u);
}

/* --- all of them -------------------------------------------------------------
 */

#define SCENARIO(title, begins, checks, how, ...)                  \
    {                                                              \
        .name = title, .set_up = begins, .threads = {__VA_ARGS__}, \
        .check = checks, .preemptions = 4, .stale = 2, .arg = how  \
    }

/* The number: by which of two calls thread 0 looks whether it is still armed.
 */
static const struct model_scenario alone[] = {
    SCENARIO("taken out by an edge", set_up_with_news, check_nothing, 0, arms,
             takes_out),
    SCENARIO("the same, looked at", set_up_with_news, check_nothing, 1, arms,
             takes_out),
    SCENARIO("taken out by a close", set_up, check_nothing, 0, arms,
             takes_out_by_closing),
    SCENARIO("the same, looked at", set_up, check_nothing, 1, arms,
             takes_out_by_closing),
    SCENARIO("two of one chunk", set_up_nothing, check_waiting, 0, hands_out,
             hands_out),
};

static const struct model_scenario kicks[] = {
    SCENARIO("a kick past one who looks", set_up_nothing, check_waiting, 0,
             is_kicked, descriptors_look, tells_and_kicks),
};

/* Who looks and puts the kick back goes on with the release of who kicked. */
static const struct model_fault spared_by_kicks[] = {
    {"kicked", MODEL_EXCHANGE, memory_order_release, memory_order_relaxed, 1},
};

#define COUNT(all) (sizeof(all) / sizeof((all)[0]))

static int begin(void **state) {
    (void)state;
    kernel_is_loose = true;
    return 0;
}

static void a_waiter_is_taken_out_once(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(alone); i++) {
        model_expect_right(&alone[i]);
    }
}

static void a_kick_arrives(void **state) {
    (void)state;
    model_expect_right(&kicks[0]);
}

static void every_order_is_needed(void **state) {
    static const struct model_fault faults[] = {
        /* deliver() and weft_poller_close(), then weft_poller_arm() */
        {"slot", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_acquire, 1},
        {"slot", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_release, 1},
        {"slot", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_acquire, 0},
        {"slot", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_release, 0},
        /* weft_poller_armed(), weft_poller_disarm() */
        {"slot", MODEL_LOAD, memory_order_acquire, memory_order_relaxed, -1},
        {"slot", MODEL_REFUSED, memory_order_acquire, memory_order_relaxed, -1},
        /* record_of(), weft_poller_find() */
        {"chunk", MODEL_EXCHANGE, memory_order_release, memory_order_relaxed,
         -1},
        {"chunk", MODEL_LOAD, memory_order_acquire, memory_order_relaxed, -1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(faults); i++) {
        model_expect_caught(alone, COUNT(alone), faults[i]);
    }
    model_expect_all_needed(kicks, COUNT(kicks), spared_by_kicks,
                            COUNT(spared_by_kicks));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_waiter_is_taken_out_once),
        cmocka_unit_test(a_kick_arrives),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, begin, NULL);
}
