/* SPDX-License-Identifier: MIT */
/* A program whose tasks all wait for each other is told so, with their names;
 * one that somebody outside will wake is not, however long that takes. Each
 * program runs in a child process of its own, with one worker and with two, and
 * several times. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/io/io.h"
#include "weft/io/pipe.h"
#include "weft/sched/park.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"
#include "weft/sync/channel.h"
#include "weft/sync/mutex.h"

enum {
    TIMES = 4,
    LONG_MS = 60,   /* the monitor looks 10 to 20 ms after the last task ran */
    PATIENCE_S = 40 /* the child is killed then */
};

static void nap(unsigned us) {
    struct timespec ts = {.tv_nsec = (long)us * 1000};
    while (nanosleep(&ts, &ts) != 0) {
    }
}

/* Runs `fn` as the first task of a child process; what that says on standard
 * error comes into `said`. Returns the child's status. */
static int in_child(const struct weft_config *config, void (*fn)(void *),
                    char *said, size_t size) {
    size_t length = 0;
    ssize_t n;
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        alarm(PATIENCE_S);
        _exit(weft_run(config, fn, NULL) == 0 ? 0 : 1);
    }
    close(ends[1]);
    while (length < size - 1 &&
           (n = read(ends[0], said + length, size - 1 - length)) > 0) {
        length += (size_t)n;
    }
    said[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* A sanitizer or an emulator may have a thread of its own, which is a thread
 * that weft does not know. */
static bool has_threads(void) {
    DIR *dir = opendir("/proc/self/task");
    int count = 0;
    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return WEFT_TSAN || count != 3; /* ".", ".." and this one */
}

static void is_reported(void (*fn)(void *), const char *line, const char *task,
                        const char *other) {
    if (has_threads()) {
        skip();
    }
    for (unsigned i = 0; i < TIMES; i++) {
        char said[8192];
        struct weft_config config = {.workers = 1 + i % 2};
        int status = in_child(&config, fn, said, sizeof said);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 2 ||
            strstr(said, line) == NULL || strstr(said, task) == NULL ||
            strstr(said, other) == NULL) {
            fail_msg("status %x, said: %s", (unsigned)status, said);
        }
    }
}

static void is_not_reported(void (*fn)(void *)) {
    for (unsigned i = 0; i < TIMES; i++) {
        char said[8192];
        struct weft_config config = {.workers = 1 + i % 2,
                                     .shutdown_grace_ns = PATIENCE_S * WEFT_S};
        int status = in_child(&config, fn, said, sizeof said);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fail_msg("status %x, said: %s", (unsigned)status, said);
        }
    }
}

/* Two tasks beside the first, which waits for both. */
static void run_two(void *(*fn)(void *)) {
    struct weft_task *left, *right;
    struct weft_task_options one = {.name = "left"}, two = {.name = "right"};
    WEFT_CHECK_OP(weft_spawn(&left, fn, NULL, &one), ==, 0);
    WEFT_CHECK_OP(weft_spawn(&right, fn, left, &two), ==, 0);
    WEFT_CHECK_OP(weft_join(left, NULL), ==, 0);
    WEFT_CHECK_OP(weft_join(right, NULL), ==, 0);
}

/* --- nothing can go on -----------------------------------------------------
 */

static struct weft_mutex first = WEFT_MUTEX_INIT, second = WEFT_MUTEX_INIT;
static _Atomic int holders;

static void *lock_both(void *is_right) {
    struct weft_mutex *mine = is_right != NULL ? &first : &second;
    struct weft_mutex *other = is_right != NULL ? &second : &first;
    weft_mutex_lock(mine);
    atomic_fetch_add_explicit(&holders, 1, memory_order_relaxed);
    while (atomic_load_explicit(&holders, memory_order_relaxed) < 2) {
        WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
    }
    weft_mutex_lock(other);
    return NULL;
}

static void lock_crosswise(void *arg) {
    (void)arg;
    run_two(lock_both);
}

static void two_tasks_that_lock_crosswise_are_reported(void **state) {
    is_reported(lock_crosswise, "all 3 tasks wait and nothing can wake them",
                "\"left\" waiting", "\"right\" waiting");
}

static struct weft_channel *channel;

static void *receive(void *is_right) {
    int value;
    (void)is_right;
    WEFT_CHECK_OP(weft_channel_recv(channel, &value), ==, 0);
    return NULL;
}

