/* SPDX-License-Identifier: MIT */
/* A request to give way at each instruction of the runtime, one after the
 * other, where other tests wait for the right moment to come.
 *
 * The CPU's trap flag raises SIGTRAP after each instruction of a thread, also
 * across a switch of stacks, since no switch touches the flag. The handler of
 * SIGTRAP makes the request, as the monitor would, with SIGURG blocked: so the
 * kernel delivers it when the handler returns, at exactly that instruction. The
 * flag is off inside both handlers.
 *
 * Two ways through an operation:
 *   densely   a request at each instruction that has not had one yet; all of
 *             them in one operation. (At each instruction every time, the gate
 *             would never open without a note.)
 *   singly    one request, at the N-th instruction; then the next operation
 *             with a larger N, until the operation is over before. N grows in
 *             strides, or by one with --test_arg=--all (a minute).
 *
 * Only where signals, the trap flag and nobody else's instrumentation are. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/arch/context.h"
#include "weft/base/compiler.h"
#include "weft/sched/core.h"
#include "weft/sched/park.h"

#if defined(__x86_64__) && !WEFT_ASAN && !WEFT_TSAN

enum {
    TRAP_FLAG = 0x100,
    TEXT_MAX = 4 << 20, /* bytes of the program that are told apart */
    TRAPS = 5 * 1000,   /* about so many for an operation, singly */
    ROUNDS = 2,         /* of each operation, densely */
    LOOP = 1500,        /* steps without anything new: it goes in a circle */
    SWITCH_SIZE = 74,   /* bytes, and so many instructions: switch.S */
    SWITCH_LENGTH = 18,
    LIMIT_S = 50,
};

enum mode { OFF, DENSELY, SINGLY };

extern const char program[] __asm__("__executable_start");

/* endbr64; sub $imm8, %rsp */
static const uint8_t switch_begins[] = {0xf3, 0x0f, 0x1e, 0xfa,
                                        0x48, 0x83, 0xec};

static struct {
    _Atomic int mode;
    _Atomic long steps;
    _Atomic uint8_t in_switch[SWITCH_SIZE]; /* 1: had a request there */
    bool all;         /* --all: singly at each step, not in strides */
    long at;          /* singly: in which step */
    _Atomic long old; /* densely: steps in a row that were seen, */
    _Atomic uint8_t seen[TEXT_MAX]; /* where a request has been */
} step;

static long load(_Atomic long *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void add(_Atomic long *word) {
    atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
}

static void set_mode(enum mode mode) {
    atomic_store_explicit(&step.mode, (int)mode, memory_order_relaxed);
}

/* As the monitor: what runs on the processor now shall give way. */
static void request(uintptr_t pc) {
    struct weft_worker *w = (struct weft_worker *)weft_thread_self();
    struct weft_processor *p = w == NULL ? NULL : weft_worker_processor(w);
    if (w == NULL) {
        return;
    }
    if (p != NULL) {
        atomic_store_explicit(
            &p->asked_seq, atomic_load_explicit(&p->seq, memory_order_relaxed),
            memory_order_relaxed);
    }
    uintptr_t at = pc - (uintptr_t)weft_switch;
    if (weft_signals_request(&w->thread, weft_clock_now()) &&
        at < SWITCH_SIZE) {
        atomic_store_explicit(&step.in_switch[at], 1, memory_order_relaxed);
    }
}

static bool is_new(uintptr_t pc) {
    uintptr_t at = pc - (uintptr_t)program;
    return at < TEXT_MAX && atomic_exchange_explicit(&step.seen[at], 1,
                                                     memory_order_relaxed) == 0;
}

static void trap(int number, siginfo_t *info, void *ucontext) {
    greg_t *registers = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
    uintptr_t pc = (uintptr_t)registers[REG_RIP];
    long now = atomic_fetch_add_explicit(&step.steps, 1, memory_order_relaxed);
    int mode = atomic_load_explicit(&step.mode, memory_order_relaxed);
    if (mode == DENSELY) {
        if (is_new(pc)) {
            atomic_store_explicit(&step.old, 0, memory_order_relaxed);
            request(pc);
            return;
        }
        add(&step.old);
        if (load(&step.old) < LOOP) {
            return;
        }
    }
    if (mode == SINGLY) {
        if (now < step.at) {
            return;
        }
        if (now == step.at) {
            request(pc);
        }
    }
    registers[REG_EFL] &= ~(greg_t)TRAP_FLAG; /* of this thread */
}

static void raise_flag(void) {
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | TRAP_FLAG);
}

