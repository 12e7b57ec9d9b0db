/* SPDX-License-Identifier: MIT */
/* A pinned task has its OS thread to itself, across every wait. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/pin_throw.h"
#include "tests/storm.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/sync/channel.h"

enum { PINNED = 6, OTHERS = 24, ROUNDS = 100 };

static _Thread_local uintptr_t mine;

/* Never inlined: a compiler may keep addresses of thread-locals. */
WEFT_NOINLINE static uintptr_t *where(void) {
    uintptr_t *at = &mine;
    __asm__ volatile("" : "+r"(at));
    return at;
}

WEFT_NOINLINE static int *where_errno(void) {
    int *at = &errno;
    __asm__ volatile("" : "+r"(at));
    return at;
}

static long thread_id(void) {
    return syscall(SYS_gettid);
}

static struct weft_channel *there, *back;
static _Atomic bool over;

static void wait_somehow(unsigned how) {
    uintptr_t value = how;
    switch (how % 4) {
        case 0:
            WEFT_CHECK_OP(weft_sleep((how % 3) * 20 * WEFT_US), ==, 0);
            break;
        case 1:
            weft_yield();
            break;
        default:
            WEFT_CHECK_OP(weft_channel_send(there, &value), ==, 0);
            WEFT_CHECK_OP(weft_channel_recv(back, &value), ==, 0);
    }
}

/* What everybody else does: uses the thread-local of the thread it is on. */
static void *spoil(void *arg) {
    uintptr_t value;
    while (weft_channel_recv(there, &value) == 0) {
        *where() = 1000 + (uintptr_t)arg;
        *where_errno() = ENOTTY;
        weft_yield();
        *where() = 1000 + (uintptr_t)arg;
        WEFT_CHECK_OP(weft_channel_send(back, &value), ==, 0);
    }
    return NULL;
}

static void *stay(void *arg) {
    uintptr_t i = (uintptr_t)arg;
    WEFT_CHECK_OP(weft_pin_thread(), ==, 0);
    long tid = thread_id();
    uintptr_t *at = where();
    int *at_errno = where_errno();
    *at = i + 1;
    for (unsigned round = 0; round < ROUNDS; round++) {
        *at_errno = (int)(i + round);
        wait_somehow(round + (unsigned)i);
        WEFT_CHECK_OP(*at_errno, ==, (int)(i + round));
        WEFT_CHECK_OP(where(), ==, at);
        WEFT_CHECK_OP(where_errno(), ==, at_errno);
        WEFT_CHECK_OP(*at, ==, i + 1);
        WEFT_CHECK_OP(thread_id(), ==, tid);
    }
    weft_unpin_thread();
    wait_somehow(2);
    return NULL;
}

static void pinned_among_others(void *(*fn)(void *)) {
    struct weft_task *pinned[PINNED], *others[OTHERS];
    WEFT_CHECK_OP(weft_channel_new(&there, 0, sizeof(uintptr_t)), ==, 0);
    WEFT_CHECK_OP(weft_channel_new(&back, 4, sizeof(uintptr_t)), ==, 0);
    for (uintptr_t i = 0; i < OTHERS; i++) {
        WEFT_CHECK_OP(weft_spawn(&others[i], spoil, (void *)i, NULL), ==, 0);
    }
    for (uintptr_t i = 0; i < PINNED; i++) {
        WEFT_CHECK_OP(weft_spawn(&pinned[i], fn, (void *)i, NULL), ==, 0);
    }
    for (int i = 0; i < PINNED; i++) {
        WEFT_CHECK_OP(weft_join(pinned[i], NULL), ==, 0);
    }
    WEFT_CHECK_OP(weft_channel_close(there), ==, 0);
    for (int i = 0; i < OTHERS; i++) {
        WEFT_CHECK_OP(weft_join(others[i], NULL), ==, 0);
    }
    weft_channel_free(there);
    weft_channel_free(back);
}

static void stay_among_others(void *arg) {
    pinned_among_others(stay);
}

static void a_pinned_task_has_its_thread_to_itself(void **state) {
    storm_run(1, 10000, stay_among_others, NULL);
    storm_run(2, 10000, stay_among_others, NULL);
}

static void interruptions_change_nothing(void **state) {
    storm_run(1, 100, stay_among_others, NULL);
    storm_run(3, 100, stay_among_others, NULL);
}

/* As many pinned tasks as may be: the others run on what is left. */
static void the_others_have_threads_when_all_places_are_taken(void **state) {
    struct weft_config config = {.workers = 2,
                                 .max_threads = 2 + 2 * PINNED + 1};
    storm_run_with(&config, stay_among_others, NULL);
}

static void wait_for_a_while(void *arg) {
    for (unsigned i = 0; i < 4; i++) {
        wait_somehow(i + (unsigned)(uintptr_t)arg);
    }
}

static void *throw_and_wait(void *arg) {
    WEFT_CHECK_OP(weft_pin_thread(), ==, 0);
    for (int i = 0; i < ROUNDS / 4; i++) {
        WEFT_CHECK(pin_throw(i, wait_for_a_while, arg));
    }
    return NULL; /* its end unpins it */
}

static void throw_among_others(void *arg) {
    for (int i = 0; i < 4; i++) { /* more than there are places at a time */
        pinned_among_others(throw_and_wait);
    }
}

static void exceptions_in_flight_come_through_a_wait(void **state) {
    struct weft_config config = {.workers = 2,
                                 .max_threads = 2 + 2 * PINNED + 1};
    storm_run_with(&config, throw_among_others, NULL);
}

