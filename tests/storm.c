/* SPDX-License-Identifier: MIT */
/* The watchdog is a thread of its own, which sleeps on a condition and knows
 * nothing of weft but weft_dump(). */
#include "tests/storm.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/print.h"

enum { LIMIT_S = 50, CPU_LIMIT_S = 100, MAX_TASKS = 4096, YIELD_INTERVAL = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static bool has_ended;
static _Atomic bool over;
static bool (*on_stall)(void);

void storm_on_stall(bool (*fn)(void)) {
    on_stall = fn;
}

/* Looked up once: it is asked in loops that should do nothing else. */
static int mode(void) {
    static _Atomic int known; /* DEFAULT: not yet */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == WEFT_PREEMPT_DEFAULT) {
        answer = (int)weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT);
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer;
}

bool storm_has_signals(void) {
    return mode() == WEFT_PREEMPT_SIGNAL;
}

void storm_needs_preemption(void) {
    if (mode() == WEFT_PREEMPT_OFF) {
        weft_print(STDERR_FILENO,
                   "skipped: nobody is preempted with WEFT_PREEMPT=off\n");
        skip();
    }
}

void storm_check(void) {
    static _Atomic unsigned calls;
    if (mode() == WEFT_PREEMPT_COOPERATIVE) {
        weft_check();
    } else if (mode() == WEFT_PREEMPT_OFF &&
               atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) %
                       YIELD_INTERVAL ==
                   0) {
        weft_yield();
    }
}

/* Seconds of CPU that the process has used. */
static time_t spent(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec;
}

static void *watch(void *arg) {
    struct timespec limit;
    time_t most = spent() + CPU_LIMIT_S;
    int limits = 0;
    (void)arg;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += LIMIT_S;
    pthread_mutex_lock(&lock);
    while (!has_ended) {
        if (pthread_cond_timedwait(&ended, &lock, &limit) == ETIMEDOUT) {
            bool moved = on_stall != NULL && on_stall();
            limits++;
            if (moved && spent() < most) {
                limit.tv_sec += LIMIT_S;
                continue;
            }
            weft_print(STDERR_FILENO, "stands still, or is too slow: %d s\n",
                       limits * LIMIT_S);
            weft_dump(STDERR_FILENO);
            abort();
        }
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static struct weft_config config_of(unsigned workers, unsigned quantum_us) {
    return (struct weft_config){.workers = workers,
                                .quantum_ns = quantum_us * WEFT_US,
                                .min_slice_ns = quantum_us * WEFT_US,
                                /* on a machine that is busy otherwise */
                                .shutdown_grace_ns = LIMIT_S * WEFT_S};
}

void storm_run_with(const struct weft_config *config, void (*fn)(void *),
                    void *arg) {
    pthread_t dog;
    has_ended = false;
    assert_int_equal(pthread_create(&dog, NULL, watch, NULL), 0);
    assert_int_equal(weft_run(config, fn, arg), 0);
    pthread_mutex_lock(&lock);
    has_ended = true;
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&lock);
    pthread_join(dog, NULL);
}

void storm_run(unsigned workers, unsigned quantum_us, void (*fn)(void *),
               void *arg) {
    struct weft_config config = config_of(workers, quantum_us);
    storm_run_with(&config, fn, arg);
}

bool storm_over(void) {
    storm_check();
    return atomic_load_explicit(&over, memory_order_relaxed);
}

struct storm {
    unsigned tasks;
    unsigned ms;
    void *(*fn)(void *);
    uint64_t sum;
};

static void run_storm(void *arg) {
    static struct weft_task *tasks[MAX_TASKS];
    struct storm *s = arg;
    for (uintptr_t i = 0; i < s->tasks; i++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[i], s->fn, (void *)i, NULL), ==, 0);
    }
    weft_sleep(s->ms * WEFT_MS);
    atomic_store_explicit(&over, true, memory_order_relaxed);
    for (unsigned i = 0; i < s->tasks; i++) {
        void *result;
        WEFT_CHECK_OP(weft_join(tasks[i], &result), ==, 0);
        s->sum += (uintptr_t)result;
    }
}

uint64_t storm_tasks_with(const struct weft_config *config, unsigned tasks,
                          unsigned ms, void *(*fn)(void *)) {
    struct storm s = {tasks, ms, fn, 0};
    assert_true(tasks <= MAX_TASKS);
    atomic_store_explicit(&over, false, memory_order_relaxed);
    storm_run_with(config, run_storm, &s);
    return s.sum;
}

uint64_t storm_tasks(unsigned workers, unsigned quantum_us, unsigned tasks,
                     unsigned ms, void *(*fn)(void *)) {
    struct weft_config config = config_of(workers, quantum_us);
    return storm_tasks_with(&config, tasks, ms, fn);
}
