/* SPDX-License-Identifier: MIT */
/* What it costs to interrupt a thread, piece by piece and as a whole; the Time
 * column is ns (what is timed: bench/preempt_loops.h).
 *
 *     bazel run -c opt //bench:preempt_bench
 *
 * `request` and `switch` give their median as Time, and p99, max and the
 * sender's own share (send) beside it. Surprising would be: a gate above 2 ns;
 * `self_signal` above three system calls and 2 us; `handover/same_cpu` above
 * two futex calls and one context switch of the kernel (3 to 5 us). In a
 * virtual machine `request` and `switch` are mostly the interrupt that one CPU
 * sends to the other, and handover/other_cpu the wake-up of an idle CPU. */
#include <benchmark/benchmark.h>

#include <string>

#include "weft/bench/preempt_loops.h"

namespace {

void Add(const char *name, std::int64_t count, double (*loop)(std::uint64_t)) {
    benchmark::RegisterBenchmark(
        name,
        [=](benchmark::State &state) {
            while (state.KeepRunningBatch(count)) {
                double ns = loop(static_cast<std::uint64_t>(count));
                if (ns < 0) {
                    state.SkipWithError("needs a second CPU");
                    break;
                }
                state.SetIterationTime(ns * static_cast<double>(count) * 1e-9);
            }
        })
        ->UseManualTime()
        ->Iterations(count)
        ->Repetitions(9)
        ->DisplayAggregatesOnly();
}

template <typename Loop>
void AddLatency(const char *name, std::int64_t count, Loop loop) {
    benchmark::RegisterBenchmark(
        name,
        [=](benchmark::State &state) {
            while (state.KeepRunningBatch(count)) {
                preempt_latency took = {};
                if (!loop(static_cast<std::uint64_t>(count), &took)) {
                    state.SkipWithError("needs a second CPU");
                    break;
                }
                state.SetIterationTime(took.p50_ns *
                                       static_cast<double>(count) * 1e-9);
                state.counters["p99"] = took.p99_ns;
                state.counters["max"] = took.max_ns;
                state.counters["send"] = took.send_ns;
            }
        })
        ->UseManualTime()
        ->Iterations(count)
        ->Repetitions(5)
        ->DisplayAggregatesOnly();
}

}  // namespace

int main(int argc, char **argv) {
    Add("gate", 10000000, preempt_gate);
    Add("thread_self", 10000000, preempt_self);
    Add("self_signal", 100000, preempt_self_signal);
    Add("handover/same_cpu", 100000,
        [](std::uint64_t n) { return preempt_handover(n, true); });
    Add("handover/other_cpu", 20000,
        [](std::uint64_t n) { return preempt_handover(n, false); });
    Add("kick", 1000000, preempt_kick);
    Add("tick", 100000, preempt_tick);
    Add("wakeup", 50000, preempt_wakeup);
    AddLatency("request/other_cpu", 10000, preempt_request);
    AddLatency("switch", 10000, preempt_switch);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 1;
    }
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
