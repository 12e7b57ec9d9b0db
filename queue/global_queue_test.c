/* SPDX-License-Identifier: MIT */
/* The global queue under a lock; its tests are in weft/queue/global_testing.h.
 */
#include "weft/queue/global_queue.h"

#include "weft/queue/global_testing.h"

int main(void) {
    const struct CMUnitTest tests[] = {GLOBAL_TESTS};
    return cmocka_run_group_tests(tests, number_all, NULL);
}
