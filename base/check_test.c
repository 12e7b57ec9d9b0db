/* SPDX-License-Identifier: MIT */
/* A check that fails says what broke and with which values, then aborts; one
 * that holds costs its condition and nothing else. The failing half runs in
 * child processes whose standard error is read through a pipe. */
#include "weft/base/check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs `die` in a child; what it wrote to standard error goes to `said`.
 * Returns the signal that ended it, 0 where it ended by itself. */
static int last_words(void (*die)(void), char *said, size_t size) {
    int ends[2];
    int status;
    size_t length = 0;
    ssize_t n;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        die();
        _exit(0);
    }
    close(ends[1]);
    while (length < size - 1 &&
           (n = read(ends[0], said + length, size - 1 - length)) > 0) {
        length += (size_t)n;
    }
    said[length] = '\0';
    char *emulator = strstr(said, "qemu: uncaught"); /* has a word of its own */
    if (emulator != NULL) {
        *emulator = '\0';
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int evaluations;

static int once(int value) {
    evaluations++;
    return value;
}

static void break_a_condition(void) {
    WEFT_CHECK(once(0) == 1);
}

static void break_a_comparison(void) {
    unsigned tail = 300;
    unsigned head = 44;
    WEFT_CHECK_OP(tail - head, <, 256u);
}

static void break_with_pointers(void) {
    WEFT_CHECK_OP((void *)0x1234, ==, (void *)0xabcd);
}

static void misuse(void) {
    weft_fatal("%s needs a runtime, %d given", "weft_yield()", 0);
}

static void hold(void) {
    WEFT_CHECK(once(1) == 1);
    WEFT_CHECK_OP(once(2), <=, once(2));
    WEFT_CHECK_OP(once(3), !=, once(4));
}

static void a_broken_condition_is_quoted_with_its_place(void **state) {
    char said[1024];
    assert_int_equal(last_words(break_a_condition, said, sizeof said), SIGABRT);
    assert_non_null(strstr(said, "weft: "));
    assert_non_null(strstr(said, "base/check_test.c:"));
    assert_non_null(strstr(said, "break_a_condition"));
    assert_non_null(strstr(said, "once(0) == 1"));
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

static void both_values_of_a_comparison_are_printed(void **state) {
    char said[1024];
    assert_int_equal(last_words(break_a_comparison, said, sizeof said),
                     SIGABRT);
    assert_non_null(strstr(said, "tail - head < 256u"));
    assert_non_null(strstr(said, "(256 0x100, 256 0x100)"));
    assert_int_equal(last_words(break_with_pointers, said, sizeof said),
                     SIGABRT);
    assert_non_null(strstr(said, "0x1234"));
    assert_non_null(strstr(said, "0xabcd"));
}

static void misuse_is_a_sentence(void **state) {
    char said[1024];
    assert_int_equal(last_words(misuse, said, sizeof said), SIGABRT);
    assert_string_equal(said, "weft: weft_yield() needs a runtime, 0 given\n");
}

static void a_check_that_holds_evaluates_once_and_goes_on(void **state) {
    char said[64];
    assert_int_equal(last_words(hold, said, sizeof said), 0);
    assert_string_equal(said, "");
    evaluations = 0;
    hold();
    assert_int_equal(evaluations, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_condition_is_quoted_with_its_place),
        cmocka_unit_test(both_values_of_a_comparison_are_printed),
        cmocka_unit_test(misuse_is_a_sentence),
        cmocka_unit_test(a_check_that_holds_evaluates_once_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
