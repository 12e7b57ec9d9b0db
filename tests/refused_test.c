/* SPDX-License-Identifier: MIT */
/* The kernel gives no more threads: a limit on the user's processes, which a
 * container's on its own is like. What there are are then all there may be, as
 * if `max_threads` said so, until the kernel gives some again: of tasks that
 * have begun, who waits and who computes gets on; the others begin when one has
 * ended.
 *
 * Each test in a child that is nobody in particular (root may have as many
 * threads as it likes), with a limit that is far below what there is, or as
 * long as that user has no other process exact. */
#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"

enum {
    CANNOT = 77,
    HOGS = 24, /* more than threads by far */
    SLEEPERS = 4,
    NAPS = 20,
    PATIENCE = 40, /* s, then it stands still */
};

static const struct weft_config config = {
    .workers = 2, .quantum_ns = WEFT_MS, .shutdown_grace_ns = 20 * WEFT_S};

/* --- the limit ----------------------------------------------------------- */

static bool allow(rlim_t threads) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NPROC, &limit) != 0) {
        return false;
    }
    limit.rlim_cur = threads < limit.rlim_max ? threads : limit.rlim_max;
    return setrlimit(RLIMIT_NPROC, &limit) == 0;
}

static bool refuse(void) {
    return allow(1);
}

/* From now on the process is a user's that has no other; false where it may not
 * become one. */
static bool become_nobody(void) {
    uid_t user = 1000000000U + (uid_t)getpid();
    return setgroups(0, NULL) == 0 && setresuid(user, user, user) == 0;
}

/* A child runs `fn`. `alone`: it needs the limit to be exact. */
static void in_a_child(bool alone, void (*fn)(void)) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        alarm(PATIENCE);
        if (!become_nobody() && (alone || geteuid() == 0)) {
            _exit(CANNOT);
        }
        fn();
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT) {
        print_message("skipped: cannot become a user without processes\n");
        skip();
    }
    if (WIFSIGNALED(status)) {
        fail_msg("the child ended by signal %d", WTERMSIG(status));
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void run(void (*fn)(void *), void *arg) {
    WEFT_CHECK_OP(weft_run(&config, fn, arg), ==, 0);
}

/* How often `line` stands in what comes out of `fd`. */
static int count_lines(int fd, const char *line) {
    char text[4096];
    ssize_t n = read(fd, text, sizeof text - 1);
    int count = 0;
    text[n > 0 ? n : 0] = '\0';
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
        count++;
    }
    return count;
}

/* --- tasks --------------------------------------------------------------- */

static _Atomic bool enough;
static _Atomic uint64_t rounds[HOGS];
static _Atomic unsigned awake; /* sleepers that have begun */

static void *compute(void *mine) {
    do {
        atomic_fetch_add_explicit((_Atomic uint64_t *)mine, 1,
                                  memory_order_relaxed);
        STORM_CHECK();
    } while (!atomic_load_explicit(&enough, memory_order_relaxed));
    return mine;
}

static void *nap(void *arg) {
    atomic_fetch_add_explicit(&awake, 1, memory_order_relaxed);
    for (int i = 0; i < NAPS; i++) {
        WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
        weft_yield();
    }
    return arg;
}

static struct weft_task *hogs[HOGS], *sleepers[SLEEPERS];

static void start_sleepers(void) {
    for (int i = 0; i < SLEEPERS; i++) {
        WEFT_CHECK_OP(weft_spawn(&sleepers[i], nap, NULL, NULL), ==, 0);
    }
    while (atomic_load_explicit(&awake, memory_order_relaxed) < SLEEPERS) {
        weft_sleep(100 * WEFT_US);
    }
}

static void join_sleepers(void) {
    for (int i = 0; i < SLEEPERS; i++) {
        WEFT_CHECK_OP(weft_join(sleepers[i], NULL), ==, 0);
    }
}

static void start_hogs(void) {
    for (int i = 0; i < HOGS; i++) {
        WEFT_CHECK_OP(weft_spawn(&hogs[i], compute, &rounds[i], NULL), ==, 0);
    }
}

