/* SPDX-License-Identifier: MIT */
/* Contexts, on whichever backend this is linked with: a pair (the test and one
 * other) that hands control to and fro. */
#include "weft/arch/context.h"

#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include <cmocka.h>

#include "weft/arch/probe.h"

enum { SIZE = 256 * 1024, ROUNDS = 1000 };

/* One other context and the way back from it. */
struct pair {
    struct weft_context back;
    struct weft_context self;
    char *stack;
    uint64_t seen;
    void *where;
    int rounding;
};

static void begin(struct pair *pair, void (*entry)(void *)) {
    memset(pair, 0, sizeof(*pair));
    pair->stack = malloc(SIZE);
    assert_non_null(pair->stack);
    weft_context_adopt(&pair->back);
    weft_context_init(&pair->self, pair->stack, SIZE, entry, pair);
}

static void finish(struct pair *pair) {
    weft_context_fini(&pair->self);
    free(pair->stack);
}

static void there(struct pair *pair) {
    weft_context_switch(&pair->back, &pair->self);
}

__attribute__((noreturn)) static void leave(struct pair *pair) {
    weft_context_exit(&pair->self, &pair->back);
}

static void tell_where(void *arg) {
    struct pair *pair = arg;
    char local;
    pair->seen = 42;
    pair->where = &local;
    leave(pair);
}

static void the_first_switch_calls_the_entry_on_its_stack(void **state) {
    struct pair pair;
    begin(&pair, tell_where);
    there(&pair);
    assert_int_equal(pair.seen, 42);
#if !WEFT_ASAN /* locals may be on the fake stack */
    assert_in_range((uintptr_t)pair.where, (uintptr_t)pair.stack,
                    (uintptr_t)pair.stack + SIZE - 1);
#endif
    finish(&pair);
}

static void print_a_double(void *arg) {
    struct pair *pair = arg;
    char text[64];
    _Alignas(16) volatile char aligned[16];
    pair->where = (void *)aligned;
    /* printf's entry spills vector registers with aligned stores. */
    snprintf(text, sizeof(text), "%.1f", 2.5);
    pair->seen = strcmp(text, "2.5") == 0;
    leave(pair);
}

static void the_entry_finds_the_stack_aligned_whatever_its_end(void **state) {
    for (size_t odd = 0; odd < 32; odd++) {
        struct pair pair;
        begin(&pair, print_a_double);
        weft_context_fini(&pair.self);
        weft_context_init(&pair.self, pair.stack, SIZE - odd, print_a_double,
                          &pair);
        there(&pair);
        assert_int_equal(pair.seen, 1);
        assert_int_equal((uintptr_t)pair.where % 16, 0);
        finish(&pair);
    }
}

static void count(void *arg) {
    struct pair *pair = arg;
    for (;;) {
        pair->seen++;
        weft_context_switch(&pair->self, &pair->back);
    }
}

static void control_goes_to_and_fro(void **state) {
    struct pair pair;
    begin(&pair, count);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        there(&pair);
        assert_int_equal(pair.seen, i);
    }
    finish(&pair);
}

static void fill(uint64_t words[WEFT_PROBE_WORDS], uint64_t seed) {
    for (uint64_t i = 0; i < WEFT_PROBE_WORDS; i++) {
        words[i] = (seed * WEFT_PROBE_WORDS + i + 1) * 0x9e3779b97f4a7c15;
    }
}

/* The bare switch: sanitizers are told on the way in and out alone. */
static void probe(void *arg) {
    struct pair *pair = arg;
    uint64_t in[WEFT_PROBE_WORDS], out[WEFT_PROBE_WORDS];
    for (uint64_t i = 0; i < ROUNDS; i++) {
        fill(in, 2 * i + 1);
        uint64_t n = weft_probe_switch(&pair->self.sp, pair->back.sp, in, out);
        pair->seen += memcmp(in, out, n * sizeof(in[0])) != 0;
    }
    leave(pair);
}