/* --- what is stepped through ------------------------------------------------
 */

static struct {
    struct weft_task *task;
    _Atomic int stop;
    _Atomic long asked, answered;
} partner;

/* Values that must outlive an operation, in whatever registers. */
static void check_around(void (*operation)(void)) {
    double d = (double)load(&step.steps) + 0.5;
    uint64_t a = (uint64_t)d, b = a * 3, c = b ^ 77, e = c + a;
    double f = d * 2;
    operation();
    WEFT_CHECK_OP(b, ==, a * 3);
    WEFT_CHECK_OP(c, ==, b ^ 77);
    WEFT_CHECK_OP(e, ==, c + a);
    WEFT_CHECK_OP((uint64_t)d, ==, a);
    WEFT_CHECK(f == d * 2);
}

static void *yield_until_stopped(void *arg) {
    long turns = 0;
    while (!atomic_load_explicit(&partner.stop, memory_order_relaxed)) {
        check_around(weft_yield);
        turns++;
    }
    WEFT_CHECK(turns > 0);
    return arg;
}

static void *answer_until_stopped(void *main_task) {
    while (!atomic_load_explicit(&partner.stop, memory_order_relaxed)) {
        if (load(&partner.asked) > load(&partner.answered)) {
            add(&partner.answered);
            weft_unpark(main_task);
        }
        WEFT_CHECK_OP(weft_park(WEFT_FOREVER, "a question"), ==, 0);
    }
    return main_task;
}

static void ask_and_wait(void) {
    add(&partner.asked);
    weft_unpark(partner.task);
    while (load(&partner.answered) != load(&partner.asked)) {
        WEFT_CHECK_OP(weft_park(WEFT_FOREVER, "an answer"), ==, 0);
    }
}

/* A request that came inside is met when the gate opens: the hand-over, outside
 * of the handler, so that it is stepped through. The thread stays. */
static void give_way_at_the_gate(void) {
    struct weft_thread *before = weft_thread_self();
    errno = 123;
    weft_runtime_enter();
    struct weft_worker *w = (struct weft_worker *)before;
    struct weft_processor *p = weft_worker_processor(w);
    atomic_store_explicit(&p->asked_seq,
                          atomic_load_explicit(&p->seq, memory_order_relaxed),
                          memory_order_relaxed);
    weft_gate_defer(&w->thread.gate);
    weft_runtime_leave();
    WEFT_CHECK_OP(weft_thread_self(), ==, before);
    WEFT_CHECK_OP(errno, ==, 123);
}

static void *give_way_until_stopped(void *arg) {
    while (!atomic_load_explicit(&partner.stop, memory_order_relaxed)) {
        check_around(give_way_at_the_gate);
    }
    return arg;
}

static void *add_one(void *n) {
    return (char *)n + 1;
}

static void spawn_and_join(void) {
    struct weft_task *t;
    void *result;
    WEFT_CHECK_OP(weft_spawn(&t, add_one, (void *)41, NULL), ==, 0);
    WEFT_CHECK_OP(weft_join(t, &result), ==, 0);
    WEFT_CHECK_OP(result, ==, (void *)42);
}

static void sleep_a_little(void) {
    uint64_t begin = weft_now();
    WEFT_CHECK_OP(weft_sleep(10 * WEFT_US), ==, 0);
    WEFT_CHECK(weft_now() >= begin + 10 * WEFT_US);
}

struct scene {
    unsigned workers;
    void (*operation)(void);
    void *(*partner)(void *); /* may be NULL */
    struct weft_metrics metrics;
};

/* Returns how many steps it took; singly, at most until the request. */
static long step_through(struct scene *scene, enum mode mode, long at) {
    step.at = at;
    atomic_store_explicit(&step.steps, 0, memory_order_relaxed);
    set_mode(mode);
    raise_flag();
    check_around(scene->operation);
    set_mode(OFF);
    return load(&step.steps);
}