static void receive_what_nobody_sends(void *arg) {
    int value = 1;
    (void)arg;
    WEFT_CHECK_OP(weft_channel_new(&channel, 0, sizeof value), ==, 0);
    run_two(receive);
}

static void receivers_without_a_sender_are_reported(void **state) {
    is_reported(receive_what_nobody_sends, "all 3 tasks wait",
                "\"left\" waiting", "\"right\" waiting");
}

static struct weft_task *_Atomic joined;

static void *join_the_first(void *arg) {
    WEFT_CHECK_OP(
        weft_join(atomic_load_explicit(&joined, memory_order_relaxed), NULL),
        ==, 0);
    return arg;
}

static void *join_one_that_joins(void *arg) {
    struct weft_task *t;
    struct weft_task_options two = {.name = "right"};
    atomic_store_explicit(&joined, weft_self(), memory_order_relaxed);
    WEFT_CHECK_OP(weft_spawn(&t, join_the_first, NULL, &two), ==, 0);
    WEFT_CHECK_OP(weft_join(t, NULL), ==, 0);
    return arg;
}

static void join_each_other(void *arg) {
    struct weft_task *t;
    struct weft_task_options one = {.name = "left"};
    WEFT_CHECK_OP(weft_spawn(&t, join_one_that_joins, arg, &one), ==, 0);
    WEFT_CHECK_OP(weft_park(WEFT_FOREVER, "for nobody"), ==, 0);
}

static void tasks_that_join_each_other_are_reported(void **state) {
    is_reported(join_each_other, "all 3 tasks wait", "\"left\" waiting",
                "\"right\" waiting");
}

static void park_alone(void *arg) {
    (void)arg;
    weft_set_name("hermit");
    WEFT_CHECK_OP(weft_park(WEFT_FOREVER, "for nobody"), ==, 0);
}

static void one_task_that_parks_for_good_is_reported(void **state) {
    is_reported(park_alone, "the only task waits", "\"hermit\" waiting",
                "for nobody");
}

static int ends[2];

static void *nap_briefly(void *arg) {
    nap(30000);
    return arg;
}

/* What was awaited came, and then there is nothing left. */
static void wait_for_all_and_park(void *arg) {
    char byte;
    pthread_t thread;
    WEFT_CHECK_OP(weft_pipe(ends), ==, 0);
    WEFT_CHECK_OP(weft_read(ends[0], &byte, 1, weft_now() + 5 * WEFT_MS), ==,
                  -ETIMEDOUT);
    WEFT_CHECK_OP(weft_sleep(20 * WEFT_MS), ==, 0);
    WEFT_CHECK_OP(pthread_create(&thread, NULL, nap_briefly, NULL), ==, 0);
    WEFT_CHECK_OP(pthread_detach(thread), ==, 0);
    park_alone(arg);
}

static void it_is_noticed_after_the_last_that_could_have_come(void **state) {
    is_reported(wait_for_all_and_park, "the only task waits",
                "\"hermit\" waiting", "for nobody");
}

/* --- somebody will come ----------------------------------------------------
 */

static void *sleep_long(void *arg) {
    WEFT_CHECK_OP(weft_sleep(LONG_MS * WEFT_MS), ==, 0);
    return arg;
}

static void wait_for_timers(void *arg) {
    (void)arg;
    run_two(sleep_long);
}

static void who_waits_for_a_timer_is_not_reported(void **state) {
    is_not_reported(wait_for_timers);
}

static void wait_for_another_process(void *arg) {
    char byte;
    (void)arg;
    WEFT_CHECK_OP(weft_pipe(ends), ==, 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 3; i++) {
            nap(LONG_MS / 2 * 1000);
            if (write(ends[1], "x", 1) != 1) {
                _exit(1);
            }
        }
        _exit(0);
    }
    for (int i = 0; i < 3; i++) {
        WEFT_CHECK_OP(weft_read(ends[0], &byte, 1, WEFT_FOREVER), ==, 1);
    }
    WEFT_CHECK_OP(waitpid(child, NULL, 0), ==, child);
}

static void who_waits_for_a_descriptor_is_not_reported(void **state) {
    is_not_reported(wait_for_another_process);
}

struct visit {
    struct weft_task *task;
    _Atomic bool came;
    unsigned after_us;
};

static void *come_late(void *visit) {
    struct visit *v = visit;
    struct weft_task *t = v->task;
    nap(v->after_us);
    atomic_store_explicit(&v->came, true, memory_order_release);
    weft_unpark(t);
    return NULL;
}

