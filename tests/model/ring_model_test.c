/* SPDX-License-Identifier: MIT */
/* The ring (queue/lockfree_ring.h) in the checker: an owner that pushes, pops
 * and overflows, and thieves, on rings of 4 and of 2 slots whose indices are
 * about to wrap.
 *
 * Checked: every item comes out exactly once; whoever takes it sees what was
 * written into it before it was pushed; a consumer's items come in the order in
 * which they were pushed; the ring's own invariants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "weft/base/check.h"
#include "weft/queue/lockfree_queue.h"

WEFT_LOCKFREE_QUEUE_DEFINE(two, 2)
WEFT_LOCKFREE_QUEUE_DEFINE(four, 4)

enum { ITEMS = 16, THREADS = 3 };

/* An item's number and count are plain: a race on them is an order missing. */
static struct item {
    struct weft_node node;
    uint32_t number, taken;
} items[ITEMS];
static uint32_t pushed; /* items[0 .. pushed) are somewhere; the owner's */
static struct four ring, rings[THREADS];
static struct two small, smalls[THREADS];
static int32_t last_run[THREADS]; /* per consumer: numbers only rise */

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

static void run(struct weft_node *node, int consumer) {
    WEFT_CHECK(node != NULL);
    struct item *item = weft_container_of(node, struct item, node);
    item->taken++;
    WEFT_CHECK_OP(item->taken, ==, 1u);
    if (consumer >= 0) {
        WEFT_CHECK_OP((int32_t)item->number, >, last_run[consumer]);
        last_run[consumer] = (int32_t)item->number;
    }
}

static void run_all(struct weft_batch *batch, int consumer) {
    while (batch->count != 0) {
        run(weft_batch_pop(batch), consumer);
    }
}

static struct weft_node *new_item(void) {
    items[pushed].number = pushed;
    return &items[pushed++].node;
}

