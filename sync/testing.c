/* SPDX-License-Identifier: MIT */
#include "weft/sync/testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/sched/runtime.h"

static const struct weft_config config = {
    .workers = 2,
    .quantum_ns = 50 * WEFT_US,
};

void weft_test_run(void (*fn)(void *), void *arg) {
    assert_int_equal(weft_run(&config, fn, arg), 0);
}

void weft_test_run_stepwise(void (*fn)(void *), void *arg) {
    static const struct weft_config stepwise = {
        .workers = 1,
        .preempt = WEFT_PREEMPT_OFF,
    };
    assert_int_equal(weft_run(&stepwise, fn, arg), 0);
}

static void child(void (*fn)(void *), bool as_task, int out) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    /* cmocka catches what would end the process. */
    signal(SIGABRT, SIG_DFL);
    dup2(out, STDERR_FILENO);
    if (as_task) {
        (void)weft_run(&config, fn, NULL);
    } else {
        fn(NULL);
    }
    _exit(0);
}

void weft_test_stops(void (*fn)(void *), bool as_task, const char *sentence) {
    char said[4096];
    size_t length = 0;
    int pipes[2];
    int status;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child(fn, as_task, pipes[1]);
    }
    close(pipes[1]);
    for (;;) {
        ssize_t n = read(pipes[0], said + length, sizeof(said) - 1 - length);
        if (n <= 0) {
            break;
        }
        length += (size_t)n;
    }
    said[length] = '\0';
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
        strstr(said, sentence) == NULL) {
        fail_msg("status %#x, said \"%s\", expected \"%s\"", (unsigned)status,
                 said, sentence);
    }
}

struct call {
    void (*fn)(void *);
    void *arg;
};

static void *foreign_main(void *arg) {
    struct call *call = arg;
    WEFT_CHECK(weft_self() == NULL);
    call->fn(call->arg);
    return NULL;
}

/* On a thread of its own: pthread_join() would hold the caller's worker. */
static void *start_and_join(void *arg) {
    pthread_t thread;
    WEFT_CHECK_OP(pthread_create(&thread, NULL, foreign_main, arg), ==, 0);
    WEFT_CHECK_OP(pthread_join(thread, NULL), ==, 0);
    return NULL;
}

void weft_test_foreign(void (*fn)(void *), void *arg) {
    struct call call = {fn, arg};
    weft_blocking(start_and_join, &call);
}

struct weft_task *weft_test_spawn(void *(*fn)(void *), void *arg) {
    struct weft_task *task = NULL;
    WEFT_CHECK_OP(weft_spawn(&task, fn, arg, NULL), ==, 0);
    return task;
}

intptr_t weft_test_join(struct weft_task *task) {
    void *result = NULL;
    WEFT_CHECK_OP(weft_join(task, &result), ==, 0);
    return (intptr_t)result;
}

void weft_test_await_waiting(struct weft_task *task) {
    while (weft_task_state(task) != WEFT_TASK_WAITING) {
        WEFT_CHECK(weft_task_state(task) != WEFT_TASK_DEAD);
        weft_yield();
    }
}

void weft_test_await_count(struct weft_wait_list *list, uint32_t count) {
    for (;;) {
        weft_wait_list_enter(list);
        WEFT_CHECK(weft_wait_list_valid(list));
        uint32_t have = list->count;
        weft_wait_list_leave(list);
        if (have == count) {
            return;
        }
        weft_yield();
    }
}

uint64_t weft_test_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
