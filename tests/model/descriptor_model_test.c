/* SPDX-License-Identifier: MIT */
/* Waiting for descriptors in the checker: the poller (sched/poller.c), turns
 * and operations (io/turn.c, io/operation.c), and read, write and close as they
 * ship (io/io.c), on a modelled kernel (kernel.h).
 *
 * Checked: who waits for a byte, for room, for an end or for its turn goes on
 * when it comes, whether it came before the look, between the look and the
 * park, or later; who gave up has taken nothing and missed nothing; a close
 * wakes all, and the number is given back once, when nobody uses it any more;
 * news of a socket is never taken for news of the next of its number; what one
 * thread did with a descriptor is seen by the next (the fields are plain). */
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
#include "tasks.h"
#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/io/io.h"
#include "weft/io/operation.h"
#include "weft/sched/park.h"
#include "weft/sched/poller.h"

enum { DEADLINE = 1 }; /* has passed whenever the model likes */

/* Plain: a race on them is an order missing. */
static uint32_t got[MODEL_THREADS];
static int result[MODEL_THREADS];

/* --- what threads do ---------------------------------------------------------
 */

static void puts_byte(void) {
    kernel_put(0);
}

static void puts_two(void) {
    kernel_put(0);
    kernel_put(0);
}

static void puts_and_looks(void) {
    kernel_put(0);
    descriptors_look();
}

static void puts_and_ends(void) {
    kernel_put(0);
    kernel_end(0);
}

static void puts_and_makes_room(void) {
    kernel_put(0);
    kernel_take(0);
}

/* With as much room as `size`; more than there is makes a short read. */
static ssize_t read_some(size_t size, uint64_t deadline) {
    char data[4];
    int self = model_self();
    result[self] = (int)weft_read(0, data, size, deadline);
    got[self] += result[self] > 0 ? (uint32_t)result[self] : 0;
    return result[self];
}

static void reads(void) {
    WEFT_CHECK_OP(read_some(1, WEFT_FOREVER), ==, 1);
}

static void reads_two(void) {
    reads();
    reads();
}

/* Short reads, to the end. */
static void reads_to_end(void) {
    while (read_some(4, WEFT_FOREVER) > 0) {
    }
    WEFT_CHECK_OP(result[model_self()], ==, 0);
}

static void reads_or_gives_up(void) {
    WEFT_CHECK(read_some(1, DEADLINE) == 1 ||
               result[model_self()] == -ETIMEDOUT);
}

/* What comes after it has given up it does not miss. */
static void reads_in_the_end(void) {
    if (read_some(4, DEADLINE) != 1) {
        WEFT_CHECK_OP(result[model_self()], ==, -ETIMEDOUT);
        WEFT_CHECK_OP(read_some(4, WEFT_FOREVER), ==, 1);
    }
}

static void reads_while_open(void) {
    WEFT_CHECK(read_some(1, WEFT_FOREVER) == 1 ||
               result[model_self()] == -EBADF);
}

static void writes(void) {
    WEFT_CHECK_OP(weft_write(0, "a", 1, WEFT_FOREVER), ==, 1);
}

static void writes_while_open(void) {
    ssize_t sent = weft_write(0, "a", 1, WEFT_FOREVER);
    WEFT_CHECK(sent == 1 || sent == -EBADF);
}

static void closes(void) {
    WEFT_CHECK_OP(weft_close(0), ==, 0);
}

/* One of two. */
static void closes_perhaps(void) {
    result[model_self()] = weft_close(0);
}

/* Closes what has news, and is given the same number again. */
static void closes_and_opens(void) {
    closes();
    if (kernel_open(0, 0)) {
        WEFT_CHECK_OP(weft_io_hand_out(0, WEFT_DESCRIPTOR_TCP), ==, 0);
        reads();
    }
}

/* The same for another to read from. */
static void closes_and_hands_out(void) {
    closes();
    if (kernel_open(0, 0)) {
        WEFT_CHECK_OP(weft_io_hand_out(0, WEFT_DESCRIPTOR_TCP), ==, 0);
        kernel_put(0);
    }
}

static void puts_to_the_second(void) {
    model_await(kernel_opened(0), 2);
    kernel_put(0);
}

/* An old waker of thread 0, who is late. */
static void unparks_for_nothing(void) {
    weft_unpark(tasks_of(0));
}

/* --- before and after --------------------------------------------------------
 */

/* One socket, with nothing to read and no room. */
static void set_up(void) {
    descriptors_reset_to_one();
    memset(got, 0, sizeof(got));
    memset(result, 0, sizeof(result));
}

static void set_up_letting_go(void) {
    set_up();
    kernel_lets_go = 2;
}

/* With news of the first. */
static void set_up_with_news(void) {
    set_up();
    kernel_put(0);
}

static uint32_t got_by_all(void) {
    uint32_t sum = 0;
    for (int i = 0; i < MODEL_THREADS; i++) {
        sum += got[i];
    }
    return sum;
}

static void check(void) {
    WEFT_CHECK_OP(weft_poller_waiting(&descriptors_poller), ==, 0u);
    WEFT_CHECK_OP(got_by_all(), ==, (uint32_t)model_arg());
    WEFT_CHECK(kernel_is_open(0));
}

static void check_one_or_two(void) {
    WEFT_CHECK_OP(got_by_all() - 1, <=, 1u);
    WEFT_CHECK_OP(weft_poller_waiting(&descriptors_poller), ==, 0u);
}

