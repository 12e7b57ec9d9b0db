/* SPDX-License-Identifier: MIT */
/* The cap on threads (sched/reserve.c) in the checker: all threads there may be
 * exist and few are spare, so a task that has not begun is held back; just then
 * a worker becomes a spare, or the kernel refuses a thread and the reserve
 * does.
 *
 * Checked: a task that is held back is run in the end, once, whoever comes
 * first, and so is work that was pushed meanwhile; who becomes a spare is
 * counted; the lists of idle processors and of spares are right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "weft/sched/reserve.h"
#include "world.h"

static uint32_t ended[2];

static void worker_0(void) {
    world_work(0);
}

static void worker_1(void) {
    world_work(1);
}

/* It comes back from where it had no processor. */
static void worker_2(void) {
    weft_spare_push(world_be(2));
    world_work(2);
}

/* The reserve: it sleeps in its mailbox and is on no list. */
static void reserve(void) {
    world_work(2);
}

/* The spawner. */
static void kernel_refuses(void) {
    world_be(3);
    weft_reserve_refused(&world.rt);
}

static void *first(void *arg) {
    weft_yield();
    ended[0]++;
    return arg;
}

static void *second(void *arg) {
    ended[1]++;
    return arg;
}

/* One processor, whose worker has a task, and one that has not begun waits. */
static void set_up(void) {
    world_reset(1);
    world_hold(0, 0, world_task(0, first, WEFT_JOIN_DETACHED));
    weft_spare_push(&world.workers[1]);
    WEFT_CHECK(weft_reserve_is_low(&world.rt));
    weft_push_global(&world.rt, world_task(1, second, WEFT_JOIN_DETACHED));
    ended[0] = ended[1] = 0;
    model_name(&world.rt.held.length, 4, "held.length");
    model_label(ended, sizeof(ended), "ended");
}

/* The same, but one more thread may come, and one is in reserve for when the
 * kernel says no. */
static void set_up_refused(void) {
    world_reset(1);
    world.rt.config.max_threads = WORLD_WORKERS + 1;
    weft_lock_acquire(&world.rt.idle.lock);
    WEFT_CHECK(weft_reserve_keep(&world.workers[2]));
    weft_lock_release(&world.rt.idle.lock);
    world_hold(0, 0, world_task(0, first, WEFT_JOIN_DETACHED));
    weft_spare_push(&world.workers[1]);
    weft_push_global(&world.rt, world_task(1, second, WEFT_JOIN_DETACHED));
    ended[0] = ended[1] = 0;
    model_name(&world.rt.held.length, 4, "held.length");
    model_label(ended, sizeof(ended), "ended");
}

static void check(void) {
    unsigned spares = 0;
    for (int i = 0; i < WORLD_WORKERS; i++) {
        spares += world.workers[i].is_spare;
    }
    WEFT_CHECK_OP(ended[0], ==, 1u);
    WEFT_CHECK_OP(ended[1], ==, 1u);
    WEFT_CHECK_OP(weft_global_length(&world.rt.held), ==, 0u);
    world_check_idle(1, spares);
}

static const struct model_scenario scenarios[] = {
    {
        .name = "held back beside one that becomes a spare",
        .set_up = set_up,
        .threads = {worker_0, worker_1, worker_2},
        .check = check,
        .preemptions = 1,
        .stale = 1,
        .daemons = 7,
    },
    {
        .name = "held back when the kernel refuses",
        .set_up = set_up_refused,
        .threads = {worker_0, worker_1, reserve, kernel_refuses},
        .check = check,
        .preemptions = 1,
        .stale = 1,
        .daemons = 7,
    },
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

static void what_is_held_back_begins_in_the_end(void **state) {
    (void)state;
    for (int i = 0; i < SCENARIOS; i++) {
        model_expect_right(&scenarios[i]);
    }
}

/* The fences are not among them: each side looks again, so one that is weak
 * costs a look. */
static void every_order_is_needed(void **state) {
    static const struct model_fault faults[] = {
        {"idle.lock", MODEL_EXCHANGE, memory_order_acquire,
         memory_order_relaxed, -1},
        {"idle.lock", MODEL_EXCHANGE, memory_order_release,
         memory_order_relaxed, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        model_expect_caught(scenarios, SCENARIOS, faults[i]);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_held_back_begins_in_the_end),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