static void be_visited(unsigned after_us) {
    pthread_t thread;
    struct visit v = {.task = weft_self(), .after_us = after_us};
    WEFT_CHECK_OP(pthread_create(&thread, NULL, come_late, &v), ==, 0);
    WEFT_CHECK_OP(pthread_detach(thread), ==, 0);
    while (!atomic_load_explicit(&v.came, memory_order_acquire)) {
        WEFT_CHECK_OP(weft_park(WEFT_FOREVER, "for a visitor"), ==, 0);
    }
}

/* The visitor's thread ends at once, around the moments in which the monitor
 * looks: what it has done counts, though it is gone. */
static void wait_for_threads(void *arg) {
    (void)arg;
    be_visited(2 * LONG_MS * 1000);
    for (unsigned us = 8000; us < 20000; us += 1000) {
        be_visited(us);
    }
}

static void who_waits_for_a_thread_is_not_reported(void **state) {
    is_not_reported(wait_for_threads);
}

static void *nap_there(void *arg) {
    nap(LONG_MS * 1000);
    return arg;
}

static void *block(void *arg) {
    WEFT_CHECK_OP(weft_blocking(nap_there, arg), ==, arg);
    return nap_there(arg); /* and in secret */
}

static void wait_for_those_that_block(void *arg) {
    (void)arg;
    run_two(block);
}

static void who_waits_for_a_call_that_blocks_is_not_reported(void **state) {
    is_not_reported(wait_for_those_that_block);
}

/* All stand still for a little, each time about as long as the monitor needs to
 * become suspicious. */
static void stop_and_go(void *arg) {
    char byte = 0;
    (void)arg;
    WEFT_CHECK_OP(weft_pipe(ends), ==, 0);
    for (unsigned us = 8000; us < 24000; us += 1000) {
        if (us % 2000 == 0) {
            WEFT_CHECK_OP(weft_sleep(us * WEFT_US), ==, 0);
        } else {
            WEFT_CHECK_OP(
                weft_read(ends[0], &byte, 1, weft_now() + us * WEFT_US), ==,
                -ETIMEDOUT);
        }
    }
}

static void who_stops_and_goes_is_not_reported(void **state) {
    is_not_reported(stop_and_go);
}

static void *linger_on(void *arg) {
    uint64_t until = weft_now() + LONG_MS * WEFT_MS;
    while (weft_park_uncancellable(until, "the end") != -ETIMEDOUT) {
    }
    return arg;
}

/* The first task has ended, and the grace time runs. */
static void end_before_others(void *arg) {
    struct weft_task *t;
    WEFT_CHECK_OP(weft_spawn(&t, linger_on, arg, NULL), ==, 0);
    WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
}

static void the_end_of_the_runtime_is_not_reported(void **state) {
    is_not_reported(end_before_others);
}

static void say_farewell(int number) {
    (void)number;
    _exit(7);
}

/* A signal will end it, long after it would have been reported. */
static void park_until_a_signal(void *arg) {
    signal(SIGALRM, say_farewell);
    ualarm(4 * LONG_MS * 1000, 0);
    park_alone(arg);
}

static void a_program_that_knows_better_is_left_alone(void **state) {
    char said[8192];
    struct weft_config config = {.workers = 2,
                                 .deadlock = WEFT_DEADLOCK_IGNORE};
    int status = in_child(&config, park_until_a_signal, said, sizeof said);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_string_equal(said, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_tasks_that_lock_crosswise_are_reported),
        cmocka_unit_test(receivers_without_a_sender_are_reported),
        cmocka_unit_test(tasks_that_join_each_other_are_reported),
        cmocka_unit_test(one_task_that_parks_for_good_is_reported),
        cmocka_unit_test(it_is_noticed_after_the_last_that_could_have_come),
        cmocka_unit_test(who_waits_for_a_timer_is_not_reported),
        cmocka_unit_test(who_waits_for_a_descriptor_is_not_reported),
        cmocka_unit_test(who_waits_for_a_thread_is_not_reported),
        cmocka_unit_test(who_waits_for_a_call_that_blocks_is_not_reported),
        cmocka_unit_test(who_stops_and_goes_is_not_reported),
        cmocka_unit_test(the_end_of_the_runtime_is_not_reported),
        cmocka_unit_test(a_program_that_knows_better_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
