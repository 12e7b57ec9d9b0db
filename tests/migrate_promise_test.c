/* SPDX-License-Identifier: MIT */
/* Migratable tasks that break their promise, where that can be seen: each keeps
 * its OS thread for as long as it relies on it, checks so itself, and is
 * counted as refused. */
#define _GNU_SOURCE /* qsort_r(), gettid() */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"

#define PURE WEFT_MIGRATABLE WEFT_NOINLINE

enum { TASKS = 8, PATIENCE = 100 };

static bool has_signals;
static _Atomic bool time_is_up;

PURE static uint64_t xorshift(uint64_t seed) {
    uint64_t x = seed + 1, sum = 0;
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        sum += x;
    }
    return sum;
}

WEFT_NOINLINE static int *errno_address(void) {
    return &errno;
}

WEFT_NOINLINE static pid_t thread_id(void) {
    return gettid();
}

/* --- each does it once, and checks that the thread was the same throughout -
 */

PURE static void point_to_errno(void) {
    int *volatile mine = errno_address();
    xorshift(1);
    WEFT_CHECK_OP(mine, ==, errno_address());
}

PURE static void point_from_register(void) {
    int *mine = errno_address();
    for (int i = 0; i < 20000; i++) {
        __asm__ volatile("" : "+r"(mine));
    }
    WEFT_CHECK_OP(mine, ==, errno_address());
}

/* (Where the compiler keeps it on the stack instead, it is found there.) */
PURE static void point_from_vector(void) {
    typedef uintptr_t two __attribute__((vector_size(16)));
    two mine = {1, (uintptr_t)errno_address()};
    for (int i = 0; i < 20000; i++) {
#ifdef __x86_64__
        __asm__ volatile("" : "+x"(mine));
#else
        __asm__ volatile("" : "+w"(mine));
#endif
    }
    WEFT_CHECK_OP(mine[1], ==, (uintptr_t)errno_address());
}

struct sort {
    pid_t thread;
    unsigned calls;
};

/* libc's frames are below this one. */
PURE static int compare(const void *a, const void *b, void *arg) {
    struct sort *sort = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (sort->calls++ % 16 == 0) {
        pid_t now = thread_id();
        if (sort->thread == 0) {
            sort->thread = now;
        }
        WEFT_CHECK_OP(now, ==, sort->thread);
    }
    for (uint32_t i = 0; i < 100; i++) {
        x = x * 1664525 + i;
        y = y * 1664525 + i;
    }
    return x < y ? -1 : x > y;
}

PURE static void sort_by_libc(void) {
    struct sort sort = {0, 0};
    uint32_t values[64];
    for (uint32_t i = 0; i < 64; i++) {
        values[i] = i * 22695477;
    }
    qsort_r(values, 64, sizeof values[0], compare, &sort);
}

/* So short that it is mostly interrupted where its frame begins or ends. */
PURE static int compare_small(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

/* Asks for its thread at the first comparison and late in the sort. */
PURE static int compare_first(const void *a, const void *b, void *arg) {
    struct sort *sort = arg;
    if (sort->calls++ == 0) {
        sort->thread = thread_id();
    } else if (sort->calls == 256) {
        WEFT_CHECK_OP(thread_id(), ==, sort->thread);
    }
    return compare_small(a, b);
}

PURE static void sort_small(void) {
    struct sort sort = {0, 0};
    int values[64];
    for (int i = 0; i < 64; i++) {
        values[i] = i * 48271 % 1009;
    }
    qsort_r(values, 64, sizeof values[0], compare_first, &sort);
}

static char buffer[1 << 16];

/* Where the program counter is, mostly, is libc's. */
PURE static void fill_by_libc(void) {
    memset(buffer, 0, sizeof buffer);
}

WEFT_NOINLINE static void block_signal(int how) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    pthread_sigmask(how, &mask, NULL);
}

WEFT_NOINLINE static bool is_blocked(void) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGUSR2);
}

PURE static void change_mask(void) {
    WEFT_CHECK(!is_blocked());
    block_signal(SIG_BLOCK);
    xorshift(1);
    WEFT_CHECK(is_blocked());
    block_signal(SIG_UNBLOCK);
}

PURE static void on_signal(int number) {
    pid_t before = thread_id();
    xorshift((uint64_t)number);
    WEFT_CHECK_OP(thread_id(), ==, before);
}

PURE static void compute_in_handler(void) {
    raise(SIGUSR1);
}

static struct sigaction replaced;
static _Atomic uint64_t wrapped;

/* A handler of SIGURG that somebody puts over weft's: its own frame would be
 * moved. */
static void pass_on(int number, siginfo_t *info, void *ucontext) {
    pid_t before = thread_id();
    atomic_fetch_add_explicit(&wrapped, 1, memory_order_relaxed);
    replaced.sa_sigaction(number, info, ucontext);
    WEFT_CHECK_OP(thread_id(), ==, before);
}

PURE static void compute(void) {
    xorshift(1);
}

PURE static void *take_part(void *break_it) {
    void (*fn)(void) = (void (*)(void))(uintptr_t)break_it;
    do {
        fn();
        if (!has_signals) {
            weft_check();
        }
    } while (!atomic_load_explicit(&time_is_up, memory_order_relaxed));
    return NULL;
}

