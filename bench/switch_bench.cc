/* SPDX-License-Identifier: MIT */
/* What a change of stacks costs, and what a stack costs.
 *
 * "one_way" is the time of one switch; an iteration makes two or more. Expected
 * on a current x86-64: 2 to 4 ns for a switch, three times that with the
 * control words (their stores and loads do not overlap), 100 to 300 ns for
 * ucontext (two system calls). In a rotation the cache decides: with 1,000
 * stacks whose tops all share the same cache sets (colours 1) a switch should
 * be dearer than with 16 colours. Surprising would be: a switch above 8 ns,
 * which is what a mispredicted return costs; a take and give above 100 ns.
 *
 * With WEFT_BENCH_BOOST also Boost.Context's fcontext, the usual peer. */
#include <benchmark/benchmark.h>
#include <ucontext.h>

#include <cstdlib>
#include <vector>

extern "C" {
#include "weft/arch/context.h"
#include "weft/arch/stack.h"
}

#ifdef WEFT_BENCH_BOOST
#include <boost/context/detail/fcontext.hpp>
#endif

namespace {

constexpr size_t kSize = 64 * 1024;

void PerSwitch(benchmark::State &state, int64_t switches) {
    state.counters["one_way"] = benchmark::Counter(
        static_cast<double>(switches),
        benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

weft_context back, other;

void Bounce(void *) {
    for (;;) {
        weft_context_switch(&other, &back);
    }
}

void BounceFp(void *) {
    for (;;) {
        weft_context_switch_fp(&other, &back);
    }
}

void Switch(benchmark::State &state) {
    std::vector<char> stack(kSize);
    weft_context_adopt(&back);
    weft_context_init(&other, stack.data(), kSize, Bounce, nullptr);
    for (auto _ : state) {
        weft_context_switch(&back, &other);
    }
    PerSwitch(state, 2 * state.iterations());
    weft_context_fini(&other);
}
BENCHMARK(Switch);

void SwitchFp(benchmark::State &state) {
    std::vector<char> stack(kSize);
    weft_context_adopt(&back);
    weft_context_init(&other, stack.data(), kSize, BounceFp, nullptr);
    for (auto _ : state) {
        weft_context_switch_fp(&back, &other);
    }
    PerSwitch(state, 2 * state.iterations());
    weft_context_fini(&other);
}
BENCHMARK(SwitchFp);

ucontext_t uc_back, uc_other;

void UcBounce() {
    for (;;) {
        swapcontext(&uc_other, &uc_back);
    }
}

void Ucontext(benchmark::State &state) {
    std::vector<char> stack(kSize);
    getcontext(&uc_other);
    uc_other.uc_stack.ss_sp = stack.data();
    uc_other.uc_stack.ss_size = kSize;
    makecontext(&uc_other, UcBounce, 0);
    for (auto _ : state) {
        swapcontext(&uc_back, &uc_other);
    }
    PerSwitch(state, 2 * state.iterations());
}
BENCHMARK(Ucontext);

#ifdef WEFT_BENCH_BOOST
void BoostBounce(boost::context::detail::transfer_t from) {
    for (;;) {
        from = boost::context::detail::jump_fcontext(from.fctx, nullptr);
    }
}

void Boost(benchmark::State &state) {
    std::vector<char> stack(kSize);
    auto context = boost::context::detail::make_fcontext(stack.data() + kSize,
                                                         kSize, BoostBounce);
    for (auto _ : state) {
        context = boost::context::detail::jump_fcontext(context, nullptr).fctx;
    }
    PerSwitch(state, 2 * state.iterations());
}
BENCHMARK(Boost);
#endif

/* Each hands over to the next; the last to the bench. */
struct Member {
    weft_context self;
    weft_context *next;
};

void PassOn(void *arg) {
    auto *member = static_cast<Member *>(arg);
    for (;;) {
        weft_context_switch(&member->self, member->next);
    }
}

/* Arguments: stacks, colours. */
void Rotation(benchmark::State &state) {
    const auto count = static_cast<size_t>(state.range(0));
    weft_stack_pool *pool;
    weft_stack_pool_config config = {};
    config.colours = static_cast<uint32_t>(state.range(1));
    if (weft_stack_pool_new(&pool, &config) < 0) {
        state.SkipWithError("no pool");
        return;
    }
    std::vector<Member> ring(count);
    weft_context_adopt(&back);
    for (size_t i = 0; i < count; i++) {
        weft_stack stack;
        if (weft_stack_take(pool, kSize, &stack) < 0) {
            state.SkipWithError("no stack");
            return;
        }
        ring[i].next = i + 1 < count ? &ring[i + 1].self : &back;
        weft_context_init(&ring[i].self, stack.low, stack.size, PassOn,
                          &ring[i]);
    }
    for (auto _ : state) {
        weft_context_switch(&back, &ring[0].self);
    }
    PerSwitch(state, static_cast<int64_t>(count + 1) * state.iterations());
    for (auto &member : ring) {
        weft_context_fini(&member.self);
    }
    weft_stack_pool_free(pool);
}
BENCHMARK(Rotation)
    ->ArgNames({"stacks", "colours"})
    ->Args({100, 1})
    ->Args({100, 16})
    ->Args({1000, 1})
    ->Args({1000, 16})
    ->Args({10000, 1})
    ->Args({10000, 16});

void LeaveAtOnce(void *) {
    weft_context_exit(&other, &back);
}

void StartAndEnd(benchmark::State &state) {
    std::vector<char> stack(kSize);
    weft_context_adopt(&back);
    for (auto _ : state) {
        weft_context_init(&other, stack.data(), kSize, LeaveAtOnce, nullptr);
        weft_context_switch(&back, &other);
        weft_context_fini(&other);
    }
}
BENCHMARK(StartAndEnd);

void TakeAndGive(benchmark::State &state) {
    weft_stack_pool *pool;
    if (weft_stack_pool_new(&pool, nullptr) < 0) {
        state.SkipWithError("no pool");
        return;
    }
    for (auto _ : state) {
        weft_stack stack;
        if (weft_stack_take(pool, kSize, &stack) < 0) {
            abort();
        }
        weft_stack_give(pool, &stack);
    }
    weft_stack_pool_free(pool);
}
BENCHMARK(TakeAndGive);

/* 32 at once; the time is of one stack. */
void TakeAndGiveBatch(benchmark::State &state) {
    weft_stack_pool *pool;
    weft_stack stacks[32];
    if (weft_stack_pool_new(&pool, nullptr) < 0) {
        state.SkipWithError("no pool");
        return;
    }
    for (auto _ : state) {
        int got = weft_stack_take_batch(pool, kSize, stacks, 32);
        weft_stack_give_batch(pool, stacks, static_cast<uint32_t>(got));
    }
    state.counters["one"] = benchmark::Counter(
        static_cast<double>(32 * state.iterations()),
        benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
    weft_stack_pool_free(pool);
}
BENCHMARK(TakeAndGiveBatch);

/* Never used before: the mapping's share, the guard, no page touched. */
void TakeFresh(benchmark::State &state) {
    weft_stack_pool *pool;
    weft_stack_pool_config config = {};
    config.guard = static_cast<weft_stack_guard>(state.range(0));
    if (weft_stack_pool_new(&pool, &config) < 0) {
        state.SkipWithError("no such guard");
        return;
    }
    for (auto _ : state) {
        weft_stack stack;
        if (weft_stack_take(pool, kSize, &stack) < 0) {
            abort();
        }
        benchmark::DoNotOptimize(stack);
    }
    weft_stack_pool_free(pool);
}
BENCHMARK(TakeFresh)
    ->ArgName("guard")
    ->Arg(WEFT_STACK_GUARD_MADVISE)
    ->Arg(WEFT_STACK_GUARD_MPROTECT)
    ->Iterations(20000);

/* One touched page each, beyond the watermark: trimmed when given back. */
void GiveBeyondWatermark(benchmark::State &state) {
    weft_stack_pool *pool;
    weft_stack_pool_config config = {};
    config.warm_bytes = 1;
    if (weft_stack_pool_new(&pool, &config) < 0) {
        state.SkipWithError("no pool");
        return;
    }
    for (auto _ : state) {
        weft_stack stack;
        if (weft_stack_take(pool, kSize, &stack) < 0) {
            abort();
        }
        stack.low[stack.size - 1] = 1;
        weft_stack_give(pool, &stack);
    }
    weft_stack_pool_free(pool);
}
BENCHMARK(GiveBeyondWatermark);

}  // namespace

BENCHMARK_MAIN();
