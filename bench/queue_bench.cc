/* SPDX-License-Identifier: MIT */
/* The queues, 1 M operations at a time; the Time column is ns for one operation
 * (what one is: bench/queue_loops.h).
 *
 *     bazel run -c opt //bench:queue_bench
 *     bazel run -c opt //bench:queue_peers_bench    beside Debian's libck-dev,
 *         libconcurrentqueue-dev, libboost-dev, libtbb-dev
 *
 * Repetitions of all are interleaved, so that ratios survive a busy machine;
 * read the medians.
 *
 * What a line costs between the two CPUs changes by the minute on a virtual
 * machine, and all that two CPUs do together with it; hence the floor's rows.
 * Medians of interleaved rounds, where caches were near and where they were
 * far, in ns (crossbeam: bench/peers/crossbeam_queue, whose owner never waits):
 *
 *                 floor/line  floor/halves  block  lockfree  local  crossbeam
 *     stream near         28           2.8    4.5       5.5    6.0        5.8
 *     stream far         171           6.7     18        20     24         25
 *
 * floor/halves is a queue that knows when to go on: a half of 128 is filled
 * while the other is emptied, and two lines are looked at for each. What stream
 * pays beyond that are looks at a tail that has just moved. A thief that steals
 * as fast as it can soon catches a few at a time, for two lines that are
 * elsewhere, and its owner waits until one of them comes back: block took 25
 * far and 5.1 near that way (GOOD_CATCH 0 in queue_block_loops.c). So all
 * thieves that take many rest here after a catch of less than 32, crossbeam's
 * too, which gains little: its owner is the slower side. The ring's thief pays
 * one exchange for each node it then pops, as in push_pop: 3 of its 5.5 ns.
 *
 * Tried for stream without gain: the owner's next slots fetched for writing 16,
 * 32 and 64 ahead (near 5.1 instead of 4.9, and push_pop pays for it); queues
 * whole kilobytes apart, for caches that fetch lines in pairs.
 *
 * Surprising would be: push_pop of `lockfree` far above one atomic exchange of
 * the machine (5 to 6 ns here) and a nanosecond or two; `local` more than a
 * nanosecond above `lockfree`; steal_half above push_pop, since a steal moves
 * up to 128 nodes with two exchanges. `*_other`, `mixed` and `stream` need two
 * idle CPUs: look at the cv column before believing them. */
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "weft/bench/queue_loops.h"

namespace {

constexpr std::int64_t kOps = 1000000;

void Add(const std::string &name, double (*loop)(std::uint64_t)) {
    if (loop == nullptr) {
        return;
    }
    benchmark::RegisterBenchmark(
        name.c_str(),
        [loop](benchmark::State &state) {
            while (state.KeepRunningBatch(kOps)) {
                double ns = loop(kOps);
                if (ns < 0) {
                    state.SkipWithError("needs a second CPU");
                    break;
                }
                state.SetIterationTime(ns * 1e-9);
            }
        })
        ->UseManualTime()
        ->Iterations(kOps)
        ->Repetitions(9)
        ->DisplayAggregatesOnly();
}

void AddAll(const queue_loops &q) {
    std::string name = q.name;
    Add(name + "/push_pop", q.push_pop);
    Add(name + "/burst", q.burst);
    Add(name + "/steal_one", q.steal_one);
    Add(name + "/steal_half", q.steal_half);
    Add(name + "/steal_other", q.steal_other);
    Add(name + "/mixed", q.mixed);
    Add(name + "/stream", q.stream);
}

void AddGlobal(const global_loops &q) {
    std::string name = q.name;
    Add(name + "/push_pop", q.single);
    Add(name + "/batch_of_64", q.batch);
    Add(name + "/two_threads", q.two);
    Add(name + "/four_threads", q.four);
    Add(name + "/feed", q.feed);
}

}  // namespace

int main(int argc, char **argv) {
    std::vector<char *> args(argv, argv + argc);
    static char interleave[] = "--benchmark_enable_random_interleaving=true";
    args.insert(args.begin() + 1, interleave);
    args.push_back(nullptr);
    argv = args.data();
    argc++;
    Add("floor/line", queue_line_loop);
    Add("floor/halves", queue_halves_loop);
    AddAll(weft_ring_loops);
    AddAll(weft_local_loops);
    AddAll(weft_block_loops);
    AddGlobal(weft_global_loops);
    AddGlobal(weft_lockfree_global_loops);
    AddAll(weft_mutex_loops);
#ifdef WEFT_BENCH_PEERS
    AddAll(weft_ck_loops);
    AddAll(weft_moody_loops);
    AddAll(weft_boost_loops);
    AddAll(weft_tbb_loops);
    AddAll(weft_deque_loops);
#endif
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 2;
    }
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
