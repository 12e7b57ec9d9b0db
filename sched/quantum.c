/* SPDX-License-Identifier: MIT */
/* The adaptive quantum: how long a slice may last while only hogs wait.
 *
 *     hogs that wait, for each processor    quantum, of the configured one
 *     up to 1                               2
 *     2                                     1
 *     n                                     2 / n
 *     8 and more                            1 / 4
 *
 * A hog's turn comes after all the others of its processor, so what it waits is
 * the quantum times their number: with many it should be short, and with few
 * there is no hurry, while each hand-over costs some 20 us. Between two and
 * eight the round takes the same time, twice the configured quantum.
 *
 * Always true: at most twice the configured quantum; at least a quarter of it,
 * and never less than LEAST or the minimum slice because of this policy, so
 * that hand-overs stay below 2 %.
 *
 * Rejected: counting light tasks as well. They do not wait for a quantum to end
 * (watch.c), and come and go in bursts that a quantum should not follow. */
#include "weft/sched/policy.h"

#include "weft/base/clock.h"
#include "weft/base/compiler.h"

enum { LONGEST = 2, SHORTEST = 4 };

#define LEAST WEFT_MS

WEFT_TEXT uint64_t weft_quantum(const struct weft_config *config,
                                uint32_t waiting) {
    uint64_t usual = config->quantum_ns;
    uint64_t floor = usual / SHORTEST;
    uint32_t each = waiting / config->workers;
    if (!weft_policy_on(config, WEFT_POLICY_QUANTUM)) {
        return usual;
    }
    floor = floor > LEAST ? floor : LEAST;
    floor = floor > config->min_slice_ns ? floor : config->min_slice_ns;
    floor = floor < usual ? floor : usual;
    uint64_t quantum = LONGEST * usual / (each > 1 ? each : 1);
    return quantum > floor ? quantum : floor;
}
