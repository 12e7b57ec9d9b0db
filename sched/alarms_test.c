/* SPDX-License-Identifier: MIT */
/* Workers' own alarms: who waits for a time or a descriptor is served beside a
 * task that computes though the monitor sees nothing; such tasks take turns;
 * and calls of the kernel are not cut short by alarms, or once. */
#define _GNU_SOURCE /* pipe2() */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/core.h"

enum { NAPS = 30, TASKS = 6 };

static _Atomic bool stop;
static _Atomic bool hogs_known; /* there have been alarms */

static void *spin(void *arg) {
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
    }
    return arg;
}

static struct weft_metrics metrics(void) {
    struct weft_metrics m;
    weft_metrics_read(&m);
    return m;
}

/* Spinning tasks, each known as a hog; then the monitor is no more, so that
 * nobody but the hogs' threads knows what is due. */
static void begin_alone(struct weft_task **t, int count) {
    for (int i = 0; i < count; i++) {
        WEFT_CHECK_OP(weft_spawn(&t[i], spin, NULL, NULL), ==, 0);
    }
    while (metrics().preempt_kept < 2 * (uint64_t)count) {
        weft_sleep(WEFT_MS);
    }
    struct weft_worker *w = (struct weft_worker *)weft_thread_self();
    weft_timer_stop(&w->runtime->monitor);
}

static void end(struct weft_task **t, int count) {
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (int i = 0; i < count; i++) {
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
    }
}

static void sleep_beside_hogs(void *hogs) {
    struct weft_task *t[TASKS];
    int count = *(int *)hogs;
    begin_alone(t, count);
    uint64_t before = metrics().alarms;
    for (int i = 0; i < NAPS; i++) {
        WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
    }
    WEFT_CHECK_OP(metrics().alarms - before, >=, (uint64_t)NAPS / 2);
    end(t, count);
}

static void run(unsigned workers, void (*fn)(void *), int hogs) {
    struct weft_config config = {.workers = workers};
    if (WEFT_TSAN ||
        weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT) != WEFT_PREEMPT_SIGNAL) {
        skip();
    }
    atomic_store_explicit(&stop, false, memory_order_relaxed);
    atomic_store_explicit(&hogs_known, false, memory_order_relaxed);
    assert_int_equal(weft_run(&config, fn, &hogs), 0);
}

static void a_sleeper_is_served_beside_hogs_without_the_monitor(void **state) {
    (void)state;
    run(1, sleep_beside_hogs, 1);
    run(1, sleep_beside_hogs, 3);
    run(2, sleep_beside_hogs, 2);
    run(2, sleep_beside_hogs, 4);
}

/* What a task in io does: a byte through a pipe that somebody else writes. */
static struct weft_descriptor *reader;
static int ends[2];

static void read_byte(void) {
    char byte;
    struct weft_task *me = weft_self();
    WEFT_CHECK_OP(weft_poller_enter(reader, WEFT_READING), ==, 0);
    while (read(ends[0], &byte, 1) != 1) {
        WEFT_CHECK_OP(errno, ==, EAGAIN);
        if (weft_poller_arm(reader, WEFT_READING, me) == 0) {
            while (weft_poller_armed(reader, WEFT_READING, me)) {
                (void)weft_park(WEFT_FOREVER, "a byte");
            }
        }
    }
    weft_poller_leave(reader, WEFT_READING);
}

static void *write_bytes(void *arg) {
    for (int i = 0; i < NAPS; i++) {
        usleep(1000);
        WEFT_CHECK_OP(write(ends[1], "x", 1), ==, 1);
    }
    return arg;
}

static void read_beside_hogs(void *hogs) {
    struct weft_task *t[TASKS];
    int count = *(int *)hogs;
    pthread_t writer;
    struct weft_worker *w = (struct weft_worker *)weft_thread_self();
    struct weft_poller *poller = &w->runtime->poller;
    void *waiters[WEFT_DIRECTIONS];
    WEFT_CHECK_OP(pipe2(ends, O_NONBLOCK | O_CLOEXEC), ==, 0);
    WEFT_CHECK_OP(weft_poller_add(poller, ends[0], WEFT_DESCRIPTOR_PIPE), ==,
                  0);
    reader = weft_poller_find(poller, ends[0]);
    begin_alone(t, count);
    WEFT_CHECK_OP(pthread_create(&writer, NULL, write_bytes, NULL), ==, 0);
    for (int i = 0; i < NAPS; i++) {
        read_byte();
    }
    end(t, count);
    pthread_join(writer, NULL);
    WEFT_CHECK_OP(weft_poller_close(reader, waiters), ==, 0);
    weft_poller_leave(reader, WEFT_USING);
    close(ends[1]);
}

static void who_awaits_a_descriptor_is_served_as_well(void **state) {
    (void)state;
    run(1, read_beside_hogs, 1);
    run(2, read_beside_hogs, 2);
}

static void compute_first(void) {
    while (!atomic_load_explicit(&hogs_known, memory_order_relaxed)) {
    }
}

/* Naps of 0.3 ms, until `ms` have passed since the first alarm. */
static void sleep_for(uint64_t ms) {
    uint64_t end = WEFT_FOREVER;
    while (weft_clock_now() < end) {
        WEFT_CHECK_OP(weft_sleep(300 * WEFT_US), ==, 0);
        if (end == WEFT_FOREVER && metrics().alarms > 0) {
            atomic_store_explicit(&hogs_known, true, memory_order_relaxed);
            end = weft_clock_now() + ms * WEFT_MS;
        }
    }
}