static void run_all(void *fn) {
    struct weft_task_options options = {.migratable = true};
    struct sigaction over = {.sa_sigaction = pass_on,
                             .sa_flags = SA_SIGINFO | SA_RESTART};
    struct weft_task *tasks[TASKS];
    struct weft_metrics m = {0};
    bool wraps = fn == (void *)(uintptr_t)compute;
    if (wraps) {
        WEFT_CHECK_OP(sigaction(SIGURG, &over, &replaced), ==, 0);
    }
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[i], take_part, fn, &options), ==, 0);
    }
    for (int i = 0; i < PATIENCE; i++) {
        WEFT_CHECK_OP(weft_sleep(200 * WEFT_MS), ==, 0);
        weft_metrics_read(&m);
        if (!has_signals || m.migrate_refused >= 4 * TASKS) {
            break;
        }
    }
    atomic_store_explicit(&time_is_up, true, memory_order_relaxed);
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
    }
    if (wraps) {
        WEFT_CHECK_OP(sigaction(SIGURG, &replaced, NULL), ==, 0);
        WEFT_CHECK(!has_signals || (wrapped > 0 && m.preempt_migrated == 0));
    }
    print_message(
        "%lu moved, %lu refused, %lu kept\n", (unsigned long)m.preempt_migrated,
        (unsigned long)m.migrate_refused, (unsigned long)m.preempt_kept);
    WEFT_CHECK(!has_signals || m.migrate_refused >= 4 * TASKS);
    WEFT_CHECK(!has_signals || m.preempt_kept > 0);
}

static void storm(void (*fn)(void)) {
    atomic_store_explicit(&time_is_up, false, memory_order_relaxed);
    storm_run(2, 50, run_all, (void *)(uintptr_t)fn);
}

static void who_points_to_errno_keeps_the_thread(void **state) {
    storm(point_to_errno);
}

static void a_pointer_in_a_register_is_found_too(void **state) {
    storm(point_from_register);
}

static void a_pointer_in_a_vector_is_found_too(void **state) {
    storm(point_from_vector);
}

static void who_is_called_back_by_libc_keeps_the_thread(void **state) {
    storm(sort_by_libc);
}

static void who_is_called_back_by_a_leaf_keeps_the_thread(void **state) {
    storm(sort_small);
}

static void who_is_inside_libc_keeps_the_thread(void **state) {
    storm(fill_by_libc);
}

static void who_changed_the_signal_mask_keeps_the_thread(void **state) {
    storm(change_mask);
}

static void who_handles_a_signal_keeps_the_thread(void **state) {
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction before;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    storm(compute_in_handler);
    sigaction(SIGUSR1, &before, NULL);
}

static void who_wraps_the_handler_is_not_moved(void **state) {
    storm(compute);
}

/* --- and who never ends -----------------------------------------------------
 */

PURE static void *spin_for_ever(void *arg) {
    for (;;) {
        __asm__ volatile("");
    }
    return arg;
}

static void leave_behind(void *arg) {
    struct weft_task_options options = {.migratable = true};
    struct weft_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[i], spin_for_ever, NULL, &options), ==,
                      0);
        weft_detach(tasks[i]);
    }
    WEFT_CHECK_OP(weft_sleep(20 * WEFT_MS), ==, 0);
}

static unsigned thread_count(void) {
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/task");
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count - 2; /* . and .. */
}

/* Their threads can end all the same. The last test: weft is not stopped. */
static void who_never_ends_holds_no_thread(void **state) {
    struct weft_config config = {.workers = 2,
                                 .quantum_ns = 200 * WEFT_US,
                                 .shutdown_grace_ns = 10 * WEFT_MS};
    assert_int_equal(weft_run(&config, leave_behind, NULL), -EBUSY);
    unsigned left = thread_count();
    for (int i = 0; i < PATIENCE && left > 1; i++) {
        usleep(20000);
        left = thread_count();
    }
    assert_int_equal(left, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_points_to_errno_keeps_the_thread),
        cmocka_unit_test(a_pointer_in_a_register_is_found_too),
        cmocka_unit_test(a_pointer_in_a_vector_is_found_too),
        cmocka_unit_test(who_is_called_back_by_libc_keeps_the_thread),
        cmocka_unit_test(who_is_called_back_by_a_leaf_keeps_the_thread),
        cmocka_unit_test(who_is_inside_libc_keeps_the_thread),
        cmocka_unit_test(who_changed_the_signal_mask_keeps_the_thread),
        cmocka_unit_test(who_handles_a_signal_keeps_the_thread),
        cmocka_unit_test(who_wraps_the_handler_is_not_moved),
    };
    const struct CMUnitTest last[] = {
        cmocka_unit_test(who_never_ends_holds_no_thread),
    };
    has_signals = storm_has_signals();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
#if defined(MIGRATES) && !WEFT_ASAN && !WEFT_TSAN
    if (has_signals) {
        failed += cmocka_run_group_tests(last, NULL, NULL);
    }
#else
    (void)last;
#endif
    return failed;
}
