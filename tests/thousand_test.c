/* SPDX-License-Identifier: MIT */
/* A thousand tasks that never give way: all compute, all are inside libc, all
 * block their thread without telling anybody. With threads enough for them, and
 * far beyond the cap on threads.
 *
 * What is promised, in picks (tasks that were chosen to run) and not in time,
 * of which the machine may have little:
 *
 *     threads enough   each of the tasks gets on before BOUND picks a task are
 *                      over
 *     at the cap       each task that has begun gets on in as many; whoever
 *                      waits for a friend or gives way goes on before there
 *                      have been MEANWHILE times as many picks as tasks; each
 *                      of the others begins when one has ended: all come to
 *                      their end
 *     in both          never more threads than the cap, and few when all is
 *                      over */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"

enum {
    TASKS = WEFT_ASAN ? WEFT_THOUSAND / 10 : WEFT_THOUSAND, /* its calls last */
    AT_CAP = 20,                                            /* threads */
    BOUND = 300,    /* see sched/hogs.c: a task may owe 256 turns */
    STEPS = 20,     /* of the one that gives way */
    MEANWHILE = 50, /* the other processor's, while the kernel lets our thread
                       wait: on a busy machine far more than its own turn */
};

static _Atomic uint32_t progress[TASKS];
static _Atomic bool time_is_up;
static void (*work)(uint32_t round);

static void compute(uint32_t round) {
    (void)round;
    for (int i = 0; i < 1000; i++) {
        __asm__ volatile("");
    }
}

static void call_libc(uint32_t round) {
    char text[64];
    char *copy = malloc(32 + round % 500);
    snprintf(text, sizeof text, "%u %g", round, (double)round / 8);
    strcpy(copy, text);
    WEFT_CHECK_OP(strtoul(copy, NULL, 10), ==, (unsigned long)round);
    free(copy);
}

/* Its processor is taken if others wait for it. */
static void block(uint32_t round) {
    struct timespec ts = {.tv_nsec = 20000000 + round % 7 * 5000000};
    while (nanosleep(&ts, &ts) != 0) {
        WEFT_CHECK_OP(errno, ==, EINTR);
    }
}

static void *go_on(void *index) {
    _Atomic uint32_t *mine = &progress[(uintptr_t)index];
    uint32_t round = 0;
    do {
        work(++round);
        STORM_CHECK();
        atomic_store_explicit(mine, round, memory_order_relaxed);
    } while (!atomic_load_explicit(&time_is_up, memory_order_relaxed));
    return index;
}

/* For the watchdog. */
static bool has_moved(void) {
    static uint64_t seen;
    uint64_t sum = 0;
    for (unsigned i = 0; i < TASKS; i++) {
        sum += atomic_load_explicit(&progress[i], memory_order_relaxed);
    }
    bool moved = sum != seen;
    seen = sum;
    return moved;
}

static uint64_t picks(void) {
    struct weft_metrics m;
    weft_metrics_read(&m);
    return m.switches;
}

/* Waits until each task that has begun (all of them, if `all`) has got on by a
 * round. */
static void await_all(bool all) {
    static uint32_t before[TASKS];
    uint64_t limit = picks() + (uint64_t)BOUND * TASKS;
    for (unsigned i = 0; i < TASKS; i++) {
        before[i] = atomic_load_explicit(&progress[i], memory_order_relaxed);
    }
    for (unsigned i = 0; i < TASKS; i++) {
        while ((all || before[i] != 0) &&
               atomic_load_explicit(&progress[i], memory_order_relaxed) ==
                   before[i]) {
            WEFT_CHECK_OP(picks(), <, limit);
            WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
        }
    }
}

static struct weft_task *tasks[TASKS];

static void start_all(void) {
    atomic_store_explicit(&time_is_up, false, memory_order_relaxed);
    for (uintptr_t i = 0; i < TASKS; i++) {
        atomic_store_explicit(&progress[i], 0, memory_order_relaxed);
    }
    for (uintptr_t i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[i], go_on, (void *)i, NULL), ==, 0);
    }
}

static void end_all(void) {
    atomic_store_explicit(&time_is_up, true, memory_order_relaxed);
    for (unsigned i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
        WEFT_CHECK_OP(atomic_load_explicit(&progress[i], memory_order_relaxed),
                      >, 0U);
    }
}

static void run_with_threads_enough(void *metrics) {
    start_all();
    await_all(true);
    await_all(true);
    weft_metrics_read(metrics);
    end_all();
}

static void run_at_the_cap(void *metrics) {
    struct weft_metrics *m = metrics;
    start_all();
    for (int i = 0; i < STEPS; i++) {
        uint64_t limit = picks() + (uint64_t)MEANWHILE * TASKS;
        weft_yield();
        WEFT_CHECK_OP(picks(), <=, limit);
    }
    await_all(false);
    await_all(false);
    weft_metrics_read(m);
    WEFT_CHECK_OP(m->threads, <=, (unsigned)AT_CAP);
    end_all();
}

static void storm(void (*fn)(uint32_t), unsigned cap, struct weft_metrics *m) {
    struct weft_config config = {.workers = 2,
                                 .max_threads = cap,
                                 .quantum_ns = 100 * WEFT_US,
                                 .min_slice_ns = 100 * WEFT_US};
    work = fn;
    *m = (struct weft_metrics){0};
    storm_on_stall(has_moved);
    storm_run_with(&config,
                   cap == AT_CAP ? run_at_the_cap : run_with_threads_enough, m);
    storm_on_stall(NULL);
    print_message(
        "%u threads, %llu picks, %llu kept, %llu retaken, %llu "
        "skipped, %llu held\n",
        m->threads, (unsigned long long)m->switches,
        (unsigned long long)m->preempt_kept, (unsigned long long)m->retaken,
        (unsigned long long)m->skipped_at_cap,
        (unsigned long long)m->held_at_cap);
}

static void with_threads_enough(void (*fn)(uint32_t)) {
    struct weft_metrics m;
    storm_needs_preemption();
    storm(fn, TASKS + 100, &m);
    assert_int_equal(m.held_at_cap, 0);
}

static void at_the_cap(void (*fn)(uint32_t)) {
    struct weft_metrics m;
    storm_needs_preemption();
    storm(fn, AT_CAP, &m);
}

static void a_thousand_that_compute_all_get_on(void **state) {
    with_threads_enough(compute);
}

static void a_thousand_inside_libc_all_get_on(void **state) {
    with_threads_enough(call_libc);
}

static void a_thousand_that_block_all_get_on(void **state) {
    with_threads_enough(block);
}

static void at_the_cap_a_thousand_that_compute_starve_nobody(void **state) {
    at_the_cap(compute);
}

static void at_the_cap_a_thousand_inside_libc_starve_nobody(void **state) {
    at_the_cap(call_libc);
}

static void at_the_cap_a_thousand_that_block_starve_nobody(void **state) {
    at_the_cap(block);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_that_compute_all_get_on),
        cmocka_unit_test(a_thousand_inside_libc_all_get_on),
        cmocka_unit_test(a_thousand_that_block_all_get_on),
        cmocka_unit_test(at_the_cap_a_thousand_that_compute_starve_nobody),
        cmocka_unit_test(at_the_cap_a_thousand_inside_libc_starve_nobody),
        cmocka_unit_test(at_the_cap_a_thousand_that_block_starve_nobody),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
