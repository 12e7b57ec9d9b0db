/* SPDX-License-Identifier: MIT */
/* Migratable tasks at a quantum of 50 us: they are interrupted anywhere, leave
 * their OS thread in the handler and go on on another, and nothing of theirs is
 * lost: sums, vectors, frames of a recursion, the rounding mode, errno, a C++
 * exception in hand. The threads that they visit keep what is theirs: alternate
 * stack and signal mask. Where tasks cannot be moved (see BUILD) the same tests
 * see them keep their threads.
 *
 * With --seconds=N (bazel test --test_arg=--seconds=60) the same for longer. */
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"

enum { MAX_TASKS = 2000, MAX_STORM = 256, PATIENCE = 100 };

#define PURE WEFT_MIGRATABLE WEFT_NOINLINE

static unsigned long seconds; /* of the long form, or 0 */
static bool has_signals;
static _Atomic bool time_is_up;
static uint64_t rounds[MAX_TASKS];

/* Whether tasks are moved at all in this build. */
static bool may_migrate(void) {
#if defined(MIGRATES) && !WEFT_ASAN && !WEFT_TSAN
    return has_signals;
#else
    return false;
#endif
}

static WEFT_ALWAYS_INLINE bool go_on(void) {
    if (!has_signals) {
        weft_check();
    }
    return !atomic_load_explicit(&time_is_up, memory_order_relaxed);
}

/* --- pure computation: each returns what it did the last time --------------
 */

PURE static uint64_t xorshift(uint64_t seed) {
    uint64_t x = seed + 1, sum = 0;
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        sum += x;
    }
    return sum;
}

typedef uint32_t four __attribute__((vector_size(16)));

PURE static uint64_t vectors_of_16(uint64_t seed) {
    four a = {(uint32_t)seed, 1, 2, 3}, b = {5, 6, 7, 8};
    for (int i = 0; i < 10000; i++) {
        a = a * 1664525 + b;
        b ^= a >> 5;
    }
    return (uint64_t)a[0] ^ a[1] ^ b[2] ^ ((uint64_t)b[3] << 32);
}

#ifdef __x86_64__
typedef uint32_t eight __attribute__((vector_size(32)));
typedef uint64_t wide __attribute__((vector_size(64)));

__attribute__((target("avx2"))) PURE static uint64_t avx2(uint64_t seed) {
    eight a = {(uint32_t)seed, 1, 2, 3, 4, 5, 6, 7}, b = a + 9;
    for (int i = 0; i < 10000; i++) {
        a = a * 1664525 + b;
        b ^= a >> 5;
    }
    return (uint64_t)a[0] ^ a[7] ^ b[2] ^ ((uint64_t)b[4] << 32);
}

/* Many live registers, so that the upper sixteen are used, too. */
__attribute__((target("avx512f"))) PURE static uint64_t avx512(uint64_t seed) {
    wide v[24];
    for (int k = 0; k < 24; k++) {
        v[k] = (wide){seed, 1, 2, 3, 4, 5, 6, 7} + (uint64_t)k;
    }
    for (int i = 0; i < 1000; i++) {
#pragma GCC unroll 24
        for (int k = 0; k < 24; k++) {
            v[k] = (v[k] << 7) + (v[(k + 1) % 24] ^ (uint64_t)i);
        }
    }
    uint64_t sum = 0;
    for (int k = 0; k < 24; k++) {
        sum += v[k][0] ^ v[k][7];
    }
    return sum;
}

PURE static uint64_t widest(uint64_t seed) {
    if (__builtin_cpu_supports("avx512f")) {
        return avx512(seed);
    }
    return __builtin_cpu_supports("avx2") ? avx2(seed) : vectors_of_16(seed);
}

PURE static uint64_t wide_or_not(uint64_t seed) {
    return __builtin_cpu_supports("avx2") ? avx2(seed) : vectors_of_16(seed);
}
#else
#define widest      vectors_of_16
#define wide_or_not vectors_of_16
#endif