static void push_one(void) {
    struct weft_node *node = new_item();
    struct weft_batch out;
    while (!four_push(&ring, node)) {
        if (four_overflow(&ring, node, &out)) {
            WEFT_CHECK(out.count == 1 || out.count == 3);
            run_all(&out, -1);
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

/* --- what the threads do; thread 0 owns `ring` -----------------------------
 */

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

static void push_pop_push(void) {
    push_one();
    pop_one();
    push_one();
}

static void thief(void) {
    steal_and_run(model_self());
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

/* Takes from the first thief's ring, which is filling. */
static void thief_of_thief(void) {
    struct weft_node *node = steal_four(&rings[2], &rings[1]);
    for (; node != NULL; node = four_pop(&rings[2])) {
        run(node, -1);
    }
}

static void batches(void) {
    struct weft_batch batch;
    weft_batch_init(&batch);
    for (int i = 0; i < 3; i++) {
        weft_batch_push(&batch, new_item());
    }
    four_push_batch(&ring, &batch);
    run_all(&batch, -1);
    four_pop_batch(&ring, 2, &batch);
    run_all(&batch, 0);
}

static void thief_of_a_batch(void) {
    struct weft_batch batch;
    weft_batch_init(&batch);
    four_steal(&ring, 2, &batch);
    run_all(&batch, 2);
}

static void small_owner(void) {
    struct weft_batch out;
    for (int i = 0; i < 2; i++) {
        struct weft_node *node = new_item();
        while (!two_push(&small, node)) {
            if (two_overflow(&small, node, &out)) {
                run_all(&out, -1);
                break;
            }
        }
    }
    struct weft_node *node = two_pop(&small);
    if (node != NULL) {
        run(node, 0);
    }
}

static void small_thief(void) {
    int me = model_self();
    struct weft_node *node = steal_two(&smalls[me], &small);
    if (node != NULL) {
        run(node, me);
    }
}

/* --- before and after ------------------------------------------------------
 */

/* The scenario's arg: how many items are there at first, twice, and one more
 * for rings whose largest steals go the long way. */
static void set_up_rings(uint32_t capacity) {
    memset(items, 0, sizeof(items));
    quick = capacity / 2 - (uint32_t)model_arg() % 2;
    four_init_at(&ring, UINT32_MAX - 2);
    two_init_at(&small, UINT32_MAX);
    for (int i = 0; i < THREADS; i++) {
        four_init_at(&rings[i], UINT32_MAX);
        two_init_at(&smalls[i], UINT32_MAX);
        last_run[i] = -1;
        model_label(&rings[i].ring.head, 8, "a thief's head");
        model_label(&rings[i].ring.tail, 4, "a thief's tail");
        model_label(&smalls[i].ring.head, 8, "a thief's head");
        model_label(&smalls[i].ring.tail, 4, "a thief's tail");
        model_label(&rings[i].slots, sizeof(rings[i].slots), "a thief's slot");
        model_label(&smalls[i].slots, sizeof(smalls[i].slots),
                    "a thief's slot");
        model_watch(&rings[i].slots, sizeof(rings[i].slots));
        model_watch(&smalls[i].slots, sizeof(smalls[i].slots));
    }
    model_name(&ring.ring.head, 8, "head");
    model_name(&ring.ring.tail, 4, "tail");
    model_name(&ring.slots, sizeof(ring.slots), "slot");
    model_name(&small.ring.head, 8, "head");
    model_name(&small.ring.tail, 4, "tail");
    model_name(&small.slots, sizeof(small.slots), "slot");
    model_watch(&ring.slots, sizeof(ring.slots));
    model_watch(&small.slots, sizeof(small.slots));
    model_name(items, sizeof(items), "item");
    pushed = 0;
    for (int i = 0; i < model_arg() / 2; i++) {
        WEFT_CHECK(capacity == 2 ? two_push(&small, new_item())
                                 : four_push(&ring, new_item()));
    }
}

static void set_up(void) {
    set_up_rings(4);
}

static void set_up_small(void) {
    set_up_rings(2);
}

static void check(void) {
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
        while ((node = two_pop(&smalls[i])) != NULL) {
            run(node, i);
        }
    }
    for (uint32_t i = 0; i < ITEMS; i++) {
        WEFT_CHECK_OP(items[i].taken, ==, i < pushed ? 1u : 0u);
    }
}

/* --- scenarios -------------------------------------------------------------
 */

#define SCENARIO(owner, first, second, start, given)                         \
    {                                                                        \
        .name = #owner "/" #first "/" #second "/" #given, .set_up = start,   \
        .threads = {owner, first, second}, .check = check, .preemptions = 2, \
        .stale = 1, .arg = given                                             \
    }
#define FOUR(owner, first, second)                 \
    SCENARIO(owner, first, second, set_up, 3),     \
        SCENARIO(owner, first, second, set_up, 7), \
        SCENARIO(owner, first, second, set_up, 8)
#define TWO(owner, first, second)                    \
    SCENARIO(owner, first, second, set_up_small, 3), \
        SCENARIO(owner, first, second, set_up_small, 4)

static const struct model_scenario scenarios[] = {
    FOUR(push_twice_pop_twice, thief, thief),
    FOUR(pop_push_push, thief, thief),
    FOUR(push_twice_pop_twice, thief_keeps, thief_of_thief),
    FOUR(batches, thief, thief_of_a_batch),
    TWO(small_owner, small_thief, small_thief),
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

/* Every schedule and every value that a load may return. */
static const struct model_scenario complete[] = {
    {.name = "complete/0",
     .set_up = set_up,
     .check = check,
     .threads = {push_pop_push, thief},
     .preemptions = MODEL_ALL,
     .stale = MODEL_ALL,
     .spurious = 0,
     .arg = 0},
    {.name = "complete/8",
     .set_up = set_up,
     .check = check,
     .threads = {push_pop_push, thief},
     .preemptions = MODEL_ALL,
     .stale = MODEL_ALL,
     .arg = 8},
    {.name = "complete/9",
     .set_up = set_up,
     .check = check,
     .threads = {push_pop_push, thief},
     .preemptions = MODEL_ALL,
     .stale = MODEL_ALL,
     .arg = 9},
};

static void two_preemptions_and_an_old_value_against_two_thieves(void **state) {
    for (int i = 0; i < SCENARIOS; i++) {
        model_expect_right(&scenarios[i]);
    }
}

static void every_run_with_one_thief(void **state) {
    for (int i = 0; i < 3; i++) {
        model_expect_right(&complete[i]);
    }
}

static void every_order_is_needed(void **state) {
    /* The owner looks at head, then exchanges it. Both acquire, and so does the
     * exchange that fails; any one but the first look's may be missing, since
     * the value was acquired just before or is acquired just after. */
    static const struct model_fault spared[] = {
        {"head", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_release, 0},
        {"head", MODEL_REFUSED, memory_order_acquire, memory_order_relaxed, 0},
    };
    model_expect_all_needed(scenarios, SCENARIOS, spared, 2);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_preemptions_and_an_old_value_against_two_thieves),
        cmocka_unit_test(every_run_with_one_thief),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
