/* SPDX-License-Identifier: MIT */
/* The global queues and the lock below them (queue/global_queue.c, base/lock.c;
 * with WEFT_MODEL_LOCKFREE queue/lockfree_global.c) in the checker, with three
 * threads that push and pop.
 *
 * Checked: every item comes out once, with what was written into it before; one
 * thread's pushes come out in order; nobody sleeps while the lock is free. The
 * lock tries once before it sleeps instead of 40 times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "weft/base/check.h"
#ifdef WEFT_MODEL_LOCKFREE
#include "weft/queue/lockfree_global.h"
#define weft_global            weft_lockfree_global
#define weft_global_init       weft_lockfree_global_init
#define weft_global_pop        weft_lockfree_global_pop
#define weft_global_pop_batch  weft_lockfree_global_pop_batch
#define weft_global_push       weft_lockfree_global_push
#define weft_global_push_batch weft_lockfree_global_push_batch
#define weft_global_valid      weft_lockfree_global_valid
enum { LOCKFREE = 1, ALL_OR_SO = 3 };
#else
#include "weft/queue/global_queue.h"
enum { LOCKFREE = 0, ALL_OR_SO = MODEL_ALL };
#endif

enum { ITEMS = 6 };

static struct item {
    struct weft_node node;
    uint32_t number, taken;
} items[ITEMS];
static struct weft_global queue;

static void push(uint32_t number) {
    items[number].number = number;
    weft_global_push(&queue, &items[number].node);
}

static uint32_t take(struct weft_node *node) {
    struct item *item = weft_container_of(node, struct item, node);
    item->taken++;
    WEFT_CHECK_OP(item->taken, ==, 1u);
    return item->number;
}

static void pusher(void) {
    push(0);
    push(1);
}

static void popper(void) {
    struct weft_node *node = weft_global_pop(&queue);
    if (node != NULL) {
        uint32_t number = take(node);
        node = weft_global_pop(&queue);
        if (node != NULL) {
            WEFT_CHECK_OP(take(node), >, number);
        }
    }
}

static void batch_popper(void) {
    struct weft_batch batch;
    weft_batch_init(&batch);
    weft_global_pop_batch(&queue, 2, &batch);
    while (batch.count > 0) {
        take(weft_batch_pop(&batch));
    }
}

static void batch_pusher(void) {
    struct weft_batch batch;
    weft_batch_init(&batch);
    for (uint32_t i = 2; i < 4; i++) {
        items[i].number = i;
        weft_batch_push(&batch, &items[i].node);
    }
    weft_global_push_batch(&queue, &batch);
}

static void set_up(void) {
    memset(items, 0, sizeof(items));
    weft_global_init(&queue);
#ifdef WEFT_MODEL_LOCKFREE
    model_name(&queue.inbox_last, sizeof(queue.inbox_last), "inbox_last");
    model_name(&queue.inbox_first, sizeof(queue.inbox_first), "inbox_first");
    /* What is in a link before a push must not be taken for one; and links and
     * inbox_first are written in turns. */
    for (int i = 0; i < ITEMS; i++) {
        items[i].node.next = &items[ITEMS - 1].node;
        model_watch(&items[i].node.next, sizeof(items[i].node.next));
    }
    model_watch(&queue.inbox_first, sizeof(queue.inbox_first));
    model_name(&queue.popped, sizeof(queue.popped), "popped");
#endif
    model_name(&queue.lock, sizeof(queue.lock), "lock");
    model_label(&queue, sizeof(queue), "the queue");
    model_name(items, sizeof(items), "item");
}

static void check(void) {
    WEFT_CHECK(weft_global_valid(&queue));
    for (;;) {
        struct weft_node *node = weft_global_pop(&queue);
        if (node == NULL) {
            break;
        }
        take(node);
    }
    for (uint32_t i = 0; i < ITEMS; i++) {
        bool pushed = i < 2 || (i < 4 && model_arg() > 0);
        WEFT_CHECK_OP(items[i].taken, ==, pushed ? 1u : 0u);
    }
}

static const struct model_scenario scenarios[] = {
    {
        .name = "a pusher and a popper",
        .set_up = set_up,
        .threads = {pusher, popper},
        .check = check,
        .preemptions = ALL_OR_SO,
        .stale = 1,
        .spurious = 1,
    },
    {
        .name = "two poppers",
        .set_up = set_up,
        .threads = {pusher, popper, batch_popper},
        .check = check,
        .preemptions = 3 - LOCKFREE,
        .stale = 1,
        .spurious = 1,
    },
    {
        .name = "two pushers",
        .set_up = set_up,
        .threads = {pusher, popper, batch_pusher},
        .check = check,
        .preemptions = 3 - LOCKFREE,
        .stale = 1,
        .spurious = 1,
        .arg = 1,
    },
};

static void nothing_is_lost_or_doubled(void **state) {
    for (int i = 0; i < 3; i++) {
        model_expect_right(&scenarios[i]);
    }
}

/* Not here: popped, without whose order a length may be too large, which costs
 * a look; and inbox_first, since what its acquire brings the exchange of
 * inbox_last, right behind it, brings too. */
static void every_order_of_the_lockfree_one_is_needed(void **state) {
    static const struct model_fault faults[] = {
        {"inbox_last", MODEL_EXCHANGE, memory_order_acq_rel,
         memory_order_acquire, -1},
        {"inbox_last", MODEL_EXCHANGE, memory_order_acq_rel,
         memory_order_release, -1},
        {"item", MODEL_STORE, memory_order_release, memory_order_relaxed, -1},
        {"item", MODEL_LOAD, memory_order_acquire, memory_order_relaxed, -1},
        {"lock", MODEL_EXCHANGE, memory_order_acquire, memory_order_relaxed,
         -1},
        {"lock", MODEL_EXCHANGE, memory_order_release, memory_order_relaxed,
         -1},
    };
    if (!LOCKFREE) {
        skip();
    }
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        model_expect_caught(scenarios, 3, faults[i]);
    }
}

static void every_order_of_the_simple_one_is_needed(void **state) {
    if (LOCKFREE) {
        skip();
    }
    model_expect_all_needed(scenarios, 3, NULL, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_doubled),
        cmocka_unit_test(every_order_of_the_lockfree_one_is_needed),
        cmocka_unit_test(every_order_of_the_simple_one_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