/* A hog that then sleeps in the kernel, again and again. */
static void *compute_and_nap(void *arg) {
    compute_first();
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        uint64_t begin = weft_clock_now();
        while (weft_clock_now() < begin + 3 * WEFT_MS) {
        }
        struct timespec nap = {.tv_nsec = 400 * 1000};
        (void)nanosleep(&nap, NULL);
    }
    return arg;
}

static void nap_beside_a_sleeper(void *hogs) {
    struct weft_task *t[TASKS];
    int count = *(int *)hogs;
    for (int i = 0; i < count; i++) {
        WEFT_CHECK_OP(weft_spawn(&t[i], compute_and_nap, NULL, NULL), ==, 0);
    }
    sleep_for(300);
    WEFT_CHECK_OP(metrics().cut_short, <=, (uint64_t)count);
    end(t, count);
}

static void an_alarm_cuts_one_call_of_a_task_short_at_most(void **state) {
    (void)state;
    run(1, nap_beside_a_sleeper, 2);
    run(2, nap_beside_a_sleeper, 4);
}

static void *nap_openly(void *unused) {
    struct timespec nap = {.tv_nsec = 2 * 1000 * 1000};
    (void)nanosleep(&nap, NULL); /* a request may have been on its way */
    return unused;
}

/* weft_blocking() in the middle of a hog's slice, with an alarm set. */
static void *compute_and_block(void *arg) {
    compute_first();
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        uint64_t begin = weft_clock_now();
        while (weft_clock_now() < begin + 2 * WEFT_MS) {
        }
        weft_blocking(nap_openly, NULL);
    }
    return arg;
}

static void block_beside_a_sleeper(void *hogs) {
    struct weft_task *t[TASKS];
    int count = *(int *)hogs;
    for (int i = 0; i < count; i++) {
        WEFT_CHECK_OP(weft_spawn(&t[i], compute_and_block, NULL, NULL), ==, 0);
    }
    sleep_for(200);
    WEFT_CHECK_OP(metrics().cut_short, ==, 0UL);
    end(t, count);
}

static void no_alarm_cuts_a_call_short_that_blocks_openly(void **state) {
    (void)state;
    run(1, block_beside_a_sleeper, 3);
    run(2, block_beside_a_sleeper, 6);
}

/* --- their turns -----------------------------------------------------------
 */

enum { TURNS_EACH = 100 };

static _Atomic uint32_t turns[TASKS];
static _Atomic uint64_t running; /* who had the last turn, or has one: from 1 */

/* It notes each turn of its: somebody else had one since its last. */
WEFT_MIGRATABLE WEFT_NOINLINE static void *take_turns(void *index) {
    uintptr_t i = (uintptr_t)index;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        if (atomic_exchange_explicit(&running, i + 1, memory_order_relaxed) !=
            i + 1) {
            atomic_fetch_add_explicit(&turns[i], 1, memory_order_relaxed);
        }
    }
    return NULL;
}

/* There is no monitor, and who is fresh is no hog yet. */
static void take_turns_alone(void *unused) {
    struct weft_task *t[TASKS];
    struct weft_task_options options = {.migratable = true};
    struct weft_worker *w = (struct weft_worker *)weft_thread_self();
    (void)unused;
    weft_timer_stop(&w->runtime->monitor);
    for (uintptr_t i = 0; i < TASKS; i++) {
        atomic_store_explicit(&turns[i], 0, memory_order_relaxed);
        WEFT_CHECK_OP(weft_spawn(&t[i], take_turns, (void *)i, &options), ==,
                      0);
    }
    for (int i = 0; i < TASKS; i++) {
        while (atomic_load_explicit(&turns[i], memory_order_relaxed) <
               TURNS_EACH) {
            weft_sleep(WEFT_MS);
        }
    }
    end(t, TASKS);
}

static void migratable_tasks_take_turns_without_the_monitor(void **state) {
    struct weft_config config = {.workers = 1, .quantum_ns = 50 * WEFT_US};
    (void)state;
    if (WEFT_TSAN ||
        weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT) != WEFT_PREEMPT_SIGNAL) {
        skip();
    }
    atomic_store_explicit(&stop, false, memory_order_relaxed);
    assert_int_equal(weft_run(&config, take_turns_alone, NULL), 0);
}

static void count_nothing(void *hogs) {
    struct weft_task *t[TASKS];
    int count = *(int *)hogs;
    for (int i = 0; i < count; i++) {
        WEFT_CHECK_OP(weft_spawn(&t[i], spin, NULL, NULL), ==, 0);
    }
    for (int i = 0; i < NAPS; i++) {
        WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
    }
    WEFT_CHECK_OP(metrics().alarms, ==, 0UL);
    end(t, count);
}

static void with_the_policy_off_there_are_none(void **state) {
    struct weft_config config = {.workers = 1,
                                 .policies_off = WEFT_POLICY_ALARM};
    int hogs = 1;
    (void)state;
    if (WEFT_TSAN ||
        weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT) != WEFT_PREEMPT_SIGNAL) {
        skip();
    }
    atomic_store_explicit(&stop, false, memory_order_relaxed);
    assert_int_equal(weft_run(&config, count_nothing, &hogs), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sleeper_is_served_beside_hogs_without_the_monitor),
        cmocka_unit_test(who_awaits_a_descriptor_is_served_as_well),
        cmocka_unit_test(an_alarm_cuts_one_call_of_a_task_short_at_most),
        cmocka_unit_test(no_alarm_cuts_a_call_short_that_blocks_openly),
        cmocka_unit_test(migratable_tasks_take_turns_without_the_monitor),
        cmocka_unit_test(with_the_policy_off_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
