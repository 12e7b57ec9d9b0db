/* SPDX-License-Identifier: MIT */
/* weft_run() comes back whatever the other tasks are doing, and can be called
 * again; the runtime at its limits. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/sched/park.h"

#if WEFT_TSAN
/* Threads are left behind on purpose: see the test of that name. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
    return "report_thread_leaks=0";
}
#endif

static _Atomic int ended;

static void end(void) {
    atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed);
}

static void compute_until_cancelled(void *arg) {
    while (!weft_cancelled()) {
        STORM_CHECK();
    }
    end();
}

static void stay_parked(void *arg) {
    while (weft_park(WEFT_FOREVER, "test") == 0) {
    }
    end();
}

static void stay_asleep(void *arg) {
    WEFT_CHECK_OP(weft_sleep(1000 * WEFT_S), ==, -ECANCELED);
    end();
}

static void *block(void *arg) {
    struct timespec ts = {.tv_nsec = 20000000};
    nanosleep(&ts, NULL);
    return NULL;
}

static void stay_blocked(void *arg) {
    weft_blocking(block, NULL);
    end();
}

static void block_without_telling(void *arg) {
    block(NULL);
    end();
}

static void (*const kinds[])(void *) = {
    compute_until_cancelled, stay_parked, stay_asleep, stay_blocked,
    block_without_telling,
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void start_all_and_return(void *arg) {
    for (int i = 0; i < 4 * KINDS; i++) {
        WEFT_CHECK_OP(weft_go(kinds[i % KINDS], NULL), ==, 0);
    }
    weft_sleep(*(int *)arg * WEFT_MS);
}

static void tasks_in_every_state_are_brought_to_their_end(void **state) {
    for (unsigned workers = 1; workers <= 3; workers++) {
        for (int ms = 0; ms <= 10; ms += 5) {
            atomic_store_explicit(&ended, 0, memory_order_relaxed);
            storm_run(workers, 200, start_all_and_return, &ms);
            assert_int_equal(atomic_load_explicit(&ended, memory_order_relaxed),
                             4 * KINDS);
        }
    }
}

static void nothing(void *arg) {
}

static void it_starts_and_ends_a_hundred_times(void **state) {
    for (int i = 0; i < 100; i++) {
        storm_run(1 + (unsigned)i % 4, 10000, nothing, NULL);
    }
}

static void spawn_at_the_end(void *arg) {
    if (!weft_cancelled()) {
        weft_go(spawn_at_the_end, NULL);
        weft_yield();
    }
    end();
}

static void leave_breeders_behind(void *arg) {
    for (int i = 0; i < 10; i++) {
        weft_go(spawn_at_the_end, NULL);
    }
    weft_sleep(2 * WEFT_MS);
}

static void tasks_that_are_born_late_are_born_cancelled(void **state) {
    storm_run(2, 1000, leave_breeders_behind, NULL);
}

static _Atomic bool enough; /* threads have come */

static void *block_at_least_10_ms(void *arg) {
    struct timespec ts = {.tv_nsec = 10000000};
    do {
        nanosleep(&ts, NULL);
    } while (!atomic_load_explicit(&enough, memory_order_relaxed));
    return arg;
}

static void block_in_call(void *arg) {
    weft_blocking(block_at_least_10_ms, NULL);
    end();
}

static void watch_threads(void *arg) {
    struct weft_metrics m;
    for (int i = 0; i < 100; i++) {
        WEFT_CHECK_OP(weft_go(block_in_call, NULL), ==, 0);
    }
    do { /* the watchdog is the limit, here and below */
        weft_sleep(WEFT_MS);
        weft_metrics_read(&m);
    } while (m.threads <= 20);
    atomic_store_explicit(&enough, true, memory_order_relaxed);
    while (atomic_load_explicit(&ended, memory_order_relaxed) != 100) {
        weft_sleep(WEFT_MS);
    }
    do {
        weft_sleep(10 * WEFT_MS);
        weft_metrics_read(&m);
    } while (m.threads > 20);
    /* and threads come back when they are needed again */
    for (int i = 0; i < 100; i++) {
        WEFT_CHECK_OP(weft_go(block_in_call, NULL), ==, 0);
    }
    while (atomic_load_explicit(&ended, memory_order_relaxed) != 200) {
        weft_sleep(WEFT_MS);
    }
}

static void threads_go_away_when_they_are_too_many(void **state) {
    atomic_store_explicit(&ended, 0, memory_order_relaxed);
    storm_run(2, 1000, watch_threads, NULL);
}

/* A thread that weft does not know and that does not know when it ends. */
static _Atomic bool foreign_over;