static void check_closed(void) {
    WEFT_CHECK_OP(weft_poller_waiting(&descriptors_poller), ==, 0u);
    WEFT_CHECK(!kernel_is_open(0));
}

static void check_closed_once(void) {
    check_closed();
    WEFT_CHECK_OP(result[0] + result[1], ==, -EBADF);
}

static void check_waiting(void) {
    WEFT_CHECK_OP(weft_poller_waiting(&descriptors_poller), ==, 0u);
}

/* --- all of them -------------------------------------------------------------
 */

/* `sum`: bytes that are read. `sleepers`: bits, who may sleep at the end. */
#define SCENARIO(title, begins, checks, sum, switches, sleepers, ...) \
    {                                                                 \
        .name = title, .set_up = begins, .threads = {__VA_ARGS__},    \
        .check = checks, .preemptions = switches, .stale = 1,         \
        .daemons = sleepers, .arg = sum                               \
    }

static const struct model_scenario waits[] = {
    SCENARIO("a byte", set_up, check, 1, 2, 2, reads, descriptors_poll,
             puts_byte),
    SCENARIO("two bytes", set_up, check, 2, 2, 2, reads_two, descriptors_poll,
             puts_two),
    SCENARIO("a byte, and a token too many", set_up, check, 1, 2, 2, reads,
             descriptors_poll, puts_byte, unparks_for_nothing),
    SCENARIO("a byte, and two that poll", set_up, check, 1, 2, 2, reads,
             descriptors_poll, puts_byte, descriptors_look),
    SCENARIO("a byte, too late perhaps", set_up, check, 1, 2, 2,
             reads_in_the_end, descriptors_poll, puts_byte),
    SCENARIO("a short read and the end", set_up, check, 1, 2, 2, reads_to_end,
             descriptors_poll, puts_and_ends),
    SCENARIO("both ways", set_up, check, 1, 1, 2, reads, descriptors_poll,
             puts_and_makes_room, writes),
    SCENARIO("the kernel lets go", set_up_letting_go, check, 2, 2, 2, reads_two,
             descriptors_poll, puts_two),
};

static const struct model_scenario turns[] = {
    SCENARIO("two read", set_up, check, 2, 1, 2, reads, descriptors_poll,
             puts_two, reads),
    SCENARIO("two read, and one gives up", set_up, check_one_or_two, 0, 1, 2,
             reads, descriptors_poll, puts_two, reads_or_gives_up),
};

static const struct model_scenario closings[] = {
    SCENARIO("closed while one reads", set_up, check_closed, 0, 2, 0,
             reads_while_open, puts_and_looks, closes),
    SCENARIO("closed while two wait", set_up, check_closed, 0, 2, 0,
             reads_while_open, reads_while_open, closes),
    SCENARIO("closed while both ways are waited for", set_up, check_closed, 0,
             2, 0, reads_while_open, writes_while_open, closes),
    SCENARIO("closed twice", set_up, check_closed_once, 0, 2, 0, closes_perhaps,
             closes_perhaps, reads_while_open),
    SCENARIO("closed when the kernel lets go", set_up_letting_go, check_closed,
             0, 2, 2, closes, descriptors_poll, puts_byte),
    SCENARIO("the next of its number", set_up_with_news, check_waiting, 0, 2, 2,
             closes_and_opens, descriptors_poll, puts_to_the_second),
};

/* Enough for the orders. */
static const struct model_scenario ordered[] = {
    SCENARIO("two read", set_up, check, 2, 1, 2, reads, descriptors_poll,
             puts_two, reads),
    SCENARIO("the next, read by another", set_up, check_waiting, 0, 1, 2,
             closes_and_hands_out, descriptors_poll, reads_while_open),
};

#define COUNT(all) (sizeof(all) / sizeof((all)[0]))

#define RIGHT(all)                            \
    for (size_t i = 0; i < COUNT(all); i++) { \
        model_expect_right(&(all)[i]);        \
    }

static void who_waits_goes_on(void **state) {
    (void)state;
    RIGHT(waits)
}

static void turns_are_taken(void **state) {
    (void)state;
    RIGHT(turns)
}

static void a_close_is_one(void **state) {
    (void)state;
    RIGHT(closings)
}

static void every_order_is_needed(void **state) {
    static const struct model_fault faults[] = {
        /* weft_poller_add(), weft_poller_enter(), weft_poller_leave() */
        {"state", MODEL_STORE, memory_order_release, memory_order_relaxed, -1},
        {"state", MODEL_EXCHANGE, memory_order_acquire, memory_order_relaxed,
         -1},
        {"state", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_acquire,
         -1},
        {"state", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_release,
         -1},
        /* a turn's answer */
        {"a stack", MODEL_STORE, memory_order_release, memory_order_relaxed,
         -1},
        {"a stack", MODEL_LOAD, memory_order_acquire, memory_order_relaxed, -1},
    };
    (void)state;
    RIGHT(ordered)
    for (size_t i = 0; i < COUNT(faults); i++) {
        model_expect_caught(ordered, COUNT(ordered), faults[i]);
    }
}

/* A read in vain must come before the news of what came later. */
static void the_kernel_orders_what_it_does(void **state) {
    (void)state;
    kernel_is_loose = true;
    struct model_result two = model_explore(&waits[1], NULL);
    kernel_is_loose = false;
    assert_true(two.failed);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_goes_on),
        cmocka_unit_test(turns_are_taken),
        cmocka_unit_test(a_close_is_one),
        cmocka_unit_test(the_kernel_orders_what_it_does),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
