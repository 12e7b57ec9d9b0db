/* SPDX-License-Identifier: MIT */
/* What checks cost where there are no signals: ns for a step of a loop, as it
 * is, with a weft_check() in it, and with checks that the compiler inserts.
 *
 *     bazel run -c opt //bench:check_bench
 *     bazel run -c opt --config=clang //bench:check_bench
 *
 * `asked` is a check while another thread is asked to give way. Expected: a
 * weft_check() is hidden in loops that wait for their own results (chain), adds
 * a fraction of a ns to others, and keeps `sum` from being vectorised; inserted
 * checks are calls, 1 to 2 ns for each block. */
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "weft/bench/check_kernels.h"
#include "weft/sched/task.h"

namespace {

constexpr std::uint64_t kRounds = 1 << 16;

std::vector<std::uint32_t> Numbers() {
    std::vector<std::uint32_t> numbers(kRounds);
    std::uint32_t x = 1;
    for (auto &number : numbers) {
        number = x = x * 1664525 + 1013904223;
    }
    return numbers;
}

void PerStep(benchmark::State &state) {
    state.counters["step"] = benchmark::Counter(
        static_cast<double>(kRounds) * static_cast<double>(state.iterations()),
        benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void Chain(benchmark::State &state, std::uint64_t (*chain)(std::uint64_t)) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(chain(kRounds));
    }
    PerStep(state);
}

void Sum(benchmark::State &state,
         std::uint64_t (*sum)(const std::uint32_t *, std::uint64_t)) {
    auto numbers = Numbers();
    for (auto _ : state) {
        benchmark::DoNotOptimize(sum(numbers.data(), kRounds));
    }
    PerStep(state);
}

/* The copy is timed too, alike for all three. */
void Sort(benchmark::State &state,
          void (*sort)(std::uint32_t *, std::uint64_t)) {
    auto numbers = Numbers();
    for (auto _ : state) {
        auto copy = numbers;
        sort(copy.data(), kRounds);
        benchmark::DoNotOptimize(copy.data());
    }
    PerStep(state);
}

void Count(benchmark::State &state, void (*count)(std::uint64_t)) {
    for (auto _ : state) {
        count(kRounds);
    }
    PerStep(state);
}

/* As if a thread had been asked that does not come to a check. */
void Asked(benchmark::State &state, void (*count)(std::uint64_t)) {
    __atomic_store_n(&weft_asked.threads, 1, __ATOMIC_RELAXED);
    for (auto _ : state) {
        count(kRounds);
    }
    __atomic_store_n(&weft_asked.threads, 0, __ATOMIC_RELAXED);
    PerStep(state);
}

BENCHMARK_CAPTURE(Count, plain, check_count_plain);
BENCHMARK_CAPTURE(Count, written, check_count_written);
BENCHMARK_CAPTURE(Count, inserted, check_count_inserted);
BENCHMARK_CAPTURE(Asked, written, check_count_written);
BENCHMARK_CAPTURE(Asked, inserted, check_count_inserted);
BENCHMARK_CAPTURE(Chain, plain, check_chain_plain);
BENCHMARK_CAPTURE(Chain, written, check_chain_written);
BENCHMARK_CAPTURE(Chain, inserted, check_chain_inserted);
BENCHMARK_CAPTURE(Sum, plain, check_sum_plain);
BENCHMARK_CAPTURE(Sum, written, check_sum_written);
BENCHMARK_CAPTURE(Sum, inserted, check_sum_inserted);
BENCHMARK_CAPTURE(Sort, plain, check_sort_plain);
BENCHMARK_CAPTURE(Sort, written, check_sort_written);
BENCHMARK_CAPTURE(Sort, inserted, check_sort_inserted);

}  // namespace

BENCHMARK_MAIN();
