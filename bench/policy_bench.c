/* SPDX-License-Identifier: MIT */
/* What each policy of the scheduler is worth: the same scene with the policy on
 * and off, in turns, medians of the rounds.
 *
 * Scenes, each on 2 workers:
 * - sleeper: 4 tasks spin, a fifth sleeps 1 ms again and again. How late it
 *   wakes, and how often it does.
 * - busy: 4 tasks spin, 4 work a little and yield, without end. What share of
 *   the CPU time the spinners get, and how long the others wait for a turn.
 * - crowd: 32 tasks spin. How long one waits for its turn, and signals.
 * - few: 3 tasks spin. The same.
 * - alone: 2 tasks spin, and nothing else is there. Signals.
 *
 * NODES has no scene: with one memory node it does nothing. Two can be made
 * believe (sched/nodes_test.c does), but the memory of both is as near then, so
 * "on" would show what it costs and "off" nothing of what it is for.
 *
 * Surprising: a sleeper's p99 over 1 ms with everything on, on a machine that
 * does nothing else; a policy whose "off" is better in its own line.
 *
 *   bazel run -c opt //bench:policy_bench [-- ROUNDS [MS]] */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "weft/base/clock.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"

enum { MAX_SAMPLES = 1 << 18, MAX_TASKS = 64, MAX_ROUNDS = 99, METRICS = 3 };

struct scene {
    const char *name;
    int spinners;
    int yielders;
    bool sleeper;
    const char *metric[METRICS]; /* NULL: not printed */
};

/* One list of samples (ns), whichever the scene is about. */
static struct {
    uint64_t ns[MAX_SAMPLES];
    _Atomic uint32_t count;
} samples;

static uint64_t run_for = 700 * WEFT_MS;
static _Atomic bool stop;
static _Atomic bool measuring;
static bool of_spinners; /* whose waits are sampled; fixed while tasks run */
static _Atomic uint64_t spun, worked; /* loops of spinners, of yielders */
static double result[METRICS];

static void sample(uint64_t ns) {
    if (atomic_load_explicit(&measuring, memory_order_relaxed)) {
        uint32_t i =
            atomic_fetch_add_explicit(&samples.count, 1, memory_order_relaxed);
        samples.ns[i % MAX_SAMPLES] = ns;
    }
}

/* A few microseconds in the program's own text: in libc's, where the clock is,
 * preemption is put off. */
static void burn(_Atomic uint64_t *loops) {
    for (volatile int i = 0; i < 4000; i++) {
    }
    atomic_fetch_add_explicit(loops, 1, memory_order_relaxed);
}

/* Notes the gaps in its own running that are longer than the kernel's. */
static void *spin(void *arg) {
    uint64_t last = weft_clock_now();
    (void)arg;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        uint64_t now = weft_clock_now();
        if (of_spinners && now - last > 500 * WEFT_US) {
            sample(now - last);
        }
        last = now;
        burn(&spun);
    }
    return NULL;
}

static void *work_and_yield(void *arg) {
    (void)arg;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        burn(&worked);
        uint64_t begin = weft_clock_now();
        weft_yield();
        sample(weft_clock_now() - begin);
    }
    return NULL;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* In ms. */
static double percentile(unsigned which) {
    uint32_t n = atomic_load_explicit(&samples.count, memory_order_relaxed);
    n = n < MAX_SAMPLES ? n : MAX_SAMPLES;
    return n == 0 ? 0 : (double)samples.ns[(uint64_t)n * which / 100] / 1e6;
}

static void sort_samples(void) {
    uint32_t n = atomic_load_explicit(&samples.count, memory_order_relaxed);
    qsort(samples.ns, n < MAX_SAMPLES ? n : MAX_SAMPLES, sizeof samples.ns[0],
          by_value);
}

static void nap(void) {
    uint64_t end = weft_clock_now() + run_for;
    while (weft_clock_now() < end) {
        uint64_t deadline = weft_clock_now() + WEFT_MS;
        weft_sleep_until(deadline);
        sample(weft_clock_now() - deadline);
    }
}

