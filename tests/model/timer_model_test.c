/* SPDX-License-Identifier: MIT */
/* Deadlines (sched/timers.c, timer_heap.c, switch.c, worker.c) in the checker:
 * a timer goes off while its task is woken, cancelled, or sleeps on; and
 * somebody sleeps in the poller, who is to run it.
 *
 * Checked: a wake-up and a deadline that meet lose nothing: the wait ends once,
 * says -ETIMEDOUT only when the deadline is over, and what came beside it is
 * there for the next; no timer is left in a heap; nobody sleeps past a
 * deadline; who runs a timer sees what its task wrote (the heap is plain). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "world.h"

enum { SOON = WORLD_BEGIN + 1000, LATER = WORLD_BEGIN + 2000 };

static _Atomic uint32_t flag;
static uint32_t ended[2], told;

static void worker_0(void) {
    world_work(0);
}

static void worker_1(void) {
    world_work(1);
}

static bool is_up(void) {
    return atomic_load_explicit(&flag, memory_order_relaxed) != 0;
}

/* Patient for a while, and then for ever: the flag comes for certain. */
static void *wait_twice(void *arg) {
    int error = 0;
    while (error == 0 && !is_up()) {
        error = weft_park(SOON, "flag, in time");
    }
    if (error != 0) {
        WEFT_CHECK_OP(error, ==, -ETIMEDOUT);
        WEFT_CHECK_OP(weft_now(), >=, (uint64_t)SOON);
    }
    while (!is_up()) {
        WEFT_CHECK_OP(weft_park(WEFT_FOREVER, "flag"), ==, 0);
    }
    ended[0]++;
    return arg;
}

static void wake(void) {
    atomic_store_explicit(&flag, 1, memory_order_relaxed);
    weft_unpark(&world.tasks[0]);
}

/* Who is cancelled is so in the next wait, too. */
static void *sleep_until_cancelled(void *arg) {
    int error = weft_sleep_until(SOON);
    if (error == 0) {
        WEFT_CHECK_OP(weft_now(), >=, (uint64_t)SOON);
        error = weft_park(WEFT_FOREVER, "the end");
    }
    while (error != -ECANCELED) {
        error = weft_park(WEFT_FOREVER, "the end");
    }
    ended[0]++;
    return arg;
}

/* The first deadline's token may come into the second's wait. */
static void *sleep_twice(void *arg) {
    WEFT_CHECK_OP(weft_sleep_until(SOON), ==, 0);
    WEFT_CHECK_OP(weft_now(), >=, (uint64_t)SOON);
    WEFT_CHECK_OP(weft_sleep_until(LATER), ==, 0);
    WEFT_CHECK_OP(weft_now(), >=, (uint64_t)LATER);
    ended[0]++;
    return arg;
}

static void *sleep_soon(void *arg) {
    WEFT_CHECK_OP(weft_sleep_until(SOON), ==, 0);
    WEFT_CHECK_OP(weft_now(), >=, (uint64_t)SOON);
    ended[0]++;
    return arg;
}

static void *sleep_as_long(void *arg) {
    WEFT_CHECK_OP(weft_sleep_until(SOON), ==, 0);
    WEFT_CHECK_OP(weft_now(), >=, (uint64_t)SOON);
    ended[1]++;
    return arg;
}

/* The other waits without a deadline, so that its worker, if it is the one in
 * the poller, must hear of this one. */
static void *wait_for_ever(void *arg) {
    while (!is_up()) {
        WEFT_CHECK_OP(weft_park(WEFT_FOREVER, "flag"), ==, 0);
    }
    ended[0]++;
    return arg;
}

static void *sleep_and_wake(void *arg) {
    arg = sleep_as_long(arg);
    wake();
    return arg;
}

static void *wake_from_a_task(void *arg) {
    wake();
    ended[1]++;
    return arg;
}

/* Joins in time, or later. */
static void *join_twice(void *arg) {
    void *result = NULL;
    int error = weft_join_until(&world.tasks[1], &result, SOON);
    if (error != 0) {
        WEFT_CHECK_OP(error, ==, -ETIMEDOUT);
        WEFT_CHECK_OP(weft_join(&world.tasks[1], &result), ==, 0);
    }
    WEFT_CHECK_OP(result, ==, (void *)&told);
    WEFT_CHECK_OP(told, ==, 7u);
    ended[0]++;
    return arg;
}

