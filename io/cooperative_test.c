/* SPDX-License-Identifier: MIT */
/* Where no signal interrupts a task, its calls of io end its quantum. */
#include "weft/io/testing.h"
#include "weft/sched/runtime.h"

static _Atomic int let_go;

static void *release(void *arg) {
    atomic_store_explicit(&let_go, 1, memory_order_relaxed);
    return NULL;
}

/* Never waits: what it writes is there to be read. */
static void write_and_read(void *arg) {
    int ends[2];
    open_pipe(ends);
    struct weft_task *other = start(release, NULL);
    while (atomic_load_explicit(&let_go, memory_order_relaxed) == 0) {
        char byte = 'x';
        EXPECT(weft_write(ends[1], &byte, 1, soon()), 1);
        EXPECT(weft_read(ends[0], &byte, 1, soon()), 1);
    }
    EXPECT(finish(other), 0);
    close_both(ends);
}

static void who_never_waits_holds_up_nobody(void **state) {
    static const struct weft_config config = {
        .workers = 1,
        .quantum_ns = 1 * WEFT_MS,
        .preempt = WEFT_PREEMPT_COOPERATIVE,
    };
    assert_int_equal(weft_run(&config, write_and_read, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_never_waits_holds_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
