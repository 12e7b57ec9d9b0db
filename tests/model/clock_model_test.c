/* SPDX-License-Identifier: MIT */
/* The jump of the virtual clock (sched/virtual_clock.c) in the checker: it is
 * made when everybody sleeps, which is read word by word while tasks move from
 * one to the next.
 *
 * Checked: while a task has anything to do, blocked or not, the clock stands;
 * who sleeps wakes at its deadline exactly; in the end all have woken, so that
 * whoever was the last to be waited for has kicked the seat. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "weft/sched/virtual_clock.h"
#include "world.h"

enum { BEGIN = 1000, END = 2000 };

static uint32_t ended[2];
static struct weft_due due[WORLD_TASKS];

static void worker_0(void) {
    world_work(0);
}

static void worker_1(void) {
    world_work(1);
}

static void *sleep_until_end(void *arg) {
    (void)arg;
    WEFT_CHECK_OP(weft_sleep_until(END), ==, 0);
    WEFT_CHECK_OP(weft_now(), ==, (uint64_t)END);
    ended[0]++;
    return NULL;
}

static void *in_the_kernel(void *arg) {
    WEFT_CHECK_OP(weft_now(), ==, (uint64_t)BEGIN);
    return arg;
}

static void *block(void *arg) {
    (void)arg;
    (void)weft_blocking(in_the_kernel, NULL);
    WEFT_CHECK_OP(weft_now(), ==, (uint64_t)BEGIN);
    ended[1]++;
    return NULL;
}

static void *yield(void *arg) {
    (void)arg;
    weft_yield();
    WEFT_CHECK_OP(weft_now(), ==, (uint64_t)BEGIN);
    ended[1]++;
    return NULL;
}

/* Waits for a thread that holds the clock, then for the deadline. */
static void *await_an_answer(void *arg) {
    WEFT_CHECK_OP(weft_park(END, "an answer"), ==, 0);
    WEFT_CHECK_OP(weft_now(), ==, (uint64_t)BEGIN);
    ended[1]++;
    return sleep_until_end(arg);
}

static void *end(void *arg) {
    ended[1]++;
    return arg;
}

/* A thread without a processor, which does not hold the clock: it jumps before
 * or after. */
static void wake_the_other(void) {
    world_be(2);
    weft_unpark(&world.tasks[1]);
}

/* A thread without a processor. */
static void give_the_answer(void) {
    world_be(2);
    weft_unpark(&world.tasks[0]);
    weft_clock_release();
}

static void set_up_clock(void) {
    struct weft_virtual_clock *c = &world.rt.clock;
    atomic_init(&c->now, BEGIN);
    c->due = due;
    world_give_timers();
    model_name(&c->now, sizeof(c->now), "clock.now");
    model_name(&c->lock, sizeof(c->lock), "clock.lock");
    model_name(&world.rt.strays, 4, "strays");
    ended[0] = ended[1] = 0;
    model_label(ended, sizeof(ended), "ended");
    model_label(due, sizeof(due), "due");
    atomic_init(&weft_clock_holds, 0); /* a run that failed may hold it */
    model_name(&weft_clock_holds, sizeof(weft_clock_holds), "holds");
}

/* One processor: the sleeper is first, then who blocks; a spare is there. */
static void set_up_blocking(void) {
    world_reset(1);
    set_up_clock();
    world_hold(0, 0, world_task(0, sleep_until_end, WEFT_JOIN_DETACHED));
    weft_spare_push(&world.workers[1]);
    weft_push_global(&world.rt, world_task(1, block, WEFT_JOIN_DETACHED));
}

/* A processor for each. */
static void set_up_two(void) {
    world_reset(2);
    set_up_clock();
    world_hold(0, 0, world_task(0, sleep_until_end, WEFT_JOIN_DETACHED));
    world_hold(1, 1, world_task(1, yield, WEFT_JOIN_DETACHED));
}

/* One waits for a thread. */
static void set_up_held(void) {
    world_reset(1);
    set_up_clock();
    weft_clock_hold();
    world_hold(0, 0, world_task(0, await_an_answer, WEFT_JOIN_DETACHED));
}

/* One is woken while the descriptors are looked at, so that a kick ends there.
 */
static void set_up_woken(void) {
    world_reset(1);
    set_up_clock();
    world_awaits_descriptors = true;
    world_parked_task(1, end);
    world_hold(0, 0, world_task(0, sleep_until_end, WEFT_JOIN_DETACHED));
    weft_spare_push(&world.workers[1]);
}

static void check(void) {
    unsigned spares = world.workers[1].is_spare + world.workers[0].is_spare;
    WEFT_CHECK_OP(ended[0], ==, 1u);
    WEFT_CHECK_OP(ended[1], ==, 1u);
    WEFT_CHECK_OP(world.rt.clock.now, ==, (uint64_t)END);
    WEFT_CHECK_OP(world.rt.strays, ==, 0u);
    world_check_idle(world.rt.processor_count, spares);
}

static const struct model_scenario scenarios[] = {
    {
        .name = "one blocks",
        .set_up = set_up_blocking,
        .threads = {worker_0, worker_1},
        .check = check,
        .preemptions = 1,
        .stale = 1,
        .daemons = 3,
    },
    {
        .name = "it is held",
        .set_up = set_up_held,
        .threads = {worker_0, NULL, give_the_answer},
        .check = check,
        .preemptions = 1,
        .stale = 1,
        .daemons = 1,
    },
    {
        .name = "one runs",
        .set_up = set_up_two,
        .threads = {worker_0, worker_1},
        .check = check,
        .preemptions = 1,
        .stale = 0,
        .daemons = 3,
    },
    {
        .name = "one is woken",
        .set_up = set_up_woken,
        .threads = {worker_0, worker_1, wake_the_other},
        .check = check,
        .preemptions = 1,
        .stale = 0,
        .daemons = 3,
    },
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

static void it_stands_while_anybody_has_something_to_do(void **state) {
    (void)state;
    for (int i = 0; i < SCENARIOS; i++) {
        model_expect_right(&scenarios[i]);
    }
}

/* The fences of who goes idle or lets go, and of who takes the seat; the lock
 * under which it is read. */
static void every_order_is_needed(void **state) {
    static const struct model_fault faults[] = {
        {NULL, MODEL_FENCE, memory_order_seq_cst, memory_order_acq_rel, 0},
        {NULL, MODEL_FENCE, memory_order_seq_cst, memory_order_acq_rel, 1},
        {NULL, MODEL_FENCE, memory_order_seq_cst, memory_order_acq_rel, 2},
        {"idle.lock", MODEL_EXCHANGE, memory_order_acquire,
         memory_order_relaxed, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        model_expect_caught(scenarios, SCENARIOS, faults[i]);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stands_while_anybody_has_something_to_do),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
