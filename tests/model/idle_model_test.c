/* SPDX-License-Identifier: MIT */
/* The idle protocol (sched/ready.c, worker.c) in the checker: who makes work
 * while workers go to sleep, and who goes to sleep last.
 *
 * Checked: whatever is made ready is run, by somebody who sees what its waker
 * did before; in the end all sleep, and lists and counts agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "world.h"

static uint32_t given[2], taken[2]; /* by task */

static void *take(void *arg) {
    int me = (int)(weft_self() - world.tasks);
    (void)arg;
    WEFT_CHECK_OP(given[me], ==, 1u);
    taken[me]++;
    return NULL;
}

/* A thread in the runtime without a processor, as one that was taken from. */
static void wake_one(void) {
    world_be(2);
    given[0] = 1;
    weft_unpark(&world.tasks[0]);
}

static void wake_other(void) {
    world_be(3);
    given[1] = 1;
    weft_unpark(&world.tasks[1]);
}

static void wake_both(void) {
    wake_one();
    given[1] = 1;
    weft_unpark(&world.tasks[1]);
}

static void worker_0(void) {
    world_work(0);
}

static void worker_1(void) {
    world_work(1);
}

static void set_up_tasks(void) {
    for (int i = 0; i < 2; i++) {
        world_parked_task(i, take);
        given[i] = taken[i] = 0;
    }
    model_label(given, sizeof(given), "given");
    model_label(taken, sizeof(taken), "taken");
}

/* One processor; its worker is about to look for work. */
static void set_up_one(void) {
    world_reset(1);
    set_up_tasks();
    world_hold(0, 0, NULL);
}

/* The same with a spare beside. */
static void set_up_spare(void) {
    set_up_one();
    weft_spare_push(&world.workers[1]);
}

/* Two processors, two workers that look for work. */
static void set_up_two(void) {
    world_reset(2);
    set_up_tasks();
    world_hold(0, 0, NULL);
    world_hold(1, 1, NULL);
}

/* Two processors, one of which is idle, and a spare. */
static void set_up_half(void) {
    world_reset(2);
    set_up_tasks();
    world_hold(0, 0, NULL);
    weft_spare_push(&world.workers[1]);
}

static void check(void) {
    unsigned spares = world.workers[1].is_spare + world.workers[0].is_spare;
    WEFT_CHECK_OP(taken[0], ==, 1u);
    WEFT_CHECK_OP(taken[1], ==, model_arg() > 1 ? 1u : 0u);
    world_check_idle(world.rt.processor_count, spares);
    WEFT_CHECK_OP(world.rt.poll_seat, ==, (uint32_t)WEFT_SEAT_WORKER);
}

static const struct model_scenario scenarios[] = {
    {
        .name = "one worker",
        .set_up = set_up_one,
        .threads = {worker_0, NULL, wake_one},
        .check = check,
        .preemptions = 2,
        .stale = 1,
        .daemons = 1,
        .arg = 1,
    },
    {
        .name = "one worker, twice",
        .set_up = set_up_one,
        .threads = {worker_0, NULL, wake_both},
        .check = check,
        .preemptions = 2,
        .stale = 1,
        .daemons = 1,
        .arg = 2,
    },
    {
        .name = "one worker, two wakers",
        .set_up = set_up_one,
        .threads = {worker_0, NULL, wake_one, wake_other},
        .check = check,
        .preemptions = 1,
        .stale = 1,
        .daemons = 1,
        .arg = 2,
    },
    {
        .name = "a spare",
        .set_up = set_up_spare,
        .threads = {worker_0, worker_1, wake_one},
        .check = check,
        .preemptions = 1,
        .stale = 1,
        .daemons = 3,
        .arg = 1,
    },
    {
        .name = "two workers",
        .set_up = set_up_two,
        .threads = {worker_0, worker_1, wake_one},
        .check = check,
        .preemptions = 1,
        .stale = 1,
        .daemons = 3,
        .arg = 1,
    },
    {
        .name = "an idle processor",
        .set_up = set_up_half,
        .threads = {worker_0, worker_1, wake_one},
        .check = check,
        .preemptions = 1,
        .stale = 1,
        .daemons = 3,
        .arg = 1,
    },
    {
        .name = "two wakers",
        .set_up = set_up_half,
        .threads = {worker_0, worker_1, wake_one, wake_other},
        .check = check,
        .preemptions = 0,
        .stale = 0,
        .daemons = 3,
        .arg = 2,
    },
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

static void nothing_that_is_ready_is_left(void **state) {
    for (int i = 0; i < SCENARIOS; i++) {
        model_expect_right(&scenarios[i]);
    }
}

/* The fences of who sleeps and of who wakes, and the lock of the lists. */
static void every_order_is_needed(void **state) {
    static const struct model_fault faults[] = {
        {NULL, MODEL_FENCE, memory_order_seq_cst, memory_order_acq_rel, 0},
        {NULL, MODEL_FENCE, memory_order_seq_cst, memory_order_acq_rel, 2},
        {"idle.lock", MODEL_EXCHANGE, memory_order_acquire,
         memory_order_relaxed, -1},
        {"idle.lock", MODEL_EXCHANGE, memory_order_release,
         memory_order_relaxed, -1},
    };
    for (int i = 0; i < 4; i++) {
        model_expect_caught(scenarios, SCENARIOS, faults[i]);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_is_ready_is_left),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
