/* SPDX-License-Identifier: MIT */
/* The global queue and the lock below it (queue/global_queue.c, base/lock.c) in
 * the checker, with three threads that push and pop.
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
#include "weft/queue/global_queue.h"

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
    model_name(&queue.length, sizeof(queue.length), "length");
    model_name(&queue.lock, sizeof(queue.lock), "lock");
    model_name(&queue.list, sizeof(queue.list), "list");
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
        .preemptions = MODEL_ALL,
        .stale = 1,
        .spurious = 1,
    },
    {
        .name = "two poppers",
        .set_up = set_up,
        .threads = {pusher, popper, batch_popper},
        .check = check,
        .preemptions = 3,
        .stale = 1,
        .spurious = 1,
    },
    {
        .name = "two pushers",
        .set_up = set_up,
        .threads = {pusher, popper, batch_pusher},
        .check = check,
        .preemptions = 3,
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

static void every_order_is_needed(void **state) {
    model_expect_all_needed(scenarios, 3, NULL, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_doubled),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