static void end_hogs(void) {
    atomic_store_explicit(&enough, true, memory_order_relaxed);
    for (int i = 0; i < HOGS; i++) {
        WEFT_CHECK_OP(weft_join(hogs[i], NULL), ==, 0);
        WEFT_CHECK_OP(atomic_load_explicit(&rounds[i], memory_order_relaxed), >,
                      0UL);
    }
}

/* Until each of those that have begun, all if `all`, has got on. */
static void await_hogs(bool all) {
    for (int i = 0; i < HOGS; i++) {
        uint64_t before =
            atomic_load_explicit(&rounds[i], memory_order_relaxed);
        while ((all || before != 0) &&
               atomic_load_explicit(&rounds[i], memory_order_relaxed) ==
                   before) {
            weft_sleep(WEFT_MS);
        }
    }
}

/* --- the tests ----------------------------------------------------------- */

static void compute_beside_sleepers(void *arg) {
    struct weft_metrics m;
    (void)arg;
    start_sleepers();
    WEFT_CHECK(refuse());
    start_hogs();
    join_sleepers();
    await_hogs(false);
    weft_metrics_read(&m);
    WEFT_CHECK_OP(m.threads, <, (unsigned)HOGS);
    WEFT_CHECK_OP(m.threads_refused, >, 1UL);
    WEFT_CHECK_OP(m.held_at_cap, >, 0UL);
    end_hogs();
}

/* It is counted each time, and said once. */
static void refuse_at_once(void) {
    int ends[2], err = dup(2);
    WEFT_CHECK_OP(pipe(ends), ==, 0);
    dup2(ends[1], 2);
    run(compute_beside_sleepers, NULL);
    dup2(err, 2);
    close(ends[1]);
    WEFT_CHECK_OP(count_lines(ends[0], "(the system gives no more)"), ==, 1);
}

static void who_waits_gets_on_beside_hogs_on_all_threads_there_are(
    void **state) {
    (void)state;
    if (!storm_has_signals()) {
        skip();
    }
    in_a_child(false, refuse_at_once);
}

/* While threads are being made. */
static void refuse_some_time(void *us) {
    start_sleepers();
    start_hogs();
    for (uint64_t end = weft_now() + (uintptr_t)us * WEFT_US;
         weft_now() < end;) {
        STORM_CHECK();
    }
    WEFT_CHECK(refuse());
    join_sleepers();
    await_hogs(false);
    end_hogs();
}

static void refuse_time_and_again(void) {
    for (unsigned i = 0; i < 12; i++) {
        WEFT_CHECK(allow(RLIM_INFINITY));
        atomic_store_explicit(&enough, false, memory_order_relaxed);
        atomic_store_explicit(&awake, 0, memory_order_relaxed);
        memset((void *)rounds, 0, sizeof rounds);
        struct weft_config c = config;
        c.workers = 1 + i % 4;
        c.quantum_ns = (i % 3 + 1) * 300 * WEFT_US;
        WEFT_CHECK_OP(
            weft_run(&c, refuse_some_time, (void *)(uintptr_t)(i * 600)), ==,
            0);
    }
}

static void whenever_the_kernel_begins_to_refuse_a_thread_is_in_reserve(
    void **state) {
    (void)state;
    if (!storm_has_signals()) {
        skip();
    }
    in_a_child(false, refuse_time_and_again);
}

static void refuse_for_a_while(void *arg) {
    struct weft_metrics m;
    (void)arg;
    start_sleepers();
    WEFT_CHECK(refuse());
    start_hogs();
    join_sleepers();
    WEFT_CHECK(allow(RLIM_INFINITY));
    await_hogs(true); /* all begin, though none has ended */
    weft_metrics_read(&m);
    WEFT_CHECK_OP(m.threads, >=, (unsigned)HOGS);
    WEFT_CHECK_OP(m.held_at_cap, ==, 0UL);
    end_hogs();
}