static void *pin_and_end(void *arg) {
    WEFT_CHECK_OP(weft_pin_thread(), ==, 0);
    WEFT_CHECK_OP(weft_pin_thread(), ==, 0);
    return arg;
}

static void *try_to_pin(void *arg) {
    int error = weft_pin_thread();
    if (error == 0) {
        weft_unpin_thread();
    }
    return (void *)(intptr_t)error;
}

static int try_elsewhere(void *(*fn)(void *)) {
    struct weft_task *t;
    void *result;
    WEFT_CHECK_OP(weft_spawn(&t, fn, NULL, NULL), ==, 0);
    WEFT_CHECK_OP(weft_join(t, &result), ==, 0);
    return (int)(intptr_t)result;
}

static void take_the_only_place(void *arg) {
    WEFT_CHECK_OP(weft_pin_thread(), ==, 0);
    WEFT_CHECK_OP(weft_pin_thread(), ==, 0);
    WEFT_CHECK_OP(try_elsewhere(try_to_pin), ==, -EAGAIN);
    weft_unpin_thread();
    WEFT_CHECK_OP(try_elsewhere(try_to_pin), ==, -EAGAIN);
    weft_unpin_thread();
    WEFT_CHECK_OP(try_elsewhere(try_to_pin), ==, 0);
    WEFT_CHECK_OP(try_elsewhere(pin_and_end), ==, 0);
    WEFT_CHECK_OP(try_elsewhere(try_to_pin), ==, 0);
}

static void places_are_counted_and_come_back(void **state) {
    struct weft_config config = {.workers = 1, .max_threads = 4};
    storm_run_with(&config, take_the_only_place, NULL);
    assert_int_equal(weft_pin_thread(), -EPERM);
    weft_unpin_thread(); /* does nothing */
}

static void *wait_pinned(void *arg) {
    WEFT_CHECK_OP(weft_pin_thread(), ==, 0);
    long tid = thread_id();
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_relaxed);
    WEFT_CHECK_OP(weft_sleep(1000 * WEFT_S), ==, -ECANCELED);
    WEFT_CHECK_OP(weft_sleep(1000 * WEFT_S), ==, -ECANCELED);
    WEFT_CHECK_OP(thread_id(), ==, tid);
    return NULL;
}

static void cancel_some_and_leave_some(void *arg) {
    static _Atomic int waiting;
    struct weft_task *t[PINNED];
    atomic_store_explicit(&waiting, 0, memory_order_relaxed);
    for (int i = 0; i < PINNED; i++) {
        WEFT_CHECK_OP(weft_spawn(&t[i], wait_pinned, (void *)&waiting, NULL),
                      ==, 0);
    }
    while (atomic_load_explicit(&waiting, memory_order_relaxed) < PINNED) {
        weft_yield();
    }
    for (int i = 0; i < PINNED / 2; i++) {
        WEFT_CHECK_OP(weft_cancel(t[i]), ==, 0);
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
    }
}

/* The rest at the end of weft_run(), which comes back with 0. */
static void pinned_tasks_can_be_cancelled(void **state) {
    for (int i = 0; i < 20; i++) {
        storm_run(1, 10000, cancel_some_and_leave_some, NULL);
        storm_run(2, 1000, cancel_some_and_leave_some, NULL);
    }
}

WEFT_MIGRATABLE static void *compute_pinned(void *arg) {
    _Atomic bool *end = arg;
    WEFT_CHECK_OP(weft_pin_thread(), ==, 0);
    long tid = thread_id();
    while (!atomic_load_explicit(end, memory_order_relaxed)) {
        STORM_CHECK();
    }
    WEFT_CHECK_OP(thread_id(), ==, tid);
    return NULL;
}

static void run_migratable_ones(void *arg) {
    struct weft_task_options options = {.migratable = true};
    struct weft_task *t[PINNED];
    struct weft_metrics m;
    atomic_store_explicit(&over, false, memory_order_relaxed);
    for (int i = 0; i < PINNED; i++) {
        WEFT_CHECK_OP(
            weft_spawn(&t[i], compute_pinned, (void *)&over, &options), ==, 0);
    }
    for (int i = 0; i < 50; i++) {
        weft_sleep(WEFT_MS);
    }
    atomic_store_explicit(&over, true, memory_order_relaxed);
    for (int i = 0; i < PINNED; i++) {
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
    }
    weft_metrics_read(&m);
    WEFT_CHECK_OP(m.preempt_migrated, ==, 0U);
}

static void a_migratable_task_that_is_pinned_does_not_move(void **state) {
    storm_needs_preemption();
    storm_run(2, 200, run_migratable_ones, NULL);
}

static void unpin_what_is_not_pinned(void *arg) {
    weft_unpin_thread();
}

/* In a child, which dies of it. */
static void unpinning_what_is_not_pinned_stops_the_program(void **state) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        weft_run(NULL, unpin_what_is_not_pinned, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pinned_task_has_its_thread_to_itself),
        cmocka_unit_test(interruptions_change_nothing),
        cmocka_unit_test(the_others_have_threads_when_all_places_are_taken),
        cmocka_unit_test(exceptions_in_flight_come_through_a_wait),
        cmocka_unit_test(places_are_counted_and_come_back),
        cmocka_unit_test(pinned_tasks_can_be_cancelled),
        cmocka_unit_test(a_migratable_task_that_is_pinned_does_not_move),
        cmocka_unit_test(unpinning_what_is_not_pinned_stops_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