static void the_registers_that_a_call_keeps_are_kept(void **state) {
#if WEFT_CONTEXT_TOLD
    skip(); /* weft_probe_switch() tells sanitizers nothing */
#endif
    struct pair pair;
    uint64_t in[WEFT_PROBE_WORDS], out[WEFT_PROBE_WORDS];
    begin(&pair, probe);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        fill(in, 2 * i);
        uint64_t n = weft_probe_switch(&pair.back.sp, pair.self.sp, in, out);
        assert_in_range(n, 4, WEFT_PROBE_WORDS);
        assert_memory_equal(in, out, n * sizeof(in[0]));
    }
    there(&pair);
    assert_int_equal(pair.seen, 0);
    finish(&pair);
}

static void round_up(void *arg) {
    struct pair *pair = arg;
    fesetround(FE_UPWARD);
    for (;;) {
        pair->rounding = fegetround();
        weft_context_switch_fp(&pair->self, &pair->back);
    }
}

static void look_at_rounding(void *arg) {
    struct pair *pair = arg;
    for (;;) {
        pair->rounding = fegetround();
        weft_context_switch(&pair->self, &pair->back);
    }
}

static void control_words_stay_with_the_one_that_keeps_them(void **state) {
    struct pair up, plain;
    begin(&up, round_up);
    begin(&plain, look_at_rounding);
    for (int i = 0; i < 3; i++) {
        there(&up);
        assert_int_equal(up.rounding, FE_UPWARD);
        assert_int_equal(fegetround(), FE_TONEAREST);
        there(&plain);
        assert_int_equal(plain.rounding, FE_TONEAREST);
        weft_context_switch_fp(&up.back, &up.self); /* either kind resumes */
        assert_int_equal(up.rounding, FE_UPWARD);
        assert_int_equal(fegetround(), FE_TONEAREST);
    }
    finish(&up);
    finish(&plain);
}

static void round_up_and_leave(void *arg) {
    struct pair *pair = arg;
    fesetround(FE_UPWARD);
    weft_context_exit_fp(&pair->self, &pair->back);
}

static void control_words_go_with_the_one_that_exits(void **state) {
    struct pair up;
    begin(&up, round_up_and_leave);
    there(&up);
    assert_int_equal(fegetround(), FE_TONEAREST);
    finish(&up);
}

static void the_adopting_thread_sets_the_baseline(void **state) {
    struct pair up, plain;
    fesetround(FE_DOWNWARD);
    begin(&up, round_up);
    begin(&plain, look_at_rounding);
    there(&up);
    assert_int_equal(up.rounding, FE_UPWARD);
    assert_int_equal(fegetround(), FE_DOWNWARD);
    there(&plain);
    assert_int_equal(plain.rounding, FE_DOWNWARD);
    finish(&up);
    finish(&plain);
    fesetround(FE_TONEAREST);
    weft_context_adopt(&up.back);
}

struct hops {
    struct weft_context *back; /* of the thread that runs it now */
    struct weft_context self;
    pthread_t seen[2];
    int count;
};

/* pthread_self() is declared const: a compiler asks once and keeps the answer
 * across the switch. */
WEFT_NOINLINE static pthread_t who(void) {
    __asm__ volatile("");
    return pthread_self();
}

static void note_the_thread(void *arg) {
    struct hops *hops = arg;
    for (;;) {
        hops->seen[hops->count++] = who();
        weft_context_switch(&hops->self, hops->back);
    }
}

static void *resume_here(void *arg) {
    struct hops *hops = arg;
    struct weft_context back;
    weft_context_adopt(&back);
    hops->back = &back;
    weft_context_switch(&back, &hops->self);
    return NULL;
}

