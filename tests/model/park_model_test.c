/* SPDX-License-Identifier: MIT */
/* Parking, joining, detaching (sched/switch.c, unpark.c, spawn.c) in the
 * checker, with the switches of stacks that they are about: two workers, a task
 * on each.
 *
 * Checked: a task that is unparked goes on, and sees what its waker did; a task
 * that is joined is seen with its result, and its record is freed once, by
 * whom the word `joiner` says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "world.h"

static _Atomic uint32_t flag;
static uint32_t ended[2], value;

static void worker_0(void) {
    world_work(0);
}

static void worker_1(void) {
    world_work(1);
}

/* The flag is relaxed: that it is seen after a park is the token's doing. */
static void *wait_for_flag(void *arg) {
    (void)arg;
    while (atomic_load_explicit(&flag, memory_order_relaxed) == 0) {
        WEFT_CHECK_OP(weft_park(WEFT_FOREVER, "flag"), ==, 0);
    }
    ended[0]++;
    return NULL;
}

static void *wake(void *arg) {
    (void)arg;
    atomic_store_explicit(&flag, 1, memory_order_relaxed);
    weft_unpark(&world.tasks[0]);
    ended[1]++;
    return NULL;
}

static void *wait_until_cancelled(void *arg) {
    (void)arg;
    while (weft_park(WEFT_FOREVER, "cancel") != -ECANCELED) {
    }
    ended[0]++;
    return NULL;
}

static void *cancel(void *arg) {
    (void)arg;
    weft_cancel(&world.tasks[0]);
    ended[1]++;
    return NULL;
}

static void *join(void *arg) {
    void *result = NULL;
    (void)arg;
    WEFT_CHECK_OP(weft_join(&world.tasks[1], &result), ==, 0);
    WEFT_CHECK_OP(result, ==, (void *)&value);
    WEFT_CHECK_OP(value, ==, 7u);
    ended[0]++;
    return NULL;
}

static void *detach(void *arg) {
    (void)arg;
    WEFT_CHECK_OP(weft_detach(&world.tasks[1]), ==, 0);
    ended[0]++;
    return NULL;
}

static void *answer(void *arg) {
    (void)arg;
    value = 7;
    ended[1]++;
    return &value;
}

static void *(*const bodies[][2])(void *) = {
    {wait_for_flag, wake},
    {wait_until_cancelled, cancel},
    {join, answer},
    {detach, answer},
};

static void set_up(void) {
    bool joinable = model_arg() >= 2;
    world_reset(2);
    world_hold(0, 0, world_task(0, bodies[model_arg()][0], WEFT_JOIN_DETACHED));
    world_hold(1, 1,
               world_task(1, bodies[model_arg()][1],
                          joinable ? WEFT_JOIN_NOBODY : WEFT_JOIN_DETACHED));
    atomic_init(&flag, 0);
    value = ended[0] = ended[1] = 0;
    model_label(&flag, sizeof(flag), "flag");
    model_label(&value, sizeof(value), "value");
}

static void check(void) {
    unsigned records = 0;
    for (int i = 0; i < 2; i++) {
        WEFT_CHECK_OP(ended[i], ==, 1u);
        WEFT_CHECK_OP(world.tasks[i].state, ==, (uint32_t)WEFT_TASK_IDLE);
        WEFT_CHECK(weft_batch_valid(&world.processors[i].free_tasks));
        records += world.processors[i].free_tasks.count;
    }
    WEFT_CHECK_OP(records, ==, 2u);
    world_check_idle(2, 1);
}

#define SCENARIO(title, number)                                           \
    {                                                                     \
        .name = title, .set_up = set_up, .threads = {worker_0, worker_1}, \
        .check = check, .preemptions = 1, .stale = 1, .daemons = 3,       \
        .arg = number                                                     \
    }

static const struct model_scenario scenarios[] = {
    SCENARIO("park and unpark", 0),
    SCENARIO("park and cancel", 1),
    SCENARIO("join and end", 2),
    SCENARIO("detach and end", 3),
};

static void whoever_is_unparked_goes_on(void **state) {
    model_expect_right(&scenarios[0]);
    model_expect_right(&scenarios[1]);
}

static void a_record_is_freed_once(void **state) {
    model_expect_right(&scenarios[2]);
    model_expect_right(&scenarios[3]);
}

static void every_order_is_needed(void **state) {
    static const struct model_fault faults[] = {
        /* park_commit(). The acquire of its refused exchange is not here: the
         * token is still there and taken with acquire by park(). */
        {"task.token", MODEL_EXCHANGE, memory_order_release,
         memory_order_relaxed, 0},
        /* weft_unpark(): from PARKED, and the other */
        {"task.token", MODEL_EXCHANGE, memory_order_acq_rel,
         memory_order_release, 1},
        {"task.token", MODEL_EXCHANGE, memory_order_release,
         memory_order_relaxed, 1},
        /* weft_task_ended() and weft_join_until(). The other half, what was
         * done with a record before it is used again, nobody does here. */
        {"task.joiner", MODEL_EXCHANGE, memory_order_acq_rel,
         memory_order_acquire, 1},
        {"task.joiner", MODEL_REFUSED, memory_order_acquire,
         memory_order_relaxed, 0},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        model_expect_caught(scenarios, 4, faults[i]);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_unparked_goes_on),
        cmocka_unit_test(a_record_is_freed_once),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
