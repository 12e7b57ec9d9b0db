/* SPDX-License-Identifier: MIT */
/* Signals that a task waits for. They are raised in the thread itself, so that
 * each has come when raise() returns, except where a race is wanted. */
#include "weft/io/signal_channel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "weft/io/pipe.h"
#include "weft/io/testing.h"

static sigset_t set_of(int a, int b) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, a);
    if (b != 0) {
        sigaddset(&set, b);
    }
    return set;
}

static int open_signals(int a, int b) {
    sigset_t set = set_of(a, b);
    int fd = weft_signals_open(&set);
    WEFT_CHECK_OP(fd, >=, 0);
    return fd;
}

static void *wait_for_one(void *arg) {
    return (void *)(long)weft_signal_wait(*(int *)arg, soon());
}

IO_TEST(a_signal_comes_as_its_number_to_one_who_waits_or_comes_later) {
    int fd = open_signals(SIGUSR1, SIGUSR2);
    struct weft_task *task = start(wait_for_one, &fd);
    await_busy(fd, WEFT_READING);
    EXPECT(kill(getpid(), SIGUSR2), 0);
    EXPECT(finish(task), SIGUSR2);
    EXPECT(raise(SIGUSR2), 0);
    EXPECT(raise(SIGUSR1), 0);
    /* Late, and still given, the oldest first. */
    EXPECT(weft_signal_wait(fd, 0), SIGUSR2);
    EXPECT(weft_signal_wait(fd, 0), SIGUSR1);
    EXPECT(weft_signal_wait(fd, 0), -ETIMEDOUT);
    EXPECT(weft_signals_close(fd), 0);
}

IO_TEST(a_signal_that_was_not_taken_counts_once) {
    int fd = open_signals(SIGUSR1, SIGUSR2);
    for (int round = 0; round < 3; round++) {
        /* More than a pipe would hold. */
        for (int i = 0; i < 5000; i++) {
            EXPECT(raise(SIGUSR1), 0);
        }
        EXPECT(raise(SIGUSR2), 0);
        EXPECT(weft_signal_wait(fd, 0), SIGUSR1);
        EXPECT(weft_signal_wait(fd, 0), SIGUSR2);
        EXPECT(weft_signal_wait(fd, 0), -ETIMEDOUT);
    }
    EXPECT(weft_signals_close(fd), 0);
}

IO_TEST(waiting_ends_by_deadline_cancel_and_close) {
    int fd = open_signals(SIGUSR1, 0);
    EXPECT(weft_signal_wait(fd, weft_now() + 2 * WEFT_MS), -ETIMEDOUT);
    struct weft_task *task = start(wait_for_one, &fd);
    await_busy(fd, WEFT_READING);
    EXPECT(weft_cancel(task), 0);
    EXPECT(finish(task), -ECANCELED);
    struct weft_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        tasks[i] = start(wait_for_one, &fd);
    }
    await_busy(fd, WEFT_READING);
    let_them_wait();
    EXPECT(weft_signals_close(fd), 0);
    for (int i = 0; i < 3; i++) {
        EXPECT(finish(tasks[i]), -EBADF);
    }
    EXPECT(weft_signal_wait(fd, soon()), -EBADF);
}

static _Atomic int handled;

static void count(int number) {
    atomic_fetch_add_explicit(&handled, 1, memory_order_relaxed);
}

/* Has `count` handle SIGUSR1. */
static void handle_by_count(void) {
    struct sigaction action = {.sa_handler = count};
    atomic_store_explicit(&handled, 0, memory_order_relaxed);
    EXPECT(sigaction(SIGUSR1, &action, NULL), 0);
}

static int times_handled(void) {
    return atomic_load_explicit(&handled, memory_order_relaxed);
}

IO_TEST(what_was_in_force_is_so_again) {
    handle_by_count();
    int fd = open_signals(SIGUSR1, 0);
    EXPECT(raise(SIGUSR1), 0);
    EXPECT(times_handled(), 0);
    EXPECT(weft_signals_close(fd), 0);
    EXPECT(raise(SIGUSR1), 0);
    EXPECT(times_handled(), 1);
    /* What failed has changed nothing. */
    sigset_t set = set_of(SIGUSR1, SIGKILL);
    EXPECT(weft_signals_open(&set), -EINVAL);
    EXPECT(raise(SIGUSR1), 0);
    EXPECT(times_handled(), 2);
    signal(SIGUSR1, SIG_DFL);
}