static void *answer(void *arg) {
    (void)arg;
    told = 7;
    ended[1]++;
    return &told;
}

/* Threads without a processor. */
static void waker(void) {
    world_be(2);
    wake();
    ended[1]++;
}

static void canceller(void) {
    world_be(2);
    weft_cancel(&world.tasks[0]);
    ended[1]++;
}

static void set_up_world(unsigned processors) {
    world_reset(processors);
    world_give_timers();
    world_time_passes = true;
    atomic_init(&flag, 0);
    ended[0] = ended[1] = told = 0;
    model_label(&flag, sizeof(flag), "flag");
    model_label(ended, sizeof(ended), "ended");
    model_label(&told, sizeof(told), "what is told");
}

static void *(*const firsts[])(void *) = {
    wait_twice, sleep_until_cancelled, sleep_soon,    wait_twice,
    join_twice, sleep_twice,           wait_for_ever,
};
static void *(*const seconds[])(void *) = {
    NULL, NULL, sleep_as_long, wake_from_a_task, answer, NULL, sleep_and_wake,
};

/* One processor. */
static void set_up_one(void) {
    set_up_world(1);
    world_hold(0, 0, world_task(0, firsts[model_arg()], WEFT_JOIN_DETACHED));
}

/* A processor for each task. */
static void set_up_two(void) {
    bool joins = firsts[model_arg()] == join_twice;
    set_up_world(2);
    world_hold(0, 0, world_task(0, firsts[model_arg()], WEFT_JOIN_DETACHED));
    world_hold(1, 1,
               world_task(1, seconds[model_arg()],
                          joins ? WEFT_JOIN_NOBODY : WEFT_JOIN_DETACHED));
}

static void check(void) {
    unsigned spares = world.workers[1].is_spare + world.workers[0].is_spare;
    WEFT_CHECK_OP(ended[0], ==, 1u);
    WEFT_CHECK_OP(ended[1], ==, 1u);
    for (unsigned i = 0; i < world.rt.processor_count; i++) {
        WEFT_CHECK_OP(weft_timer_heap_count(&world.processors[i].timers), ==,
                      0u);
    }
    world_check_idle(world.rt.processor_count, spares);
}

#define SCENARIO(title, begins, switches, old, sleepers, number, ...) \
    {                                                                 \
        .name = title, .set_up = begins, .threads = {__VA_ARGS__},    \
        .check = check, .preemptions = switches, .stale = old,        \
        .daemons = sleepers, .arg = number                            \
    }

static const struct model_scenario scenarios[] = {
    SCENARIO("two sleep", set_up_two, 1, 0, 3, 2, worker_0, worker_1),
    SCENARIO("told of a deadline", set_up_two, 1, 1, 3, 6, worker_0, worker_1),
    SCENARIO("twice, woken for nothing", set_up_one, 1, 1, 1, 5, worker_0, NULL,
             waker),
    SCENARIO("woken by a task", set_up_two, 1, 1, 3, 3, worker_0, worker_1),
    SCENARIO("joined in time, or later", set_up_two, 1, 1, 3, 4, worker_0,
             worker_1),
    SCENARIO("woken at the deadline", set_up_one, 2, 1, 1, 0, worker_0, NULL,
             waker),
    SCENARIO("cancelled at the deadline", set_up_one, 1, 1, 1, 1, worker_0,
             NULL, canceller),
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

static void a_deadline_and_a_wake_up_are_both_kept(void **state) {
    (void)state;
    for (int i = 0; i < SCENARIOS; i++) {
        model_expect_right(&scenarios[i]);
    }
}

static void every_order_is_needed(void **state) {
    static const struct model_fault faults[] = {
        {"timer_lock", MODEL_EXCHANGE, memory_order_acquire,
         memory_order_relaxed, -1},
        {"timer_lock", MODEL_EXCHANGE, memory_order_release,
         memory_order_relaxed, -1},
        /* weft_poller_nudge() and poll_and_sleep() */
        {NULL, MODEL_FENCE, memory_order_seq_cst, memory_order_acq_rel, 0},
        {NULL, MODEL_FENCE, memory_order_seq_cst, memory_order_acq_rel, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        model_expect_caught(scenarios, SCENARIOS, faults[i]);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_and_a_wake_up_are_both_kept),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
