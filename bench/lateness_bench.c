/* SPDX-License-Identifier: MIT */
/* How late a task wakes that sleeps 1 ms again and again beside tasks that
 * spin: what preemption is for. The same with kernel threads, in one run.
 *
 * Surprising here: a p99 over 0.5 ms for weft on a machine that does nothing
 * else (the spinning tasks' threads have alarms), or fewer than 880 wake-ups a
 * second.
 *
 *   bazel run -c opt //bench:lateness_bench [-- SECONDS] */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "weft/base/clock.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"

enum { MAX_SAMPLES = 1 << 20, MAX_SPINNERS = 16 };

static uint64_t late[MAX_SAMPLES];
static int samples;
static uint64_t run_for;
static _Atomic bool stop;

static void *spin(void *arg) {
    volatile uint64_t n = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        n = n + 1;
    }
    return arg;
}

static void nap(void (*sleep_until)(uint64_t)) {
    uint64_t begin = weft_clock_now();
    samples = 0;
    while (weft_clock_now() < begin + run_for && samples < MAX_SAMPLES) {
        uint64_t deadline = weft_clock_now() + WEFT_MS;
        sleep_until(deadline);
        late[samples++] = weft_clock_now() - deadline;
    }
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print(const char *who, unsigned workers, int spinners) {
    qsort(late, (size_t)samples, sizeof late[0], by_value);
    printf(
        "%-8s workers %u spinners %d  late ms: p50 %7.3f p90 %7.3f "
        "p99 %7.3f max %7.3f  wake-ups/s %.0f\n",
        who, workers, spinners, (double)late[samples / 2] / 1e6,
        (double)late[samples * 9 / 10] / 1e6,
        (double)late[samples * 99 / 100] / 1e6, (double)late[samples - 1] / 1e6,
        (double)samples * 1e9 / (double)run_for);
    fflush(stdout);
}

static void task_sleep(uint64_t deadline) {
    weft_sleep_until(deadline);
}

static void run_tasks(void *arg) {
    struct weft_task *t[MAX_SPINNERS];
    int spinners = *(int *)arg;
    for (int i = 0; i < spinners; i++) {
        if (weft_spawn(&t[i], spin, NULL, NULL) != 0) {
            abort();
        }
    }
    weft_sleep(50 * WEFT_MS);
    nap(task_sleep);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (int i = 0; i < spinners; i++) {
        weft_join(t[i], NULL);
    }
}

static void thread_sleep(uint64_t deadline) {
    struct timespec until = weft_ns_timespec(deadline);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) {
    }
}

static void run_threads(int spinners) {
    pthread_t t[MAX_SPINNERS];
    for (int i = 0; i < spinners; i++) {
        if (pthread_create(&t[i], NULL, spin, NULL) != 0) {
            abort();
        }
    }
    nap(thread_sleep);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (int i = 0; i < spinners; i++) {
        pthread_join(t[i], NULL);
    }
}

int main(int argc, char **argv) {
    static const struct {
        unsigned workers;
        int spinners;
    } scenes[] = {{2, 0}, {2, 2}, {2, 4}, {1, 1}};
    run_for = (argc > 1 ? strtoull(argv[1], NULL, 10) : 3) * WEFT_S;
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
        struct weft_config config = {.workers = scenes[i].workers};
        int spinners = scenes[i].spinners;
        atomic_store_explicit(&stop, false, memory_order_relaxed);
        if (weft_run(&config, run_tasks, &spinners) != 0) {
            abort();
        }
        print("weft", scenes[i].workers, spinners);
        atomic_store_explicit(&stop, false, memory_order_relaxed);
        run_threads(spinners);
        print("threads", scenes[i].workers, spinners);
    }
    return 0;
}