static void play(void *arg) {
    struct scene *scene = arg;
    atomic_store_explicit(&partner.stop, 0, memory_order_relaxed);
    if (scene->partner != NULL) {
        WEFT_CHECK_OP(
            weft_spawn(&partner.task, scene->partner, weft_self(), NULL), ==,
            0);
        weft_yield();
    }
    for (int i = 0; i < (step.all ? 10 * ROUNDS : ROUNDS); i++) {
        memset((void *)step.seen, 0, sizeof step.seen);
        step_through(scene, DENSELY, 0);
    }
    long all = LONG_MAX;
    for (int i = 0; i < 5; i++) {
        long steps = step_through(scene, SINGLY, LONG_MAX);
        all = steps < all ? steps : all;
    }
    long stride = step.all ? 1 : 1 + all / 2 * all / TRAPS;
    for (long at = 0; step_through(scene, SINGLY, at) > at; at += stride) {
    }
    atomic_store_explicit(&partner.stop, 1, memory_order_relaxed);
    if (scene->partner != NULL) {
        weft_unpark(partner.task);
        WEFT_CHECK_OP(weft_join(partner.task, NULL), ==, 0);
    }
    weft_metrics_read(&scene->metrics);
    printf("%u workers: %ld steps, singly each %ld.\n", scene->workers, all,
           stride);
}

static void out_of_time(int number) {
    alarm(5); /* for this dump; then the default action */
    weft_dump(STDERR_FILENO);
    abort();
}

static void run_scene(void (*operation)(void), void *(*helper)(void *)) {
    struct sigaction trapping = {.sa_sigaction = trap, .sa_flags = SA_SIGINFO};
    struct sigaction limit = {.sa_handler = out_of_time,
                              .sa_flags = SA_RESETHAND | SA_NODEFER};
    if (weft_preempt_mode_choose(WEFT_PREEMPT_DEFAULT) != WEFT_PREEMPT_SIGNAL) {
        skip();
    }
    sigaddset(&trapping.sa_mask, SIGURG);
    sigaction(SIGTRAP, &trapping, NULL);
    sigaction(SIGALRM, &limit, NULL);
    alarm(step.all ? 10 * LIMIT_S : LIMIT_S);
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct scene scene = {workers, operation, helper, {0}};
        struct weft_config config = {.workers = workers};
        assert_int_equal(weft_run(&config, play, &scene), 0);
        assert_true(scene.metrics.deferred > 0);
        /* With two each has a processor. */
        assert_true(scene.metrics.preempt_kept > 0 || workers > 1 ||
                    helper == NULL);
    }
    alarm(0);
}

static void a_yield_may_be_interrupted_anywhere(void **state) {
    int length = 0;
    run_scene(weft_yield, yield_until_stopped);
    for (int i = 0; i < SWITCH_SIZE; i++) {
        length +=
            atomic_load_explicit(&step.in_switch[i], memory_order_relaxed);
    }
    /* Not where the build has taken another, --//arch:backend=ucontext. */
    if (memcmp((const void *)(uintptr_t)weft_switch, switch_begins,
               sizeof switch_begins) == 0) {
        assert_int_equal(length, SWITCH_LENGTH);
    }
    assert_true(length > 0);
}

static void parking_and_waking_may_be_interrupted_anywhere(void **state) {
    run_scene(ask_and_wait, answer_until_stopped);
}

static void a_hand_over_may_be_interrupted_anywhere(void **state) {
    run_scene(give_way_at_the_gate, give_way_until_stopped);
}

static void birth_and_death_may_be_interrupted_anywhere(void **state) {
    run_scene(spawn_and_join, NULL);
}

static void a_worker_without_work_may_be_interrupted_anywhere(void **state) {
    run_scene(sleep_a_little, NULL);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_yield_may_be_interrupted_anywhere),
        cmocka_unit_test(parking_and_waking_may_be_interrupted_anywhere),
        cmocka_unit_test(a_hand_over_may_be_interrupted_anywhere),
        cmocka_unit_test(birth_and_death_may_be_interrupted_anywhere),
        cmocka_unit_test(a_worker_without_work_may_be_interrupted_anywhere),
    };
    step.all = argc > 1 && strcmp(argv[1], "--all") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void nobody_can_be_stepped_here(void **state) {
    skip(); /* no trap flag, or a sanitizer that would be stepped as well */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_can_be_stepped_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
