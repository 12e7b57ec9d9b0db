/* SPDX-License-Identifier: MIT */
/* The block queue (queue/block_ring.h) in the checker: an owner that pushes,
 * pops, shares and overflows, and thieves, on queues of 4 slots in blocks of 2
 * whose indices are about to wrap.
 *
 * Checked: every item comes out exactly once; whoever takes it sees what was
 * written into it before it was pushed; the queue's own invariants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "weft/base/check.h"
#include "weft/queue/block_queue.h"

WEFT_BLOCK_QUEUE_DEFINE(four, 4, 2)

enum { ITEMS = 16, THREADS = 3 };

/* Plain: a race on it is an order missing. */
static struct item {
    struct weft_node node;
    uint32_t number, taken;
} items[ITEMS];
static uint32_t pushed; /* items[0 .. pushed) are somewhere; the owner's */
static struct four queue, queues[THREADS];

static void run(struct weft_node *node) {
    WEFT_CHECK(node != NULL);
    struct item *item = weft_container_of(node, struct item, node);
    WEFT_CHECK_OP(item->number, ==, (uint32_t)(item - items));
    item->taken++;
    WEFT_CHECK_OP(item->taken, ==, 1u);
}

static void run_all(struct weft_batch *batch) {
    while (batch->count != 0) {
        run(weft_batch_pop(batch));
    }
}

static struct weft_node *new_item(void) {
    items[pushed].number = pushed;
    return &items[pushed++].node;
}

static void push(void) {
    struct weft_node *node = new_item();
    struct weft_batch out;
    while (!four_push(&queue, node)) {
        if (four_overflow(&queue, node, &out)) {
            run_all(&out);
            return;
        }
    }
}

static bool pop(void) {
    struct weft_node *node = four_pop(&queue);
    if (node != NULL) {
        run(node);
    }
    return node != NULL;
}

/* --- what the threads do; thread 0 owns `queue` -----------------------------
 */

static void push_push_pop_pop(void) {
    push();
    push();
    pop();
    pop();
}

static void pop_pop_push_push(void) {
    pop();
    pop();
    push();
    push();
}

static void share_pop_push_push(void) {
    four_share(&queue);
    pop();
    push();
    push();
}

static void push_share_push_pop(void) {
    push();
    four_share(&queue);
    push();
    pop();
}

static void thief(void) {
    struct four *mine = &queues[model_self()];
    uint32_t count;
    struct weft_node *node = four_steal_into(mine, &queue, &count);
    for (; node != NULL; node = four_pop(mine)) {
        run(node);
    }
}

static void thief_of_a_batch(void) {
    struct weft_batch batch;
    weft_batch_init(&batch);
    four_steal(&queue, 2, &batch);
    run_all(&batch);
}

/* --- before and after -------------------------------------------------------
 */

/* The scenario's arg: how many items are there at first. */
static void set_up(void) {
    memset(items, 0, sizeof(items));
    four_init_at(&queue, UINT32_MAX - 2);
    model_name(&queue.ring.head, 8, "head");
    model_name(&queue.ring.tail, 4, "tail");
    model_name(&queue.slots, sizeof(queue.slots), "slot");
    model_watch(&queue.slots, sizeof(queue.slots));
    model_label(&queue, sizeof(queue), "the queue");
    for (int i = 0; i < THREADS; i++) {
        four_init_at(&queues[i], UINT32_MAX);
    }
    model_label(queues, sizeof(queues), "a thief's queue");
    model_label(items, sizeof(items), "item");
    pushed = 0;
    for (int i = 0; i < model_arg(); i++) {
        WEFT_CHECK(four_push(&queue, new_item()));
    }
}

static void check(void) {
    WEFT_CHECK(four_valid(&queue));
    while (pop()) {
    }
    for (int i = 0; i < THREADS; i++) {
        struct weft_node *node;
        WEFT_CHECK(four_valid(&queues[i]));
        while ((node = four_pop(&queues[i])) != NULL) {
            run(node);
        }
    }
    for (uint32_t i = 0; i < ITEMS; i++) {
        WEFT_CHECK_OP(items[i].taken, ==, i < pushed ? 1u : 0u);
    }
}

#define SCENARIO(owner, first, second, given)                                \
    {                                                                        \
        .name = #owner "/" #second "/" #given, .set_up = set_up,             \
        .threads = {owner, first, second}, .check = check, .preemptions = 2, \
        .stale = 1, .arg = given                                             \
    }
#define SCENARIOS_OF(owner, second)                                       \
    SCENARIO(owner, thief, second, 2), SCENARIO(owner, thief, second, 3), \
        SCENARIO(owner, thief, second, 4)

static const struct model_scenario scenarios[] = {
    SCENARIOS_OF(push_push_pop_pop, thief),
    SCENARIOS_OF(pop_pop_push_push, thief_of_a_batch),
    SCENARIOS_OF(share_pop_push_push, thief),
    SCENARIOS_OF(push_share_push_pop, thief_of_a_batch),
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

static void nothing_is_lost_or_doubled(void **state) {
    for (int i = 0; i < SCENARIOS; i++) {
        model_expect_right(&scenarios[i]);
    }
}

static void every_order_is_needed(void **state) {
    /* weft_blocks_next(): what its exchange reads, its load or the exchange
     * that failed before has acquired. */
    static const struct model_fault spared[] = {
        {"head", MODEL_EXCHANGE, memory_order_acquire, memory_order_relaxed, 0},
    };
    model_expect_all_needed(scenarios, SCENARIOS, spared, 1);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_doubled),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