static void refuse_and_relent(void) {
    run(refuse_for_a_while, NULL);
}

static void when_the_kernel_gives_threads_again_all_begin(void **state) {
    (void)state;
    if (!storm_has_signals()) {
        skip();
    }
    in_a_child(false, refuse_and_relent);
}

static _Atomic bool may_pin;
static _Atomic unsigned tried, pinned;

static void *pin_and_wait(void *arg) {
    atomic_fetch_add_explicit(&awake, 1, memory_order_relaxed);
    while (!atomic_load_explicit(&may_pin, memory_order_relaxed)) {
        weft_sleep(WEFT_MS);
    }
    int result = weft_pin_thread();
    WEFT_CHECK(result == 0 || result == -EAGAIN);
    atomic_fetch_add_explicit(&pinned, result == 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&tried, 1, memory_order_relaxed);
    if (result == 0) {
        WEFT_CHECK_OP(weft_sleep(2 * PATIENCE * WEFT_S), ==, -ECANCELED);
        weft_unpin_thread();
    }
    return arg;
}

static void pin_many(void *arg) {
    struct weft_task *t[HOGS];
    struct weft_metrics m;
    (void)arg;
    for (int i = 0; i < HOGS; i++) {
        WEFT_CHECK_OP(weft_spawn(&t[i], pin_and_wait, NULL, NULL), ==, 0);
    }
    while (atomic_load_explicit(&awake, memory_order_relaxed) < HOGS) {
        weft_sleep(WEFT_MS);
    }
    WEFT_CHECK(refuse());
    atomic_store_explicit(&may_pin, true, memory_order_relaxed);
    do { /* all get on, and this task */
        weft_sleep(WEFT_MS);
        weft_metrics_read(&m);
    } while (m.threads_refused < 3 ||
             atomic_load_explicit(&tried, memory_order_relaxed) < HOGS);
    WEFT_CHECK_OP(atomic_load_explicit(&pinned, memory_order_relaxed), <,
                  m.threads);
    for (int i = 0; i < HOGS; i++) {
        weft_cancel(t[i]);
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
    }
}

static void refuse_and_pin(void) {
    run(pin_many, NULL);
}

static void pinned_tasks_leave_a_thread_to_the_others(void **state) {
    (void)state;
    storm_needs_preemption();
    in_a_child(false, refuse_and_pin);
}

static void begin_and_end(void *arg) {
    (void)arg;
    start_sleepers();
    start_hogs();
    join_sleepers();
    end_hogs();
}

/* One thread is the caller's, two are the runtime's own. */
static void start_with_few(void) {
    int good = 0;
    for (rlim_t threads = 1; threads < 10; threads++) {
        WEFT_CHECK(allow(threads));
        atomic_store_explicit(&enough, false, memory_order_relaxed);
        atomic_store_explicit(&awake, 0, memory_order_relaxed);
        memset((void *)rounds, 0, sizeof rounds);
        int result = weft_run(&config, begin_and_end, NULL);
        WEFT_CHECK(result == 0 || result == -EAGAIN);
        WEFT_CHECK(good == 0 || result == 0);
        good += result == 0;
    }
    WEFT_CHECK_OP(good, >, 3);
    WEFT_CHECK_OP(good, <, 8);
}

static void a_runtime_begins_with_two_workers_threads_or_not_at_all(
    void **state) {
    (void)state;
    if (!storm_has_signals()) {
        skip();
    }
    if (WEFT_TSAN || WEFT_ASAN) {
        skip(); /* the sanitizers have threads of their own */
    }
    in_a_child(true, start_with_few);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            who_waits_gets_on_beside_hogs_on_all_threads_there_are),
        cmocka_unit_test(
            whenever_the_kernel_begins_to_refuse_a_thread_is_in_reserve),
        cmocka_unit_test(when_the_kernel_gives_threads_again_all_begin),
        cmocka_unit_test(pinned_tasks_leave_a_thread_to_the_others),
        cmocka_unit_test(
            a_runtime_begins_with_two_workers_threads_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
