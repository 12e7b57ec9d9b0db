/* SPDX-License-Identifier: MIT */
/* All interleavings of a few operations on the ring, with up to two preemptions
 * each (or WEFT_MODEL_PREEMPTIONS, say 3: ten seconds): the header that ships
 * is compiled here with atomics that may switch to another thread of the
 * scenario before each of them.
 *
 * The threads are contexts on this one OS thread, so that a schedule is a list
 * of numbers. The explorer runs a scenario to its end, then changes the last
 * number that can grow, and so walks them all, depth first. A switch away from
 * a thread that could go on costs one of the preemptions; at a thread's end the
 * choice is free.
 *
 * What it finds: every mistake that needs no more preemptions than that under
 * sequential consistency. What it does not: orders that are too weak; they are
 * argued in docs/memory_orders.md, and the race test runs under the thread
 * sanitizer. */
#include <stdatomic.h>
#include <ucontext.h>

#include "weft/queue/testing.h"

enum { THREADS = 3, DEPTH = 512, STACK = 64 * 1024 };

static struct {
    ucontext_t main, threads[THREADS];
    bool finished[THREADS];
    int current; /* -1: set-up and checks, nothing to explore */
    int preemptions, allowed;
    /* The schedule: at the nth choice, which of how many was taken. */
    uint8_t taken[DEPTH], options[DEPTH];
    int depth, known;
} model = {.current = -1, .allowed = 2};

/* Which thread goes on? `self` first, so that schedules begin without
 * preemptions. */
static int choose(int self) {
    int options[THREADS], count = 0;
    if (self >= 0 && !model.finished[self]) {
        options[count++] = self;
    }
    if (count == 0 || model.preemptions < model.allowed) {
        for (int i = 0; i < THREADS; i++) {
            if (i != self && !model.finished[i]) {
                options[count++] = i;
            }
        }
    }
    if (count <= 1) {
        return count == 0 ? -1 : options[0];
    }
    WEFT_CHECK_OP(model.depth, <, DEPTH);
    if (model.depth == model.known) {
        model.taken[model.depth] = 0;
        model.options[model.depth] = (uint8_t)count;
        model.known++;
    }
    WEFT_CHECK_OP((int)model.options[model.depth], ==, count);
    int next = options[model.taken[model.depth++]];
    if (self >= 0 && !model.finished[self] && next != self) {
        model.preemptions++;
    }
    return next;
}

static void step(void) {
    int self = model.current;
    if (self < 0) {
        return;
    }
    int next = choose(self);
    if (next != self) {
        model.current = next;
        swapcontext(&model.threads[self], &model.threads[next]);
    }
}

/* The real operations. All that the threads share is reached by them, so a step
 * before each is every place where a switch can matter. */
static uint32_t load32(const _Atomic uint32_t *word) {
    step();
    return atomic_load_explicit(word, memory_order_seq_cst);
}

static uint64_t load64(const _Atomic uint64_t *word) {
    step();
    return atomic_load_explicit(word, memory_order_seq_cst);
}

static struct weft_node *load_slot(const _Atomic(struct weft_node *) *slot) {
    step();
    return atomic_load_explicit(slot, memory_order_seq_cst);
}

static void store32(_Atomic uint32_t *word, uint32_t value) {
    step();
    atomic_store_explicit(word, value, memory_order_seq_cst);
}

static void store_slot(_Atomic(struct weft_node *) *slot,
                       struct weft_node *node) {
    step();
    atomic_store_explicit(slot, node, memory_order_seq_cst);
}

static bool exchange64(_Atomic uint64_t *word, uint64_t *expected,
                       uint64_t desired) {
    step();
    return atomic_compare_exchange_strong_explicit(
        word, expected, desired, memory_order_seq_cst, memory_order_seq_cst);
}

static void init32(_Atomic uint32_t *word, uint32_t value) {
    atomic_init(word, value);
}

static void init64(_Atomic uint64_t *word, uint64_t value) {
    atomic_init(word, value);
}

#undef atomic_init
#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_compare_exchange_strong_explicit
/* clang-format off */
#define atomic_init(word, value)           \
    _Generic((word),                       \
        _Atomic uint32_t *: init32,        \
        _Atomic uint64_t *: init64)(word, value)
#define atomic_load_explicit(word, order)  \
    _Generic((word),                       \
        _Atomic uint32_t *: load32,        \
        const _Atomic uint32_t *: load32,  \
        _Atomic uint64_t *: load64,        \
        const _Atomic uint64_t *: load64,  \
        const _Atomic(struct weft_node *) *: load_slot)(word)
#define atomic_store_explicit(word, value, order) \
    _Generic((word),                              \
        _Atomic uint32_t *: store32,              \
        _Atomic(struct weft_node *) *: store_slot)(word, value)
