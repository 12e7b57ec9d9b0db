/* SPDX-License-Identifier: MIT */
/* A gate without threads: the handler is played by calls in between. */
#include "weft/preempt/gate.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

#include <cmocka.h>

static void a_new_gate_is_open_and_has_no_note(void **state) {
    struct weft_gate gate;
    weft_gate_init(&gate);
    assert_false(weft_gate_is_closed(&gate));
    assert_false(weft_gate_is_pending(&gate));
}

static void opening_without_a_request_tells_nothing(void **state) {
    struct weft_gate gate = {0};
    weft_gate_close(&gate);
    assert_true(weft_gate_is_closed(&gate));
    assert_false(weft_gate_open(&gate));
    assert_false(weft_gate_is_closed(&gate));
}

static void opening_tells_of_a_request_once(void **state) {
    struct weft_gate gate = {0};
    weft_gate_close(&gate);
    weft_gate_defer(&gate);
    weft_gate_defer(&gate);
    assert_true(weft_gate_is_pending(&gate));
    assert_true(weft_gate_open(&gate));
    assert_false(weft_gate_is_pending(&gate));
    weft_gate_close(&gate);
    assert_false(weft_gate_open(&gate));
}

static void only_the_outermost_opening_tells(void **state) {
    struct weft_gate gate = {0};
    weft_gate_close(&gate);
    weft_gate_close(&gate);
    weft_gate_defer(&gate);
    assert_false(weft_gate_open(&gate));
    assert_true(weft_gate_is_closed(&gate));
    assert_true(weft_gate_is_pending(&gate));
    assert_true(weft_gate_open(&gate));
}

static void a_cleared_note_is_not_told(void **state) {
    struct weft_gate gate = {0};
    weft_gate_close(&gate);
    weft_gate_defer(&gate);
    weft_gate_clear(&gate);
    assert_false(weft_gate_open(&gate));
}

/* A real handler at random instructions: each signal either finds the gate open
 * or is told of at an opening; none is forgotten. */
static struct weft_gate shared_gate;
static volatile sig_atomic_t notes;  /* handler left one where none was */
static volatile sig_atomic_t direct; /* handler found the gate open */

static void note(int number) {
    if (!weft_gate_is_closed(&shared_gate)) {
        direct++;
    } else if (!weft_gate_is_pending(&shared_gate)) {
        notes++;
        weft_gate_defer(&shared_gate);
    }
}

static void no_request_is_forgotten_at_any_instruction(void **state) {
    enum { NOTES = 300, ROUNDS_MAX = 2000000000 };
    struct sigaction action = {.sa_handler = note};
    struct sigaction before;
    struct itimerval every = {{0, 50}, {0, 50}};
    struct itimerval never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, &before);
    weft_gate_init(&shared_gate);
    notes = 0;
    long told = 0;
    setitimer(ITIMER_REAL, &every, NULL);
    for (long i = 0; i < ROUNDS_MAX && notes < NOTES; i++) {
        weft_gate_close(&shared_gate);
        told += weft_gate_open(&shared_gate);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    weft_gate_close(&shared_gate);
    told += weft_gate_open(&shared_gate);
    assert_int_equal(told, notes);
    assert_in_range(notes, 1, UINT32_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_gate_is_open_and_has_no_note),
        cmocka_unit_test(opening_without_a_request_tells_nothing),
        cmocka_unit_test(opening_tells_of_a_request_once),
        cmocka_unit_test(only_the_outermost_opening_tells),
        cmocka_unit_test(a_cleared_note_is_not_told),
        cmocka_unit_test(no_request_is_forgotten_at_any_instruction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