/* A frame of some 100 bytes, looked at again on the way back. */
PURE static uint64_t dive(uint64_t seed, int depth) {
    volatile uint64_t here[4] = {seed, seed + 1, seed + 2, (uint64_t)depth};
    uint64_t below = 0;
    if (depth > 0) {
        below = dive(seed * 6364136223846793005U + 1, depth - 1);
    }
    return below ^ here[0] ^ here[1] ^ here[2] ^ here[3];
}

PURE static uint64_t shallow(uint64_t seed) {
    return dive(seed, 20);
}

PURE static uint64_t deep(uint64_t seed) {
    return dive(seed, 300);
}

/* Deeper than what is looked through: there it keeps its thread. */
PURE static uint64_t very_deep(uint64_t seed) {
    return dive(seed, 2000);
}

PURE static uint64_t divide(uint64_t seed) {
    volatile double one = 1.0, three = 3.0 + (double)seed;
    double sum = 0;
    for (int i = 0; i < 5000; i++) {
        sum += one / three;
    }
    uint64_t bits;
    __builtin_memcpy(&bits, &sum, sizeof bits);
    return bits;
}

/* --- what travels, and what stays ------------------------------------------
 */

/* Not PURE: a task inside them keeps its thread. */
WEFT_NOINLINE static void set_errno(int value) {
    errno = value;
}

WEFT_NOINLINE static int get_errno(void) {
    return errno;
}

PURE static uint64_t with_errno(uint64_t seed) {
    set_errno((int)seed + 1000);
    uint64_t sum = xorshift(seed);
    WEFT_CHECK_OP(get_errno(), ==, (int)seed + 1000);
    return sum;
}

static _Thread_local void *alternate_stack;

/* The thread that the caller is on has its own alternate stack and no signal
 * blocked. */
WEFT_NOINLINE static void look_at_thread(void) {
    stack_t now;
    sigset_t mask;
    WEFT_CHECK_OP(sigaltstack(NULL, &now), ==, 0);
    if (alternate_stack == NULL) {
        alternate_stack = now.ss_sp;
    }
    WEFT_CHECK_OP(now.ss_sp, ==, alternate_stack);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    WEFT_CHECK(!sigismember(&mask, SIGURG));
    WEFT_CHECK(!sigismember(&mask, SIGUSR1));
}

PURE static uint64_t at_home(uint64_t seed) {
    uint64_t sum = xorshift(seed);
    look_at_thread();
    return sum;
}

/* --- the storm --------------------------------------------------------------
 */

/* In C++: throws, catches, computes, throws the same again. */
uint64_t compute_while_catching(uint64_t seed, uint64_t (*fn)(uint64_t));

PURE static uint64_t with_exception(uint64_t seed) {
    return compute_while_catching(seed, xorshift);
}

typedef uint64_t (*kind_fn)(uint64_t seed);

static kind_fn const all_kinds[] = {
    xorshift,  vectors_of_16, wide_or_not, widest,  shallow,        deep,
    very_deep, divide,        with_errno,  at_home, with_exception,
};

enum { KINDS = sizeof all_kinds / sizeof all_kinds[0] };

struct storm {
    kind_fn const *kinds;
    unsigned kind_count;
    unsigned tasks;
    unsigned ordinary; /* of them: not migratable, with libc */
    unsigned ms;
    struct weft_metrics metrics;
};

static struct storm *current;
static uint64_t expected[MAX_STORM], expected_upward[MAX_STORM];

PURE static void *compute(void *index) {
    uintptr_t i = (uintptr_t)index;
    kind_fn fn = current->kinds[i % current->kind_count];
    bool upward = fn == divide && i % 2 == 0;
    uint64_t n = 0;
    if (upward) {
        fesetround(FE_UPWARD);
    }
    do {
        WEFT_CHECK_OP(fn(i), ==, upward ? expected_upward[i] : expected[i]);
        n++;
    } while (go_on());
    rounds[i] = n;
    return NULL;
}

