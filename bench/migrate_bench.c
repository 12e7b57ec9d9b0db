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
 * of the process, so other load on the machine matters little. Shares are those
 * of SECONDS that begin when each task has run once: until then it is not known
 * that they only compute, and the monitor ends their slices, which it cannot do
 * in time for all. */
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
static struct {
    _Alignas(WEFT_CACHE_LINE) uint64_t done;
    uint64_t before; /* when the measuring began */
} work[MAX_TASKS];

static struct run {
    bool migratable;
    unsigned tasks;
    uint64_t ns;
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

static uint64_t work_done(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < run.tasks; i++) {
        sum += *(volatile uint64_t *)&work[i].done;
    }
    return sum;
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint64_t done_at_start;

static void run_tasks(void *arg) {
    struct weft_task_options options = {.migratable = run.migratable,
                                        .stack_size = 16 << 10};
    (void)arg;
    weft_preempt_disable();
    for (uintptr_t i = 0; i < run.tasks; i++) {
        if (weft_spawn(&tasks[i], spin, (void *)i, &options) != 0) {
            fprintf(stderr, "no more than %lu tasks\n", (unsigned long)i);
            exit(1);
        }
    }
    weft_preempt_enable();
    /* Light among others until they are known as hogs: it waits a round. */
    weft_sleep(100 * WEFT_MS);
    weft_preempt_disable();
    weft_metrics_read(&run.before);
    done_at_start = work_done();
    for (unsigned i = 0; i < run.tasks; i++) {
        work[i].before = *(volatile uint64_t *)&work[i].done;
    }
    double began = cpu_seconds();
    uint64_t end = weft_now() + run.ns;
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
                    bool migratable, uint64_t ns) {
    struct weft_config config = {.workers = workers, .quantum_ns = quantum};
    atomic_store_explicit(&time_is_up, false, memory_order_relaxed);
    memset(work, 0, count * sizeof work[0]);
    run.migratable = migratable;
    run.tasks = count;
    run.ns = ns;
    int error = weft_run(&config, run_tasks, NULL);
    if (error != 0) {
        fprintf(stderr, "weft_run: %s\n", strerror(-error));
        exit(1);
    }
    return (double)done_at_start / run.spent;
}

static void measure_cost(void) {
    double alone = start(1, 50 * WEFT_US, 1, true, 2 * WEFT_S);
    for (int migratable = 0; migratable < 2; migratable++) {
        double rate =
            start(1, 50 * WEFT_US, COST_TASKS, migratable, 4 * WEFT_S);
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
    start(2, quantum * WEFT_US, count, true, seconds * WEFT_S);
    for (unsigned i = 0; i < count; i++) {
        shares[i] = work[i].done - work[i].before;
    }
    qsort(shares, count, sizeof shares[0], compare);
    printf(
        "%u tasks, %u threads, %lu moved, %lu refused\n"
        "work of each: least %lu, 1%% %lu, median %lu, 99%% %lu, most %lu\n",
        count, run.after.threads,
        (unsigned long)(run.after.preempt_migrated -
                        run.before.preempt_migrated),
        (unsigned long)run.after.migrate_refused, (unsigned long)shares[0],
        (unsigned long)shares[count / 100], (unsigned long)shares[count / 2],
        (unsigned long)shares[count - 1 - count / 100],
        (unsigned long)shares[count - 1]);
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
