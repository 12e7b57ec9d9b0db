/* SPDX-License-Identifier: MIT */
/* What weft is for: a task that never gives way does not hold up the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/check.h"

static _Atomic int stop;

/* A plain loop: no call, no lock, nothing that the runtime sees. */
static void *spin(void *arg) {
    volatile uint64_t n = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        n = n + 1;
        STORM_CHECK();
    }
    return arg;
}

static void *step(void *arg) {
    for (int i = 0; i < 100; i++) {
        ++*(int *)arg;
        weft_yield();
    }
    return NULL;
}

struct scene {
    int hogs;
};

/* Hogs first, so that they have the processors when the others come. */
static void live_beside_hogs(void *arg) {
    struct scene *scene = arg;
    struct weft_task *hogs[16], *light;
    int steps = 0;
    atomic_store_explicit(&stop, 0, memory_order_relaxed);
    for (int i = 0; i < scene->hogs; i++) {
        WEFT_CHECK_OP(weft_spawn(&hogs[i], spin, NULL, NULL), ==, 0);
    }
    for (int i = 0; i < 10; i++) {
        WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
    }
    WEFT_CHECK_OP(weft_spawn(&light, step, &steps, NULL), ==, 0);
    WEFT_CHECK_OP(weft_join(light, NULL), ==, 0);
    WEFT_CHECK_OP(steps, ==, 100);
    atomic_store_explicit(&stop, 1, memory_order_relaxed);
    for (int i = 0; i < scene->hogs; i++) {
        WEFT_CHECK_OP(weft_join(hogs[i], NULL), ==, 0);
    }
}

static void a_loop_without_calls_lets_others_run_on_one_worker(void **state) {
    storm_needs_preemption();
    storm_run(1, 1000, live_beside_hogs, &(struct scene){1});
    storm_run(1, 100, live_beside_hogs, &(struct scene){4});
}

static void loops_without_calls_let_others_run_on_two_workers(void **state) {
    storm_needs_preemption();
    storm_run(2, 1000, live_beside_hogs, &(struct scene){2});
    storm_run(2, 100, live_beside_hogs, &(struct scene){16});
}

static void the_default_quantum_works_as_well(void **state) {
    storm_needs_preemption();
    storm_run(2, 10000, live_beside_hogs, &(struct scene){4});
}

enum { HOGS = 16 };

static _Atomic uint64_t turns[HOGS];

static void *count_turns(void *index) {
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&turns[(uintptr_t)index], 1,
                                  memory_order_relaxed);
        STORM_CHECK();
    }
    return NULL;
}

/* Until each has got on three times; one that is passed over for ever stands
 * still, and the watchdog says so. */
static void see_each_get_on(void *arg) {
    struct weft_task *hogs[HOGS];
    atomic_store_explicit(&stop, 0, memory_order_relaxed);
    for (uintptr_t i = 0; i < HOGS; i++) {
        WEFT_CHECK_OP(weft_spawn(&hogs[i], count_turns, (void *)i, NULL), ==,
                      0);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < HOGS; i++) {
            uint64_t before =
                atomic_load_explicit(&turns[i], memory_order_relaxed);
            while (atomic_load_explicit(&turns[i], memory_order_relaxed) ==
                   before) {
                weft_sleep(WEFT_MS);
            }
        }
    }
    atomic_store_explicit(&stop, 1, memory_order_relaxed);
    for (int i = 0; i < HOGS; i++) {
        WEFT_CHECK_OP(weft_join(hogs[i], NULL), ==, 0);
    }
}

static void every_hog_gets_its_turn(void **state) {
    storm_needs_preemption();
    storm_run(1, 200, see_each_get_on, NULL);
    storm_run(2, 200, see_each_get_on, NULL);
}

static void *yield_for_ever(void *arg) {
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        weft_yield();
    }
    return arg;
}

static void *announce(void *arg) {
    atomic_store_explicit((_Atomic int *)arg, 1, memory_order_relaxed);
    return NULL;
}

/* Light tasks that never pause: the hog and the low one still get a share. */
static void run_beside_yielders(void *arg) {
    struct weft_task_options low = {.priority = WEFT_PRIORITY_LOW};
    struct weft_task *yielders[4], *hog, *late;
    static _Atomic int reached;
    atomic_store_explicit(&stop, 0, memory_order_relaxed);
    atomic_store_explicit(&reached, 0, memory_order_relaxed);
    for (int i = 0; i < 4; i++) {
        weft_spawn(&yielders[i], yield_for_ever, NULL, NULL);
    }
    weft_spawn(&hog, spin, NULL, NULL);
    weft_spawn(&late, announce, &reached, &low);
    WEFT_CHECK_OP(weft_join(late, NULL), ==, 0);
    WEFT_CHECK_OP(reached, ==, 1);
    atomic_store_explicit(&stop, 1, memory_order_relaxed);
    for (int i = 0; i < 4; i++) {
        weft_join(yielders[i], NULL);
    }
    weft_join(hog, NULL);
}

static void nobody_starves_beside_tasks_that_never_pause(void **state) {
    storm_needs_preemption();
    storm_run(1, 500, run_beside_yielders, NULL);
    storm_run(2, 500, run_beside_yielders, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_without_calls_lets_others_run_on_one_worker),
        cmocka_unit_test(loops_without_calls_let_others_run_on_two_workers),
        cmocka_unit_test(the_default_quantum_works_as_well),
        cmocka_unit_test(every_hog_gets_its_turn),
        cmocka_unit_test(nobody_starves_beside_tasks_that_never_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
