/* SPDX-License-Identifier: MIT */
/* The program in README.md, taken from there by the build, does what the README
 * says that it does. Its main() is called readme_main() here. It is built with
 * checks, which nothing uses but a build or a run without signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/preempt/mode.h"

int readme_main(void);

static void the_program_in_the_readme_counts_beside_two_loops(void **state) {
    char said[256] = "";
    if (weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT) == WEFT_PREEMPT_OFF) {
        skip(); /* the loops hold up everybody, as they are told to */
    }
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int terminal = dup(STDOUT_FILENO);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    int result = readme_main();
    fflush(stdout);
    dup2(terminal, STDOUT_FILENO);
    close(terminal);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(said, "tick 1\ntick 2\ntick 3\n");
    assert_int_equal(result, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_in_the_readme_counts_beside_two_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
