/* SPDX-License-Identifier: MIT */
/* What the scheduler costs: yield, spawn and join, waking, channels, trees of
 * tasks. Each benchmark is one weft_run(); its first task drives the loop.
 *
 * Surprising here, on one core of a current x86-64: a yield of two tasks over
 * 25 ns, a channel round trip over 50 ns, a spawn with its join over 30 ns, a
 * million of them at once over 100 ns each.
 *
 * Where the time is (bench/costs, and samples by perf):
 * - spawn_join: 382 instructions, four in a cycle. The one exchange left, at
 *   the task's end, has 3 % of the samples.
 * - spawn_million: a line of each record is written when it is made, run and
 *   joined, far apart in time, so from memory each time: 11 to 12 ns for a loop
 *   that does nothing else, 17 to 19 in new memory (`scale_bench lines`). With
 *   spawn_join's 24 ns beside it that is 36 and 42 of the 52 and 62 measured.
 *   Asking for the next record's lines at each birth and before each run made
 *   it 8 % slower.
 * - channel: 616 instructions, a third of them in the two waits and their
 *   switches, and 12 read-modify-writes, which with all of them made plain
 *   stores (unsafe) took 4 to 9 ns less. Nothing is mispredicted any more
 *   (preempt/returns.h; that was 14 ns). Tokio's tasks have no stack to change.
 *
 *   bazel run -c opt //bench:sched_bench
 *   ... -- --benchmark_filter=yield --benchmark_repetitions=9 */
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

extern "C" {
#include "weft/sched/park.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"
#include "weft/sync/channel.h"
}

namespace {

/* Runs `body(state)` as the first task on `workers` workers. */
void Run(benchmark::State &state, unsigned workers,
         void (*body)(benchmark::State &)) {
    struct Call {
        benchmark::State &state;
        void (*body)(benchmark::State &);
    } call = {state, body};
    weft_config config = {};
    config.workers = workers;
    int error = weft_run(
        &config,
        [](void *arg) {
            Call *c = static_cast<Call *>(arg);
            c->body(c->state);
        },
        &call);
    if (error != 0) {
        abort();
    }
}

bool stop;

void *YieldUntilStopped(void *) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        weft_yield();
    }
    return nullptr;
}