IO_TEST(what_cannot_be_had_is_refused) {
    static const int not_these[] = {SIGKILL, SIGSTOP, SIGURG,  SIGSEGV, SIGBUS,
                                    SIGFPE,  SIGILL,  SIGTRAP, SIGSYS};
    sigset_t set;
    sigemptyset(&set);
    EXPECT(weft_signals_open(&set), -EINVAL);
    for (size_t i = 0; i < sizeof(not_these) / sizeof(not_these[0]); i++) {
        set = set_of(not_these[i], 0);
        EXPECT(weft_signals_open(&set), -EINVAL);
    }
    int fd = open_signals(SIGUSR1, 0);
    set = set_of(SIGUSR1, SIGUSR2);
    EXPECT(weft_signals_open(&set), -EBUSY);
    int other = open_signals(SIGUSR2, SIGTERM);
    int ends[2];
    EXPECT(weft_pipe(ends), 0);
    EXPECT(weft_signals_close(ends[0]), -EBADF);
    EXPECT(weft_signals_close(-1), -EBADF);
    close_both(ends);
    EXPECT(weft_signals_close(fd), 0);
    EXPECT(weft_signals_close(fd), -EBADF);
    EXPECT(raise(SIGTERM), 0);
    EXPECT(weft_signal_wait(other, 0), SIGTERM);
    EXPECT(weft_signals_close(other), 0);
}

static void without_a_runtime_there_are_none(void **state) {
    sigset_t set = set_of(SIGUSR1, 0);
    assert_int_equal(weft_signals_open(&set), -EPERM);
}

static _Atomic int stop;

static void *storm(void *arg) {
    while (atomic_load_explicit(&stop, memory_order_relaxed) == 0) {
        kill(getpid(), SIGUSR1);
    }
    return NULL;
}

IO_TEST(no_signal_is_written_to_a_number_that_was_given_away) {
    handle_by_count();
    pthread_t thread;
    atomic_store_explicit(&stop, 0, memory_order_relaxed);
    EXPECT(pthread_create(&thread, NULL, storm, NULL), 0);
    for (int i = 0; i < 300; i++) {
        int fd = open_signals(SIGUSR1, 0);
        if (i % 3 == 0) {
            EXPECT(weft_signal_wait(fd, soon()), SIGUSR1);
        }
        EXPECT(weft_signals_close(fd), 0);
        int ends[2];
        char byte;
        EXPECT(weft_pipe(ends), 0); /* the same numbers */
        weft_yield();
        EXPECT(weft_read(ends[0], &byte, 1, 0), -ETIMEDOUT);
        close_both(ends);
    }
    atomic_store_explicit(&stop, 1, memory_order_relaxed);
    EXPECT(pthread_join(thread, NULL), 0);
    /* The last one may still be on its way to some thread: it is counted. */
    signal(SIGUSR1, SIG_IGN);
}

IO_TEST(a_child_does_not_speak_for_its_parent) {
    int fd = open_signals(SIGUSR1, 0);
    pid_t child = fork();
    if (child == 0) {
        raise(SIGUSR1);
        _exit(7);
    }
    int status = 0;
    EXPECT(waitpid(child, &status, 0), child);
    EXPECT(WEXITSTATUS(status), 7);
    EXPECT(weft_signal_wait(fd, 0), -ETIMEDOUT);
    EXPECT(weft_signals_close(fd), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_signal_comes_as_its_number_to_one_who_waits_or_comes_later),
        cmocka_unit_test(a_signal_that_was_not_taken_counts_once),
        cmocka_unit_test(waiting_ends_by_deadline_cancel_and_close),
        cmocka_unit_test(what_was_in_force_is_so_again),
        cmocka_unit_test(what_cannot_be_had_is_refused),
        cmocka_unit_test(without_a_runtime_there_are_none),
        cmocka_unit_test(no_signal_is_written_to_a_number_that_was_given_away),
        cmocka_unit_test(a_child_does_not_speak_for_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