/* What tasks do otherwise. */
static void *use_libc(void *index) {
    uintptr_t i = (uintptr_t)index;
    uint64_t n = 0;
    do {
        char text[64];
        char *copy = malloc(40 + n % 100);
        snprintf(text, sizeof text, "%lu %lu", (unsigned long)i,
                 (unsigned long)n);
        strcpy(copy, text);
        weft_yield();
        WEFT_CHECK_OP(strcmp(copy, text), ==, 0);
        free(copy);
        WEFT_CHECK_OP(strtoul(text, NULL, 10), ==, i);
        if (n++ % 64 == 0) {
            WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
        }
    } while (go_on());
    rounds[i] = n;
    return NULL;
}

static void run_all(void *arg) {
    static struct weft_task *tasks[MAX_STORM];
    struct storm *s = arg;
    for (uintptr_t i = 0; i < s->tasks; i++) {
        kind_fn fn = s->kinds[i % s->kind_count];
        struct weft_task_options options = {.migratable = true,
                                            .keep_fp = fn == divide};
        bool ordinary = i >= s->tasks - s->ordinary;
        if (fn == very_deep) {
            options.stack_size = 2 << 20;
        }
        WEFT_CHECK_OP(weft_spawn(&tasks[i], ordinary ? use_libc : compute,
                                 (void *)i, ordinary ? NULL : &options),
                      ==, 0);
    }
    for (int i = 0; i < PATIENCE; i++) {
        WEFT_CHECK_OP(weft_sleep(s->ms * WEFT_MS), ==, 0);
        weft_metrics_read(&s->metrics);
        if (!may_migrate() || s->metrics.preempt_migrated > 0) {
            break;
        }
    }
    atomic_store_explicit(&time_is_up, true, memory_order_relaxed);
    for (unsigned i = 0; i < s->tasks; i++) {
        WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
        WEFT_CHECK_OP(rounds[i], >, 0UL);
    }
}

static void run_storm(struct storm *s, unsigned workers) {
    uint64_t end = weft_now() + seconds * WEFT_S / 20;
    memset(rounds, 0, sizeof rounds);
    current = s;
    s->ms = seconds > 0 ? 1000 : 100;
    for (unsigned i = 0; i < s->tasks; i++) {
        kind_fn fn = s->kinds[i % s->kind_count];
        if (fn == divide) {
            fesetround(FE_UPWARD);
            expected_upward[i] = fn(i);
            fesetround(FE_TONEAREST);
        }
        expected[i] = fn(i);
    }
    do {
        atomic_store_explicit(&time_is_up, false, memory_order_relaxed);
        storm_run(workers, 50, run_all, s);
    } while (weft_now() < end);
    print_message("%lu moved, %lu refused, %lu kept, %u threads\n",
                  (unsigned long)s->metrics.preempt_migrated,
                  (unsigned long)s->metrics.migrate_refused,
                  (unsigned long)s->metrics.preempt_kept, s->metrics.threads);
}

static void each_kind_of_computation_survives(void **state) {
    for (unsigned k = 0; k < KINDS; k++) {
        struct storm s = {.kinds = &all_kinds[k], .kind_count = 1, .tasks = 16};
        run_storm(&s, 2);
        assert_int_equal(s.metrics.preempt_migrated > 0, may_migrate());
    }
}

static void all_kinds_on_one_worker(void **state) {
    struct storm s = {.kinds = all_kinds, .kind_count = KINDS, .tasks = 40};
    run_storm(&s, 1);
    assert_int_equal(s.metrics.preempt_migrated > 0, may_migrate());
}

static void all_kinds_beside_ordinary_tasks(void **state) {
    struct storm s = {
        .kinds = all_kinds, .kind_count = KINDS, .tasks = 60, .ordinary = 20};
    run_storm(&s, 2);
    run_storm(&s, 4);
    assert_int_equal(s.metrics.preempt_migrated > 0, may_migrate());
}

/* --- many -------------------------------------------------------------------
 */

/* Their shares are within so many times the mean; with many it takes long until
 * they are told from chance. */
enum { FEW = 50, FEW_FACTOR = 2, MANY_FACTOR = 4 };

/* Its task writes. A line for each: neighbours run at once. */
static struct {
    _Alignas(WEFT_CACHE_LINE) _Atomic uint64_t done;
} work[MAX_TASKS];