/* One iteration: `tasks` yields, one of each. */
void Yield(benchmark::State &state) {
    int64_t tasks = state.range(0);
    std::vector<weft_task *> others(tasks - 1);
    stop = false;
    for (auto &t : others) {
        weft_spawn(&t, YieldUntilStopped, nullptr, nullptr);
    }
    for (auto _ : state) {
        weft_yield();
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (auto t : others) {
        weft_join(t, nullptr);
    }
    state.SetItemsProcessed(state.iterations() * tasks);
}

void BM_yield(benchmark::State &state) {
    Run(state, 1, Yield);
}
BENCHMARK(BM_yield)->Arg(2)->Arg(1000)->UseRealTime();

void *Nothing(void *arg) {
    return arg;
}

void SpawnAndJoin(std::vector<weft_task *> &tasks) {
    for (auto &t : tasks) {
        weft_spawn(&t, Nothing, nullptr, nullptr);
    }
    for (auto t : tasks) {
        weft_join(t, nullptr);
    }
}

void SpawnJoin(benchmark::State &state) {
    std::vector<weft_task *> tasks(state.range(0));
    for (auto _ : state) {
        SpawnAndJoin(tasks);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_spawn_join(benchmark::State &state) {
    Run(state, 1, SpawnJoin);
}
BENCHMARK(BM_spawn_join)->Arg(1)->Arg(100)->UseRealTime();

void BM_spawn_join_2_workers(benchmark::State &state) {
    Run(state, 2, SpawnJoin);
}
BENCHMARK(BM_spawn_join_2_workers)->Arg(100)->UseRealTime();

void BM_spawn_million(benchmark::State &state) {
    Run(state, 1, SpawnJoin);
}
BENCHMARK(BM_spawn_million)
    ->Arg(1000000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

/* Stacks and records are there already, from a million before. */
void SpawnMillionAgain(benchmark::State &state) {
    std::vector<weft_task *> tasks(state.range(0));
    SpawnAndJoin(tasks);
    for (auto _ : state) {
        SpawnAndJoin(tasks);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_spawn_million_again(benchmark::State &state) {
    Run(state, 1, SpawnMillionAgain);
}
BENCHMARK(BM_spawn_million_again)
    ->Arg(1000000)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

weft_task *partner;
weft_task *self;

void *Echo(void *) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        weft_unpark(self);
        weft_park(WEFT_FOREVER, "bench");
    }
    return nullptr;
}

/* One iteration: there and back. */
void PingPong(benchmark::State &state) {
    stop = false;
    self = weft_self();
    weft_spawn(&partner, Echo, nullptr, nullptr);
    weft_park(WEFT_FOREVER, "bench");
    for (auto _ : state) {
        weft_unpark(partner);
        weft_park(WEFT_FOREVER, "bench");
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    weft_unpark(partner);
    weft_join(partner, nullptr);
}

void BM_park_ping_pong(benchmark::State &state) {
    Run(state, 1, PingPong);
}
BENCHMARK(BM_park_ping_pong)->UseRealTime();

void BM_park_ping_pong_2_workers(benchmark::State &state) {
    Run(state, 2, PingPong);
}
BENCHMARK(BM_park_ping_pong_2_workers)->UseRealTime();

weft_channel *there, *back;

void *EchoChannel(void *) {
    uintptr_t value;
    while (weft_channel_recv(there, &value) == 0) {
        weft_channel_send(back, &value);
    }
    return nullptr;
}

/* One iteration: a value there and back through two channels of one slot. */
void Channel(benchmark::State &state) {
    weft_task *echo;
    uintptr_t value = 0;
    if (weft_channel_new(&there, 1, sizeof value) != 0 ||
        weft_channel_new(&back, 1, sizeof value) != 0 ||
        weft_spawn(&echo, EchoChannel, nullptr, nullptr) != 0) {
        abort();
    }
    for (auto _ : state) {
        weft_channel_send(there, &value);
        weft_channel_recv(back, &value);
    }
    weft_channel_close(there);
    weft_join(echo, nullptr);
    weft_channel_free(there);
    weft_channel_free(back);
}

void BM_channel_round_trip(benchmark::State &state) {
    Run(state, 1, Channel);
}
BENCHMARK(BM_channel_round_trip)->UseRealTime();

void BM_channel_round_trip_2_workers(benchmark::State &state) {
    Run(state, 2, Channel);
}
BENCHMARK(BM_channel_round_trip_2_workers)->UseRealTime();

void *Fib(void *arg) {
    uintptr_t n = reinterpret_cast<uintptr_t>(arg);
    if (n < 2) {
        return arg;
    }
    weft_task *left;
    void *a = nullptr;
    if (weft_spawn(&left, Fib, reinterpret_cast<void *>(n - 1), nullptr) != 0) {
        abort();
    }
    uintptr_t b =
        reinterpret_cast<uintptr_t>(Fib(reinterpret_cast<void *>(n - 2)));
    weft_join(left, &a);
    return reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(a) + b);
}

void ForkJoin(benchmark::State &state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(Fib(reinterpret_cast<void *>(state.range(0))));
    }
}

void BM_fib_2_workers(benchmark::State &state) {
    Run(state, 2, ForkJoin);
}
BENCHMARK(BM_fib_2_workers)
    ->Arg(24)
    ->Arg(32)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

/* Ten children each, down to single numbers; the sum comes back by join. */
struct Node {
    uint64_t first, count;
};

void *Skynet(void *arg) {
    Node *node = static_cast<Node *>(arg);
    if (node->count == 1) {
        return reinterpret_cast<void *>(node->first);
    }
    Node children[10];
    weft_task *tasks[10];
    uintptr_t sum = 0;
    for (int i = 0; i < 10; i++) {
        uint64_t part = node->count / 10;
        children[i] = {node->first + i * part, part};
        if (weft_spawn(&tasks[i], Skynet, &children[i], nullptr) != 0) {
            abort();
        }
    }
    for (auto t : tasks) {
        void *result;
        weft_join(t, &result);
        sum += reinterpret_cast<uintptr_t>(result);
    }
    return reinterpret_cast<void *>(sum);
}

void SkynetMillion(benchmark::State &state) {
    for (auto _ : state) {
        Node root = {0, 1000000};
        if (reinterpret_cast<uintptr_t>(Skynet(&root)) != 499999500000) {
            abort();
        }
    }
}

void BM_skynet_2_workers(benchmark::State &state) {
    Run(state, 2, SkynetMillion);
}
BENCHMARK(BM_skynet_2_workers)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