static void *use_from_outside(void *null_fd) {
    struct weft_metrics m;
    uintptr_t made = 0;
    while (!atomic_load_explicit(&foreign_over, memory_order_relaxed)) {
        int result = weft_go(nothing, NULL);
        WEFT_CHECK(result == 0 || result == -EPERM);
        made += result == 0;
        weft_metrics_read(&m);
        WEFT_CHECK(m.workers <= 2);
        /* A dump reads names and flags that others write, knowingly. */
        if (!WEFT_TSAN && made % 16 == 0) {
            weft_dump((int)(uintptr_t)null_fd);
        }
    }
    return (void *)made;
}

static void nap_once(void *arg) {
    weft_sleep(200 * WEFT_US);
}

static void threads_that_look_in_meet_it_at_any_moment(void **state) {
    pthread_t visitors[2];
    int null_fd = open("/dev/null", O_WRONLY);
    uintptr_t made = 0;
    atomic_store_explicit(&foreign_over, false, memory_order_relaxed);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&visitors[i], NULL, use_from_outside,
                                        (void *)(uintptr_t)null_fd),
                         0);
    }
    for (int i = 0; i < 100; i++) {
        storm_run(1 + (unsigned)i % 2, 10000, nap_once, NULL);
    }
    atomic_store_explicit(&foreign_over, true, memory_order_relaxed);
    for (int i = 0; i < 2; i++) {
        void *result;
        pthread_join(visitors[i], &result);
        made += (uintptr_t)result;
    }
    close(null_fd);
    assert_int_not_equal(made, 0);
}

static _Atomic bool obstinate;

static void never_end(void *arg) {
    while (!atomic_load_explicit(&obstinate, memory_order_relaxed)) {
        STORM_CHECK();
    }
}

static void leave_one_behind(void *arg) {
    weft_go(never_end, NULL);
    weft_sleep(WEFT_MS);
}

/* In a child: what is left behind stays for the rest of the process. */
static void a_task_that_does_not_end_is_left_behind(void **state) {
    pid_t child = fork();
    if (child == 0) {
        struct weft_config config = {.workers = 2,
                                     .shutdown_grace_ns = 20 * WEFT_MS};
        int first = weft_run(&config, leave_one_behind, NULL);
        int second = weft_run(NULL, nothing, NULL);
        _exit(first == -EBUSY && second == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void *compute(void *arg) {
    for (volatile int i = 0; i < 3000000; i++) {
        STORM_CHECK();
    }
    end();
    return arg;
}

static void count_threads(void *arg) {
    struct weft_task *t[8];
    struct weft_metrics m;
    for (int i = 0; i < 8; i++) {
        WEFT_CHECK_OP(weft_spawn(&t[i], compute, NULL, NULL), ==, 0);
    }
    for (int i = 0; i < 8; i++) {
        weft_yield();
        weft_metrics_read(&m);
        *(uint64_t *)arg += m.held_at_cap + m.skipped_at_cap;
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
        weft_metrics_read(&m);
        WEFT_CHECK_OP(m.threads, <=, 4U);
    }
}

/* Runs with four threads at most; what is printed goes to `file`. */
static void run_at_the_cap(FILE *file, uint64_t *delayed) {
    struct weft_config config = {.workers = 2,
                                 .max_threads = 4,
                                 .quantum_ns = 200 * WEFT_US,
                                 .min_slice_ns = 200 * WEFT_US};
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    int result = weft_run(&config, count_threads, delayed);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    assert_int_equal(result, 0);
}

/* Eight tasks that compute: past the cap they wait to begin, or are not
 * interrupted, and nothing else happens to them. It is said once. */
static void at_the_cap_tasks_wait_which_is_counted_and_said(void **state) {
    char line[256];
    uint64_t delayed = 0;
    FILE *file = tmpfile();
    assert_non_null(file);
    atomic_store_explicit(&ended, 0, memory_order_relaxed);
    run_at_the_cap(file, &delayed);
    assert_int_equal(atomic_load_explicit(&ended, memory_order_relaxed), 8);
    rewind(file);
    bool said = fgets(line, sizeof line, file) != NULL;
    if (said) {
        assert_non_null(strstr(line, "all 4 OS threads are in use"));
    }
    if (storm_has_signals()) {
        assert_int_not_equal(delayed, 0);
        assert_true(said);
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_in_every_state_are_brought_to_their_end),
        cmocka_unit_test(it_starts_and_ends_a_hundred_times),
        cmocka_unit_test(tasks_that_are_born_late_are_born_cancelled),
        cmocka_unit_test(threads_go_away_when_they_are_too_many),
        cmocka_unit_test(threads_that_look_in_meet_it_at_any_moment),
        cmocka_unit_test(a_task_that_does_not_end_is_left_behind),
        cmocka_unit_test(at_the_cap_tasks_wait_which_is_counted_and_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