#define atomic_compare_exchange_weak_explicit(word, old, new, yes, no) \
    exchange64(word, old, new)
#define atomic_compare_exchange_strong_explicit(word, old, new, yes, no) \
    exchange64(word, old, new)
/* clang-format on */

#include "weft/queue/lockfree_queue.h"

WEFT_LOCKFREE_QUEUE_DEFINE(two, 2)
WEFT_LOCKFREE_QUEUE_DEFINE(four, 4)

/* Steals of up to this many go the quick way. Half of the capacity: all do;
 * one less: the largest go the long way, and the two ways meet. */
static uint32_t quick;

static struct weft_node *steal_four(struct four *to, struct four *from) {
    uint32_t count;
    return weft_ring_steal_into(&to->ring, to->slots, &from->ring, from->slots,
                                4, quick, &count);
}

static struct weft_node *steal_two(struct two *to, struct two *from) {
    uint32_t count;
    return weft_ring_steal_into(&to->ring, to->slots, &from->ring, from->slots,
                                2, quick, &count);
}

enum { ITEMS = 16 };

static struct item items[ITEMS];
static uint32_t pushed; /* items[0 .. pushed) are somewhere */
static struct four ring, rings[THREADS];
static struct two small, smalls[THREADS];

static int32_t last_run[THREADS]; /* per consumer: numbers only rise */

static void run(struct weft_node *node, int consumer) {
    struct item *item = item_of(node);
    item->taken++;
    WEFT_CHECK_OP(item->taken, ==, 1u);
    if (consumer >= 0) {
        WEFT_CHECK_OP((int32_t)item->number, >, last_run[consumer]);
        last_run[consumer] = (int32_t)item->number;
    }
}

static void push_one(void) {
    struct weft_node *node = &items[pushed].node;
    struct weft_batch out;
    pushed++;
    while (!four_push(&ring, node)) {
        if (four_overflow(&ring, node, &out)) {
            WEFT_CHECK(out.count == 1 || out.count == 3);
            while (out.count != 0) {
                run(weft_batch_pop(&out), -1);
            }
            return;
        }
    }
}

static void pop_one(void) {
    struct weft_node *node = four_pop(&ring);
    if (node != NULL) {
        run(node, 0);
    }
}

static void steal_and_run(int me) {
    struct weft_node *node = steal_four(&rings[me], &ring);
    for (; node != NULL; node = four_pop(&rings[me])) {
        run(node, me);
    }
}

/* The scenarios: what each thread does; thread 0 is the owner of `ring`. */
static void push_twice_pop_twice(void) {
    push_one();
    push_one();
    pop_one();
    pop_one();
}

static void pop_push_push(void) {
    pop_one();
    push_one();
    push_one();
}

static void thief_1(void) {
    steal_and_run(1);
}

static void thief_2(void) {
    steal_and_run(2);
}

/* Takes from the first thief's ring, which is filling. */
static void thief_of_thief(void) {
    struct weft_node *node = steal_four(&rings[2], &rings[1]);
    for (; node != NULL; node = four_pop(&rings[2])) {
        run(node, -1);
    }
}

static void thief_keeps(void) {
    struct weft_node *node = steal_four(&rings[1], &ring);
    if (node != NULL) {
        run(node, 1);
    }
    if ((node = four_pop(&rings[1])) != NULL) {
        run(node, 1);
    }
}

static void batches(void) {
    struct weft_batch batch;
    weft_batch_init(&batch);
    for (int i = 0; i < 3; i++) {
        weft_batch_push(&batch, &items[pushed++].node);
    }
    four_push_batch(&ring, &batch);
    while (batch.count != 0) {
        run(weft_batch_pop(&batch), -1);
    }
    four_pop_batch(&ring, 2, &batch);
    while (batch.count != 0) {
        run(weft_batch_pop(&batch), 0);
    }
}

static void thief_of_a_batch(void) {
    struct weft_batch batch;
    weft_batch_init(&batch);
    four_steal(&ring, 2, &batch);
    while (batch.count != 0) {
        run(weft_batch_pop(&batch), 2);
    }
}

static void small_owner(void) {
    struct weft_batch out;
    for (int i = 0; i < 2; i++) {
        struct weft_node *node = &items[pushed++].node;
        while (!two_push(&small, node)) {
            if (two_overflow(&small, node, &out)) {
                while (out.count != 0) {
                    run(weft_batch_pop(&out), -1);
                }
                break;
            }
        }
    }
    struct weft_node *node = two_pop(&small);
    if (node != NULL) {
        run(node, 0);
    }
}

static void small_thief(int me) {
    struct weft_node *node = steal_two(&smalls[me], &small);
    if (node != NULL) {
        run(node, me);
    }
}

