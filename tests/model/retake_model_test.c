/* SPDX-License-Identifier: MIT */
/* Processors lost and given (sched/keep.c) in the checker: a monitor takes the
 * processor of a worker that seems to sleep while that worker comes back, gives
 * it up by itself (weft_blocking()), or keeps an interrupted task.
 *
 * Checked: a processor has one worker at a time (its plain fields, which its
 * owner writes at every slice, are watched for races); every task is run; in
 * the end all processors are idle and all threads asleep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "world.h"

static uint32_t ended[2], blocked;

static void worker_0(void) {
    world_work(0);
}

static void worker_1(void) {
    world_work(1);
}

static void monitor(void) {
    weft_retake(&world.rt, &world.processors[0], &world.workers[0]);
}

/* Outside the runtime but for two calls; the processor may go at any time. */
static void *yield(void *arg) {
    (void)arg;
    weft_yield();
    weft_yield();
    ended[0]++;
    return NULL;
}

static void *in_the_kernel(void *arg) {
    blocked++;
    return arg;
}

static void *block(void *arg) {
    (void)arg;
    (void)weft_blocking(in_the_kernel, NULL);
    ended[0]++;
    return NULL;
}

/* As the signal handler does, on the task's own stack. */
static void *is_interrupted(void *arg) {
    struct weft_worker *w = weft_enter();
    (void)arg;
    weft_keep(w);
    weft_leave(w);
    ended[0]++;
    return NULL;
}

static void *other(void *arg) {
    (void)arg;
    ended[1]++;
    return NULL;
}

static void *(*const bodies[])(void *) = {yield, block, is_interrupted};

/* One processor; its worker runs the first task, a spare is there, and the
 * second task waits. */
static void set_up(void) {
    struct weft_task *t = world.tasks;
    world_reset(1);
    t = world_task(0, bodies[model_arg()], WEFT_JOIN_DETACHED);
    world_hold(0, 0, t);
    weft_spare_push(&world.workers[1]);
    weft_push_global(&world.rt, world_task(1, other, WEFT_JOIN_DETACHED));
    ended[0] = ended[1] = blocked = 0;
    model_label(ended, sizeof(ended), "ended");
}

static void check(void) {
    WEFT_CHECK_OP(ended[0], ==, 1u);
    WEFT_CHECK_OP(ended[1], ==, 1u);
    WEFT_CHECK_OP(world.rt.bound, ==, 0u);
    WEFT_CHECK_OP(world.rt.strays, ==, 0u);
    world_check_idle(1, 1);
}

static const struct model_scenario scenarios[] = {
    {
        .name = "taken while it comes back",
        .set_up = set_up,
        .threads = {worker_0, worker_1, monitor},
        .check = check,
        .preemptions = 1,
        .stale = 1,
        .daemons = 3,
        .arg = 0,
    },
    {
        .name = "taken and given up",
        .set_up = set_up,
        .threads = {worker_0, worker_1, monitor},
        .check = check,
        .preemptions = 1,
        .stale = 1,
        .daemons = 3,
        .arg = 1,
    },
    {
        .name = "kept",
        .set_up = set_up,
        .threads = {worker_0, worker_1},
        .check = check,
        .preemptions = 1,
        .stale = 1,
        .daemons = 3,
        .arg = 2,
    },
};

static void a_processor_that_is_taken_has_one_worker(void **state) {
    model_expect_right(&scenarios[0]);
}

static void giving_up_and_taking_meet(void **state) {
    model_expect_right(&scenarios[1]);
}

static void who_is_interrupted_gets_a_processor_again(void **state) {
    model_expect_right(&scenarios[2]);
}

static void every_order_is_needed(void **state) {
    static const struct model_fault faults[] = {
        {"gate.closed", MODEL_STORE, memory_order_release, memory_order_relaxed,
         0},
        {"gate.closed", MODEL_LOAD, memory_order_acquire, memory_order_relaxed,
         2},
        {"worker.handover", MODEL_EXCHANGE, memory_order_release,
         memory_order_relaxed, -1},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        model_expect_caught(scenarios, 3, faults[i]);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_processor_that_is_taken_has_one_worker),
        cmocka_unit_test(giving_up_and_taking_meet),
        cmocka_unit_test(who_is_interrupted_gets_a_processor_again),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