static void play(void *arg) {
    static struct weft_task *t[MAX_TASKS];
    const struct scene *scene = arg;
    struct weft_metrics before, after;
    int count = scene->spinners + scene->yielders;
    of_spinners = !scene->sleeper && scene->yielders == 0;
    for (int i = 0; i < count; i++) {
        if (weft_spawn(&t[i], i < scene->spinners ? spin : work_and_yield, NULL,
                       NULL) != 0) {
            abort();
        }
    }
    weft_sleep(100 * WEFT_MS); /* until hogs are known as such */
    weft_metrics_read(&before);
    uint64_t spun_before = atomic_load_explicit(&spun, memory_order_relaxed);
    uint64_t worked_before =
        atomic_load_explicit(&worked, memory_order_relaxed);
    uint64_t began = weft_clock_now();
    atomic_store_explicit(&samples.count, 0, memory_order_relaxed);
    atomic_store_explicit(&measuring, true, memory_order_relaxed);
    if (scene->sleeper) {
        nap();
    } else {
        weft_sleep(run_for);
    }
    atomic_store_explicit(&measuring, false, memory_order_relaxed);
    double seconds = (double)(weft_clock_now() - began) / 1e9;
    weft_metrics_read(&after);
    double spins = (double)(atomic_load_explicit(&spun, memory_order_relaxed) -
                            spun_before);
    double works =
        (double)(atomic_load_explicit(&worked, memory_order_relaxed) -
                 worked_before);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (int i = 0; i < count; i++) {
        weft_join(t[i], NULL);
    }
    sort_samples();
    result[0] = percentile(50);
    result[1] = percentile(99);
    if (scene->sleeper) {
        result[2] =
            (double)atomic_load_explicit(&samples.count, memory_order_relaxed) /
            seconds;
    } else if (scene->yielders > 0) {
        result[2] = 100 * spins / (spins + works);
    } else {
        result[2] = (double)(after.requests + after.alarms - before.requests -
                             before.alarms) /
                    seconds;
    }
}

static const struct scene sleeper = {
    "sleeper", 4, 0, true, {"late p50 ms", "late p99 ms", "wake-ups/s"}};
static const struct scene busy = {
    "busy", 4, 4, false, {"wait p50 ms", "wait p99 ms", "spinners' %"}};
static const struct scene crowd = {
    "crowd", 32, 0, false, {"turn p50 ms", "turn p99 ms", "signals/s"}};
static const struct scene few = {
    "few", 3, 0, false, {"turn p50 ms", "turn p99 ms", "signals/s"}};
static const struct scene alone = {
    "alone", 2, 0, false, {NULL, NULL, "signals/s"}};

static const struct {
    const char *name;
    enum weft_policy policy;
    const struct scene *scene;
} lines[] = {
    {"wake-up preemption", WEFT_POLICY_WAKE_UP, &sleeper},
    {"hogs' own alarms", WEFT_POLICY_ALARM, &sleeper},
    {"monitor in the poller", WEFT_POLICY_POLL, &sleeper},
    {"light and hogs", WEFT_POLICY_CLASSES, &sleeper},
    {"light and hogs", WEFT_POLICY_CLASSES, &busy},
    {"the kernel's slice", WEFT_POLICY_SLICE, &sleeper},
    {"hand-over on one CPU", WEFT_POLICY_PIN, &sleeper},
    {"adaptive quantum", WEFT_POLICY_QUANTUM, &crowd},
    {"adaptive quantum", WEFT_POLICY_QUANTUM, &few},
    {"no tick for nobody", WEFT_POLICY_QUIET, &alone},
};
enum { LINES = sizeof lines / sizeof lines[0] };

static double all[LINES][2][METRICS][MAX_ROUNDS];

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, by_size);
    return values[n / 2];
}

int main(int argc, char **argv) {
    struct utsname machine;
    int rounds = argc > 1 ? atoi(argv[1]) : 3;
    run_for = argc > 2 ? strtoull(argv[2], NULL, 10) * WEFT_MS : run_for;
    rounds = rounds < 1 ? 1 : (rounds > MAX_ROUNDS ? MAX_ROUNDS : rounds);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < LINES; i++) {
            for (int off = 0; off < 2; off++) {
                struct weft_config config = {
                    .workers = 2, .policies_off = off ? lines[i].policy : 0};
                atomic_store_explicit(&stop, false, memory_order_relaxed);
                if (weft_run(&config, play, (void *)lines[i].scene) != 0) {
                    abort();
                }
                for (int m = 0; m < METRICS; m++) {
                    all[i][off][m][round] = result[m];
                }
            }
        }
    }
    uname(&machine);
    printf("# 2 workers, median of %d rounds of %llu ms, %s %s\n", rounds,
           (unsigned long long)(run_for / WEFT_MS), machine.sysname,
           machine.release);
    printf("%-22s %-8s %-12s %10s %10s\n", "policy", "scene", "what", "on",
           "off");
    for (int i = 0; i < LINES; i++) {
        for (int m = 0; m < METRICS; m++) {
            if (lines[i].scene->metric[m] != NULL) {
                printf("%-22s %-8s %-12s %10.3f %10.3f\n", lines[i].name,
                       lines[i].scene->name, lines[i].scene->metric[m],
                       median(all[i][0][m], rounds),
                       median(all[i][1][m], rounds));
            }
        }
    }
    return 0;
}