PURE static void *spin(void *index) {
    _Atomic uint64_t *mine = &work[(uintptr_t)index].done;
    uint64_t n = 0;
    do {
        for (int i = 0; i < 100; i++) {
            __asm__ volatile("");
        }
        atomic_store_explicit(mine, ++n, memory_order_relaxed);
    } while (go_on());
    return NULL;
}

static struct {
    uint64_t least, mean, most;
    bool fair;
} shares;

/* Has each done its share, by these factors? How long a slice is depends on who
 * else uses this machine; a long one is paid back later. */
static bool is_fair(unsigned tasks) {
    uint64_t sum = 0, factor = tasks <= FEW ? FEW_FACTOR : MANY_FACTOR;
    shares.least = UINT64_MAX;
    shares.most = 0;
    for (unsigned i = 0; i < tasks; i++) {
        uint64_t n = atomic_load_explicit(&work[i].done, memory_order_relaxed);
        shares.least = n < shares.least ? n : shares.least;
        shares.most = n > shares.most ? n : shares.most;
        sum += n;
    }
    shares.mean = sum / tasks;
    shares.fair = factor * shares.least >= shares.mean &&
                  shares.most <= factor * shares.mean;
    return shares.fair;
}

static void run_many(void *arg) {
    static struct weft_task *tasks[MAX_TASKS];
    struct storm *s = arg;
    struct weft_task_options options = {
        .migratable = true, .stack_size = may_migrate() ? 16 << 10 : 0};
    weft_preempt_disable(); /* or it has one turn in as many as it has made */
    for (uintptr_t i = 0; i < s->tasks; i++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[i], spin, (void *)i, &options), ==, 0);
    }
    weft_preempt_enable();
    for (int i = 0; i < PATIENCE; i++) {
        WEFT_CHECK_OP(weft_sleep(s->ms * WEFT_MS), ==, 0);
        weft_metrics_read(&s->metrics);
        if (!may_migrate() ||
            (is_fair(s->tasks) &&
             s->metrics.preempt_migrated > 6 * (uint64_t)s->tasks)) {
            break;
        }
    }
    atomic_store_explicit(&time_is_up, true, memory_order_relaxed);
    for (unsigned i = 0; i < s->tasks; i++) {
        WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
    }
}

static void spin_many(unsigned workers, unsigned tasks) {
    struct storm s = {.tasks = may_migrate() ? tasks : 32, .ms = 200};
    atomic_store_explicit(&time_is_up, false, memory_order_relaxed);
    for (unsigned i = 0; i < MAX_TASKS; i++) {
        atomic_store_explicit(&work[i].done, 0, memory_order_relaxed);
    }
    storm_run(workers, 50, run_many, &s);
    print_message(
        "%u tasks, %u threads, %lu moved, %lu refused; work: least "
        "%lu, mean %lu, most %lu\n",
        s.tasks, s.metrics.threads, (unsigned long)s.metrics.preempt_migrated,
        (unsigned long)s.metrics.migrate_refused, (unsigned long)shares.least,
        (unsigned long)shares.mean, (unsigned long)shares.most);
    if (!may_migrate()) {
        return;
    }
    assert_true(shares.fair);
    assert_in_range(s.metrics.threads, 2, 15);
    assert_int_equal(s.metrics.skipped_at_cap, 0);
}

static void who_only_spins_gets_a_fair_share(void **state) {
    spin_many(1, FEW);
    spin_many(2, FEW);
}

static void many_spin_on_few_threads_and_each_has_its_share(void **state) {
    spin_many(2, MAX_TASKS);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_computation_survives),
        cmocka_unit_test(all_kinds_on_one_worker),
        cmocka_unit_test(all_kinds_beside_ordinary_tasks),
        cmocka_unit_test(who_only_spins_gets_a_fair_share),
        cmocka_unit_test(many_spin_on_few_threads_and_each_has_its_share),
    };
    has_signals = storm_has_signals();
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--seconds=", 10) == 0) {
            seconds = strtoul(argv[i] + 10, NULL, 10);
        }
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
