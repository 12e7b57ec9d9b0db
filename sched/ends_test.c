/* SPDX-License-Identifier: MIT */
/* What a task gets that ends its thread, forks, or jumps on its stack. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/compiler.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"

/* Runs `fn` as a task in a child process; what that says on standard error
 * comes into `said`. Returns the child's status. */
static int in_child(void (*fn)(void *), char *said, size_t size) {
    size_t length = 0;
    ssize_t n;
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        weft_run(NULL, fn, NULL);
        _exit(0);
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

static void *exit_thread(void *arg) {
    weft_set_name("leaver");
    pthread_exit(arg);
}

static void join_one_that_exits(void *arg) {
    struct weft_task *t;
    weft_spawn(&t, exit_thread, arg, NULL);
    weft_join(t, NULL);
}

static void pthread_exit_stops_the_program_with_a_sentence(void **state) {
    char said[4096];
    if (WEFT_ASAN || WEFT_TSAN) {
        skip(); /* they have words of their own about it, and stop it, too */
    }
    int status = in_child(join_one_that_exits, said, sizeof said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "\"leaver\" ended its OS thread"));
}

/* In a task: what the child of its fork() finds, as an exit status. */
static int judge(void) {
    struct weft_task *t;
    if (weft_self() != NULL) {
        return 1;
    }
    if (weft_spawn(&t, exit_thread, NULL, NULL) != -EPERM) {
        return 2;
    }
    if (weft_join((struct weft_task *)&t, NULL) != -EPERM) {
        return 3;
    }
    weft_yield();
    weft_check();
    return weft_sleep(WEFT_MS) == 0 ? 42 : 4;
}

static void fork_and_judge(void *arg) {
    int *status = arg;
    pid_t child = fork();
    if (child == 0) {
        _exit(judge());
    }
    waitpid(child, status, 0);
}

static void the_child_of_a_fork_is_outside_the_runtime(void **state) {
    int status = 0;
    assert_int_equal(weft_run(NULL, fork_and_judge, &status), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static void return_in_the_child(void *arg) {
    int status;
    pid_t child = fork();
    if (child != 0) {
        waitpid(child, &status, 0);
        WEFT_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

static void a_task_that_returns_in_the_child_is_told(void **state) {
    char said[4096];
    int status = in_child(return_in_the_child, said, sizeof said);
    assert_true(WIFEXITED(status));
    assert_non_null(strstr(said, "ended in the child of a fork()"));
}

static void *jump(void *arg) {
    jmp_buf here;
    volatile intptr_t jumps = 0;
    if (setjmp(here) < 3) {
        jumps++;
        weft_yield(); /* perhaps to another thread, on the same stack */
        longjmp(here, (int)jumps);
    }
    return (void *)jumps;
}

static void jump_beside_others(void *arg) {
    struct weft_task *tasks[16];
    for (int i = 0; i < 16; i++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[i], jump, NULL, NULL), ==, 0);
    }
    for (int i = 0; i < 16; i++) {
        void *jumps;
        WEFT_CHECK_OP(weft_join(tasks[i], &jumps), ==, 0);
        *(intptr_t *)arg += (intptr_t)jumps;
    }
}

static void longjmp_on_a_tasks_own_stack_works_across_waits(void **state) {
    struct weft_config config = {.workers = 2};
    intptr_t jumps = 0;
    assert_int_equal(weft_run(&config, jump_beside_others, &jumps), 0);
    assert_int_equal(jumps, 48);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pthread_exit_stops_the_program_with_a_sentence),
        cmocka_unit_test(the_child_of_a_fork_is_outside_the_runtime),
        cmocka_unit_test(a_task_that_returns_in_the_child_is_told),
        cmocka_unit_test(longjmp_on_a_tasks_own_stack_works_across_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
