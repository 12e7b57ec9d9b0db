// SPDX-License-Identifier: MIT
// A task that is moved while it handles an exception: the C++ library keeps
// what is being handled in a thread-local, which has to travel with the task.
#include <cstdint>

#include "weft/sched/task.h"

extern "C" WEFT_MIGRATABLE __attribute__((noinline)) std::uint64_t
compute_while_catching(std::uint64_t seed, std::uint64_t (*fn)(std::uint64_t)) {
    std::uint64_t sum = 0;
    try {
        try {
            throw seed;
        } catch (std::uint64_t) {
            sum = fn(seed);
            throw;  // the one that is being handled
        }
    } catch (std::uint64_t thrown) {
        return sum + (thrown == seed ? 1 : 0);
    }
}