static void small_thief_1(void) {
    small_thief(1);
}

static void small_thief_2(void) {
    small_thief(2);
}

static void (*script[THREADS])(void);

/* Puts item `pushed` into the ring of the scenario; false: full. */
static bool prefill(void) {
    struct weft_node *node = &items[pushed].node;
    return script[0] == small_owner ? two_push(&small, node)
                                    : four_push(&ring, node);
}

static void thread_main(int self) {
    script[self]();
    model.finished[self] = true;
    int next = choose(self);
    model.current = next;
    setcontext(next < 0 ? &model.main : &model.threads[next]);
}

/* Fresh rings, their indices about to wrap, `prefilled` items in the first. */
static void set_up(uint32_t prefilled) {
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i] = (struct item){.number = i};
    }
    four_init_at(&ring, UINT32_MAX - 2);
    two_init_at(&small, UINT32_MAX);
    for (int i = 0; i < THREADS; i++) {
        four_init_at(&rings[i], UINT32_MAX);
        two_init_at(&smalls[i], UINT32_MAX);
        last_run[i] = -1;
    }
    for (pushed = 0; pushed < prefilled; pushed++) {
        WEFT_CHECK(prefill());
    }
}

static void check_end(void) {
    struct weft_node *node;
    WEFT_CHECK(four_valid(&ring) && two_valid(&small));
    while ((node = four_pop(&ring)) != NULL ||
           (node = two_pop(&small)) != NULL) {
        run(node, 0);
    }
    for (int i = 0; i < THREADS; i++) {
        WEFT_CHECK(four_valid(&rings[i]) && two_valid(&smalls[i]));
        while ((node = four_pop(&rings[i])) != NULL) {
            run(node, i);
        }
    }
    for (uint32_t i = 0; i < ITEMS; i++) {
        WEFT_CHECK_OP(items[i].taken, ==, i < pushed ? 1u : 0u);
    }
}

static void run_schedule(uint32_t prefilled) {
    static char stacks[THREADS][STACK];
    set_up(prefilled);
    model.depth = 0;
    model.preemptions = 0;
    for (int i = 0; i < THREADS; i++) {
        model.finished[i] = script[i] == NULL;
        getcontext(&model.threads[i]);
        model.threads[i].uc_stack.ss_sp = stacks[i];
        model.threads[i].uc_stack.ss_size = STACK;
        makecontext(&model.threads[i], (void (*)(void))thread_main, 1, i);
    }
    int first = choose(-1);
    model.current = first;
    swapcontext(&model.main, &model.threads[first]);
    WEFT_CHECK_OP(model.current, ==, -1);
    check_end();
}

/* The next schedule in order; false after the last. */
static bool next_schedule(void) {
    while (model.known > 0) {
        int last = model.known - 1;
        if (++model.taken[last] < model.options[last]) {
            return true;
        }
        model.known--;
    }
    return false;
}

static void explore(void (*owner)(void), void (*thief)(void),
                    void (*other)(void)) {
    if (WEFT_TSAN) {
        skip(); /* swapcontext() hides the threads from it */
    }
    script[0] = owner;
    script[1] = thief;
    script[2] = other;
    unsigned long schedules = 0;
    uint32_t capacity = owner == small_owner ? 2 : 4;
    for (uint32_t i = 0; i < 2 * (capacity + 1); i++) {
        uint32_t prefilled = i / 2;
        quick = capacity / 2 - i % 2;
        model.known = 0;
        do {
            run_schedule(prefilled);
            schedules++;
        } while (next_schedule());
    }
    print_message("%lu schedules\n", schedules);
    assert_true(schedules > 1000);
}

static void push_overflow_and_pop_against_two_thieves(void **state) {
    explore(push_twice_pop_twice, thief_1, thief_2);
}

static void pop_before_push_against_two_thieves(void **state) {
    explore(pop_push_push, thief_1, thief_2);
}

static void a_thief_is_stolen_from(void **state) {
    explore(push_twice_pop_twice, thief_keeps, thief_of_thief);
}

static void batches_against_two_thieves(void **state) {
    explore(batches, thief_1, thief_of_a_batch);
}

static void two_slots_against_two_thieves(void **state) {
    explore(small_owner, small_thief_1, small_thief_2);
}

int main(void) {
    const char *preemptions = getenv("WEFT_MODEL_PREEMPTIONS");
    if (preemptions != NULL) {
        model.allowed = atoi(preemptions);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_overflow_and_pop_against_two_thieves),
        cmocka_unit_test(pop_before_push_against_two_thieves),
        cmocka_unit_test(a_thief_is_stolen_from),
        cmocka_unit_test(batches_against_two_thieves),
        cmocka_unit_test(two_slots_against_two_thieves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
