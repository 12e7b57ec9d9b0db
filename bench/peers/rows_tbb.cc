/* SPDX-License-Identifier: MIT */
/* oneTBB's side of bench/compare: rows_tbb fib prints "fib VALUE ms". Its tasks
 * have no stack and cannot wait for anything but their children: the floor for
 * fork-join, on two threads. */
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_group.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

uint64_t Fib(uint64_t n) {
    if (n < 2) {
        return n;
    }
    uint64_t left;
    tbb::task_group group;
    group.run([&left, n] { left = Fib(n - 1); });
    uint64_t right = Fib(n - 2);
    group.wait();
    return left + right;
}

}  // namespace

int main(int argc, char **argv) {
    tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                2);
    if (argc != 2 || strcmp(argv[1], "fib") != 0) {
        fprintf(stderr, "rows_tbb: the only row is fib\n");
        return 2;
    }
    Fib(24);
    auto begin = std::chrono::steady_clock::now();
    if (Fib(32) != 2178309) {
        return 1;
    }
    printf("fib %.4f ms\n", std::chrono::duration<double, std::milli>(
                                std::chrono::steady_clock::now() - begin)
                                .count());
    return 0;
}