static void a_context_goes_on_where_it_is_resumed(void **state) {
    struct hops hops = {0};
    char *stack = malloc(SIZE);
    pthread_t other;
    weft_context_init(&hops.self, stack, SIZE, note_the_thread, &hops);
    resume_here(&hops);
    assert_int_equal(pthread_create(&other, NULL, resume_here, &hops), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(hops.count, 2);
    assert_true(pthread_equal(hops.seen[0], pthread_self()));
    assert_true(pthread_equal(hops.seen[1], other));
    weft_context_fini(&hops.self);
    free(stack);
}

/* Leaves from within frames that hold arrays, at every depth of the stack. */
static void sink(struct pair *pair, int depth) {
    volatile char array[200];
    memset((char *)array, depth, sizeof(array));
    if (depth < 0) {
        return; /* never; who says that it recurses for ever is answered */
    }
    if (depth == 0) {
        leave(pair);
    }
    sink(pair, depth - 1);
    array[0]++; /* not a tail call */
}

static void leave_from_the_depths(void *arg) {
    struct pair *pair = arg;
    pair->seen++;
    sink(pair, 100);
}

static void scribble(void *arg) {
    struct pair *pair = arg;
    char *here = __builtin_frame_address(0);
    pair->seen++;
    /* All of it, but for the frames that memset() needs. */
    memset(pair->stack, 1, (size_t)(here - pair->stack) - 8192);
    leave(pair);
}

static void a_stack_is_used_again_after_its_context_ended(void **state) {
    struct pair pair;
    begin(&pair, leave_from_the_depths);
    there(&pair);
    for (uint64_t i = 2; i < 50; i++) {
        weft_context_fini(&pair.self);
        weft_context_init(&pair.self, pair.stack, SIZE,
                          i % 2 ? leave_from_the_depths : scribble, &pair);
        there(&pair);
        assert_int_equal(pair.seen, i);
    }
    finish(&pair);
}

enum { RING = 100 };

struct ring {
    struct weft_context contexts[RING];
    struct weft_context back;
    int next, turns;
};

static struct ring ring;

static void pass_on(void *arg) {
    int self = (int)(intptr_t)arg;
    while (ring.turns < RING * 100) {
        assert_int_equal(ring.turns % RING, self);
        ring.turns++;
        weft_context_switch(&ring.contexts[self],
                            &ring.contexts[(self + 1) % RING]);
    }
    weft_context_exit(&ring.contexts[self], &ring.back);
}

static void a_ring_of_contexts_keeps_its_order(void **state) {
    char *stacks = malloc((size_t)RING * SIZE / 4);
    memset(&ring, 0, sizeof(ring));
    weft_context_adopt(&ring.back);
    for (int i = 0; i < RING; i++) {
        weft_context_init(&ring.contexts[i], stacks + (size_t)i * SIZE / 4,
                          SIZE / 4, pass_on, (void *)(intptr_t)i);
    }
    weft_context_switch(&ring.back, &ring.contexts[0]);
    assert_int_equal(ring.turns, RING * 100);
    for (int i = 0; i < RING; i++) {
        weft_context_fini(&ring.contexts[i]);
    }
    free(stacks);
}

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *arg) {
    int *frames = arg;
    return ++*frames > 50 ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static void unwind(void *arg) {
    struct pair *pair = arg;
    int frames = 0;
    _Unwind_Backtrace(step, &frames);
    pair->seen = (uint64_t)frames;
    leave(pair);
}

static void unwinding_ends_at_the_entry(void **state) {
    struct pair pair;
    begin(&pair, unwind);
    there(&pair);
    /* unwind(), perhaps a trampoline or two, the assembly's entry. */
    assert_in_range(pair.seen, 2, 5);
    finish(&pair);
}

static void come_back(void *arg) {
    struct pair *pair = arg;
    pair->seen = 1;
}

static void an_entry_that_returns_stops_the_process(void **state) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct pair pair;
        close(2); /* what a sanitizer has to say about it */
        signal(SIGILL, SIG_DFL);
        begin(&pair, come_back);
        there(&pair);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_not_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_switch_calls_the_entry_on_its_stack),
        cmocka_unit_test(the_entry_finds_the_stack_aligned_whatever_its_end),
        cmocka_unit_test(control_goes_to_and_fro),
        cmocka_unit_test(the_registers_that_a_call_keeps_are_kept),
        cmocka_unit_test(control_words_stay_with_the_one_that_keeps_them),
        cmocka_unit_test(control_words_go_with_the_one_that_exits),
        cmocka_unit_test(the_adopting_thread_sets_the_baseline),
        cmocka_unit_test(a_context_goes_on_where_it_is_resumed),
        cmocka_unit_test(a_stack_is_used_again_after_its_context_ended),
        cmocka_unit_test(a_ring_of_contexts_keeps_its_order),
        cmocka_unit_test(unwinding_ends_at_the_entry),
        cmocka_unit_test(an_entry_that_returns_stops_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
