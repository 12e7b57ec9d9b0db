/* SPDX-License-Identifier: MIT */
/* The queues are the same to C++: its atomics lie as C's do, and what C has
 * compiled works on what C++ has made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/cxx_user.h"

static void a_ring_made_by_cxx_gives_what_it_got(void **state) {
    assert_int_equal(cxx_lockfree_queue(), 123);
}

static void so_does_a_block_queue(void **state) {
    assert_int_equal(cxx_block_queue(), 123);
}

static void a_local_queue_counts_for_cxx_too(void **state) {
    assert_int_equal(cxx_local_queue(), 71);
}

static void global_queues_of_cxx_are_served_by_c(void **state) {
    assert_int_equal(cxx_global_queues(), 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_made_by_cxx_gives_what_it_got),
        cmocka_unit_test(so_does_a_block_queue),
        cmocka_unit_test(a_local_queue_counts_for_cxx_too),
        cmocka_unit_test(global_queues_of_cxx_are_served_by_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
