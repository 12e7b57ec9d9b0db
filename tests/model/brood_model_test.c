/* SPDX-License-Identifier: MIT */
/* The brood (sched/brood.h) in the checker: an owner that pushes and takes at
 * either end, and thieves, on a brood of two slots.
 *
 * Checked: every item comes out exactly once, the last one too, at which owner
 * and thieves meet; whoever takes it sees what was written into it before it
 * was pushed; a slot is not written while who took it may still read it; a
 * thief gets the oldest of those that it found. */
#define WEFT_BROOD_SLOTS 2
#include "weft/sched/brood.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "weft/base/check.h"

enum { ITEMS = 8 };

/* Plain: a race on it is an order missing. */
static struct item {
    struct weft_node node;
    uint32_t number, taken;
} items[ITEMS];
static uint32_t pushed; /* items[0 .. pushed) were; the owner's */
static struct weft_brood brood;

static bool run(struct weft_node *node) {
    if (node == NULL) {
        return false;
    }
    struct item *item = weft_container_of(node, struct item, node);
    WEFT_CHECK_OP(item->number, ==, (uint32_t)(item - items));
    item->taken++;
    WEFT_CHECK_OP(item->taken, ==, 1u);
    return true;
}

/* A full brood's item goes elsewhere: here it is run. */
static void push(void) {
    items[pushed].number = pushed;
    struct weft_node *node = &items[pushed++].node;
    if (!weft_brood_push(&brood, node)) {
        run(node);
    }
}

static bool pop_newest(void) {
    return run(weft_brood_pop_newest(&brood));
}

static bool pop_oldest(void) {
    return run(weft_brood_pop_oldest(&brood));
}

/* --- what the threads do; thread 0 owns the brood ---------------------------
 */

static void newest_newest(void) {
    pop_newest();
    pop_newest();
}

static void push_newest_newest(void) {
    push();
    pop_newest();
    pop_newest();
}

static void newest_push_oldest(void) {
    pop_newest();
    push();
    pop_oldest();
}

static void push_push_newest(void) {
    push();
    push();
    pop_newest();
}

static void oldest_push_newest(void) {
    pop_oldest();
    push();
    pop_newest();
}

static void thief(void) {
    run(weft_brood_steal(&brood));
}

static void thief_of_two(void) {
    struct weft_node *one = weft_brood_steal(&brood);
    struct weft_node *two = weft_brood_steal(&brood);
    if (one != NULL && two != NULL) {
        WEFT_CHECK_OP(weft_container_of(one, struct item, node)->number, <,
                      weft_container_of(two, struct item, node)->number);
    }
    run(one);
    run(two);
}

/* --- before and after -------------------------------------------------------
 */

/* The scenario's arg: how many items are there at first. */
static void set_up(void) {
    memset(items, 0, sizeof(items));
    memset(&brood, 0, sizeof(brood));
    model_name(&brood.top, sizeof(brood.top), "top");
    model_name(&brood.bottom, sizeof(brood.bottom), "bottom");
    model_name(brood.slots, sizeof(brood.slots), "slot");
    model_watch(brood.slots, sizeof(brood.slots));
    model_label(&brood, sizeof(brood), "the brood");
    model_label(items, sizeof(items), "item");
    pushed = 0;
    for (int i = 0; i < model_arg(); i++) {
        push();
    }
}

static void check(void) {
    while (pop_oldest()) {
    }
    WEFT_CHECK_OP(weft_brood_length(&brood), ==, 0u);
    for (uint32_t i = 0; i < ITEMS; i++) {
        WEFT_CHECK_OP(items[i].taken, ==, i < pushed ? 1u : 0u);
    }
}

#define SCENARIO(owner, first, second, given)                                \
    {                                                                        \
        .name = #owner "/" #first "/" #second "/" #given, .set_up = set_up,  \
        .threads = {owner, first, second}, .check = check, .preemptions = 2, \
        .stale = 1, .arg = given                                             \
    }
#define SCENARIOS_OF(owner, first, second) \
    SCENARIO(owner, first, second, 1), SCENARIO(owner, first, second, 2)

static const struct model_scenario scenarios[] = {
    SCENARIOS_OF(newest_newest, thief, thief),
    SCENARIOS_OF(newest_newest, thief_of_two, NULL),
    SCENARIOS_OF(push_newest_newest, thief_of_two, NULL),
    SCENARIOS_OF(newest_push_oldest, thief_of_two, NULL),
    SCENARIOS_OF(push_push_newest, thief, thief),
    SCENARIOS_OF(oldest_push_newest, thief, thief),
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

static void nothing_is_lost_or_doubled(void **state) {
    for (int i = 0; i < SCENARIOS; i++) {
        model_expect_right(&scenarios[i]);
    }
}

static void every_order_is_needed(void **state) {
    /* The owner's claim in weft_brood_claim(), a thief's too: the owner knows
     * its own bottom. And a thief's load of top: what came before it in the
     * order of all need not be seen, since the claim fails then; but it must
     * come before the load of bottom, as acquire says. */
    static const struct model_fault spared[] = {
        {"top", MODEL_EXCHANGE, memory_order_seq_cst, memory_order_acq_rel, 0},
        {"top", MODEL_LOAD, memory_order_seq_cst, memory_order_acq_rel, 1},
        {"top", MODEL_LOAD, memory_order_seq_cst, memory_order_acq_rel, 2},
    };
    model_expect_all_needed(scenarios, SCENARIOS, spared, 3);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_doubled),
        cmocka_unit_test(every_order_is_needed),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
