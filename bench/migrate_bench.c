/* SPDX-License-Identifier: MIT */
/* What an interruption costs a task that keeps its thread and one that may be
 * moved; and how very many tasks share two workers that only compute.
 *
 *     migrate_bench                           the first
 *     migrate_bench TASKS SECONDS [QUANTUM]   the second; in us, 50 if not
 *                                             given
 *
 * The cost is the work that is missing, in comparison with one task that nobody
 * interrupts, divided by the interruptions. Both runs are as long in CPU time
 * of the process, so other load on the machine matters little. Shares are of
 * all that each task has done, from its first slice on, SECONDS after the last
 * one was made. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weft/base/clock.h"
#include "weft/base/compiler.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"

enum { MAX_TASKS = 1000000, COST_TASKS = 16 };

static _Atomic bool time_is_up;
static struct weft_task *tasks[MAX_TASKS];
static uint64_t shares[MAX_TASKS]; /* what each has done, in order of size */

/* A line for each, or neighbours that run at once slow each other down: they
 * did a third of the work, and unevenly. */
static struct { _Alignas(WEFT_CACHE_LINE) uint64_t done; } work[MAX_TASKS];

static struct run {
    bool migratable;
    unsigned workers, tasks;
    uint64_t ns;
    bool all;     /* measures from their first slices on */
    double spent; /* CPU seconds */
    struct weft_metrics before, after;
} run;

WEFT_MIGRATABLE __attribute__((noinline)) static void *spin(void *index) {
    uint64_t n = 0;
    while (!atomic_load_explicit(&time_is_up, memory_order_relaxed)) {
        for (int i = 0; i < 64; i++) {
            __asm__ volatile("");
        }
        work[(uintptr_t)index].done = ++n;
    }
    return NULL;
}

/* What each has done by now; returns the sum. */
static uint64_t work_done(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < run.tasks; i++) {
        sum += shares[i] = *(volatile uint64_t *)&work[i].done;
    }
    return sum;
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint64_t done_at_start;

static _Atomic unsigned held;
static _Atomic bool all_there;

/* Keeps a processor from beginning before all tasks are there. */
static void hold(void *unused) {
    (void)unused;
    weft_preempt_disable();
    atomic_fetch_add_explicit(&held, 1, memory_order_relaxed);
    while (!atomic_load_explicit(&all_there, memory_order_relaxed)) {
    }
    weft_preempt_enable();
}

static void hold_others(void) {
    atomic_store_explicit(&held, 0, memory_order_relaxed);
    atomic_store_explicit(&all_there, !run.all, memory_order_relaxed);
    for (unsigned i = 1; run.all && i < run.workers; i++) {
        if (weft_go(hold, NULL) != 0) {
            exit(1);
        }
        while (atomic_load_explicit(&held, memory_order_relaxed) < i) {
            weft_sleep(WEFT_MS);
        }
    }
}

static void run_tasks(void *arg) {
    struct weft_task_options options = {.migratable = run.migratable,
                                        .stack_size = 16 << 10};
    (void)arg;
    hold_others();
    weft_preempt_disable();
    for (uintptr_t i = 0; i < run.tasks; i++) {
        if (weft_spawn(&tasks[i], spin, (void *)i, &options) != 0) {
            fprintf(stderr, "no more than %lu tasks\n", (unsigned long)i);
            exit(1);
        }
    }
    if (!run.all) {
        weft_preempt_enable();
        weft_sleep(100 * WEFT_MS);
        weft_preempt_disable();
        done_at_start = work_done();
    }
    weft_metrics_read(&run.before);
    double began = cpu_seconds();
    uint64_t end = weft_now() + run.ns;
    atomic_store_explicit(&all_there, true, memory_order_relaxed);
    weft_preempt_enable(); /* a preemption that fell due: it waits a round */
    weft_sleep_until(end);
    weft_preempt_disable();
    run.spent = cpu_seconds() - began;
    done_at_start = work_done() - done_at_start;
    weft_metrics_read(&run.after);
    atomic_store_explicit(&time_is_up, true, memory_order_relaxed);
    weft_preempt_enable();
    for (unsigned i = 0; i < run.tasks; i++) {
        weft_join(tasks[i], NULL);
    }
}

/* Units of work per CPU second. */
static double start(unsigned workers, uint64_t quantum, unsigned count,
                    bool migratable, bool all, uint64_t ns) {
    struct weft_config config = {.workers = workers, .quantum_ns = quantum};
    atomic_store_explicit(&time_is_up, false, memory_order_relaxed);
    memset(work, 0, count * sizeof work[0]);
    run.workers = workers;
    run.migratable = migratable;
    run.tasks = count;
    run.ns = ns;
    run.all = all;
    done_at_start = 0;
    int error = weft_run(&config, run_tasks, NULL);
    if (error != 0) {
        fprintf(stderr, "weft_run: %s\n", strerror(-error));
        exit(1);
    }
    return (double)done_at_start / run.spent;
}

static void measure_cost(void) {
    double alone = start(1, 50 * WEFT_US, 1, true, false, 2 * WEFT_S);
    for (int migratable = 0; migratable < 2; migratable++) {
        double rate =
            start(1, 50 * WEFT_US, COST_TASKS, migratable, false, 4 * WEFT_S);
        uint64_t times =
            migratable
                ? run.after.preempt_migrated - run.before.preempt_migrated
                : run.after.preempt_kept - run.before.preempt_kept;
        double lost = run.spent * (1 - rate / alone);
        printf(
            "%-10s %7.0f/s  %5.2f us of CPU each, monitor included; %u "
            "threads\n",
            migratable ? "migratable" : "ordinary", (double)times / 4,
            1e6 * lost / (double)times, run.after.threads);
    }
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void spin_many(unsigned count, unsigned seconds, unsigned quantum) {
    unsigned outside = 0;
    start(2, quantum * WEFT_US, count, true, true, seconds * WEFT_S);
    qsort(shares, count, sizeof shares[0], compare);
    double median = (double)shares[count / 2];
    for (unsigned i = 0; i < count; i++) {
        outside +=
            (double)shares[i] < median / 2 || (double)shares[i] > median * 2;
    }
    printf(
        "%u tasks, %u threads, %.1f slices each, %lu refused, %lu kept, %lu "
        "retaken; of the median's "
        "work: least %.2f, 1%% %.2f, 99%% %.2f, most %.2f; not within half "
        "and twice: %u\n",
        count, run.after.threads,
        (double)(run.after.preempt_migrated - run.before.preempt_migrated) /
            count,
        (unsigned long)run.after.migrate_refused,
        (unsigned long)run.after.preempt_kept, (unsigned long)run.after.retaken,
        (double)shares[0] / median, (double)shares[count / 100] / median,
        (double)shares[count - 1 - count / 100] / median,
        (double)shares[count - 1] / median, outside);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        measure_cost();
        return 0;
    }
    unsigned count = (unsigned)atoi(argv[1]);
    if (count < 1 || count > MAX_TASKS) {
        return 2;
    }
    spin_many(count, (unsigned)atoi(argv[2]),
              argc > 3 ? (unsigned)atoi(argv[3]) : 50);
    return 0;
}
