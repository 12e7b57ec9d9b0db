/* SPDX-License-Identifier: MIT */
/* Memory nodes without a runtime around them: whom thieves look at, who is
 * woken, whose memory a task has. */
#define _GNU_SOURCE /* CPU sets */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weft/arch/stack.h"
#include "weft/sched/core.h"
#include "weft/sched/nodes.h"
#include "weft/sched/records.h"

static struct weft_runtime rt;

static void make_up(unsigned processors, const int *cpus, unsigned nodes) {
    static struct weft_processor made[WEFT_MAX_PROCESSORS];
    int next = 0;
    memset(&rt, 0, sizeof rt);
    memset(made, 0, sizeof made);
    rt.processors = made;
    rt.processor_count = processors;
    rt.topology.count = nodes;
    for (unsigned i = 0; i < nodes; i++) {
        for (int k = 0; k < cpus[i]; k++) {
            CPU_SET(next++, &rt.topology.cpus[i]);
        }
    }
    for (unsigned i = 0; i < processors; i++) {
        made[i].runtime = &rt;
    }
    weft_nodes_deal(&rt);
}

static void assert_near_first(const struct weft_processor *p, unsigned start) {
    bool looked_at[WEFT_MAX_PROCESSORS] = {false};
    for (unsigned i = 0; i < rt.processor_count; i++) {
        unsigned at = weft_nodes_victim(p, i, start);
        assert_true(at < rt.processor_count);
        assert_false(looked_at[at]);
        looked_at[at] = true;
        assert_int_equal(rt.processors[at].node == p->node, i < p->near_count);
    }
}

static void thieves_look_at_their_own_node_first(void **state) {
    static const int cpus[][3] = {{4, 0, 0}, {2, 2, 0}, {1, 3, 2}, {1, 1, 1}};
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        unsigned nodes = cpus[kind][2] ? 3 : cpus[kind][1] ? 2 : 1;
        for (unsigned n = 1; n <= 24; n++) {
            make_up(n, cpus[kind], nodes);
            for (unsigned i = 0; i < n; i++) {
                for (unsigned start = 0; start < n; start++) {
                    assert_near_first(&rt.processors[i], start);
                }
            }
        }
    }
}

static void every_near_and_every_far_one_may_be_the_first(void **state) {
    static const int cpus[] = {2, 4};
    bool near[6] = {false}, far[6] = {false};
    (void)state;
    make_up(6, cpus, 2);
    for (unsigned start = 0; start < 6; start++) {
        near[weft_nodes_victim(&rt.processors[3], 0, start)] = true;
        far[weft_nodes_victim(&rt.processors[3], 4, start)] = true;
    }
    assert_true(near[2] && near[3] && near[4] && near[5]);
    assert_true(far[0] && far[1]);
}

static void who_is_woken_is_of_the_node_if_any_is(void **state) {
    static const int cpus[] = {2, 2};
    static struct weft_worker workers[3];
    (void)state;
    make_up(4, cpus, 2);
    assert_int_equal(weft_nodes_none(&rt), 0xffff);
    for (int i = 0; i < 4; i++) {
        weft_idle_push(&rt.processors[i]);
    }
    assert_ptr_equal(weft_idle_pop(&rt, 0), &rt.processors[1]);
    assert_ptr_equal(weft_idle_pop(&rt, 0), &rt.processors[0]);
    assert_ptr_equal(weft_idle_pop(&rt, 0), &rt.processors[3]);
    assert_ptr_equal(weft_idle_pop(&rt, 0xffff), &rt.processors[2]);
    assert_null(weft_idle_pop(&rt, 0));
    memset(workers, 0, sizeof workers);
    for (int i = 0; i < 3; i++) {
        workers[i].runtime = &rt;
        workers[i].node = (uint16_t)(i % 2);
        weft_spare_push(&workers[i]);
    }
    assert_ptr_equal(weft_spare_pop(&rt, 1, NULL), &workers[1]);
    assert_ptr_equal(weft_spare_pop(&rt, 1, NULL), &workers[2]);
    assert_ptr_equal(weft_spare_pop(&rt, 0, NULL), &workers[0]);
    assert_null(weft_spare_pop(&rt, 0, NULL));
    assert_int_equal(rt.idle.spares, 0);
    assert_int_equal(rt.idle.processors, 0);
}

static void make_memory(void) {
    for (int i = 0; i < WEFT_TOPOLOGY_NODES; i++) {
        weft_records_init(&rt.records[i], WEFT_RECORD_PARTS, WEFT_RECORD_PART);
    }
    for (unsigned i = 0; i < rt.processor_count; i++) {
        weft_batch_init(&rt.processors[i].free_tasks);
    }
    struct weft_stack_pool_config config = {.nodes = rt.topology.count};
    assert_int_equal(weft_stack_pool_new(&rt.stacks, &config), 0);
    rt.config.stack_size = weft_stack_default_size();
}

static void free_memory(void) {
    for (int i = 0; i < WEFT_TOPOLOGY_NODES; i++) {
        weft_records_fini(&rt.records[i]);
    }
    weft_stack_pool_free(rt.stacks);
}

enum { MANY = 1000 };

static struct weft_task *many[MANY];

static void take_many(unsigned processor, size_t size) {
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(
            weft_record_take(&rt, &rt.processors[processor], size, &many[i]),
            0);
    }
}

static void give_many(unsigned processor) {
    for (int i = 0; i < MANY; i++) {
        weft_record_give(&rt, &rt.processors[processor], many[i]);
    }
}

/* How many of them are of that node. */
static int of_node(unsigned node) {
    int count = 0;
    for (int i = 0; i < MANY; i++) {
        count += many[i]->home == node;
    }
    return count;
}

static void records_return_to_their_node(void **state) {
    static const int cpus[] = {1, 1};
    struct weft_task *t;
    (void)state;
    make_up(2, cpus, 2);
    make_memory();
    take_many(0, 0);
    assert_int_equal(of_node(0), MANY);
    give_many(1);
    assert_true(rt.records[0].free.count >= MANY - WEFT_TASK_CACHE);
    assert_int_equal(rt.records[1].free.count, 0);
    take_many(1, 0); /* what it keeps itself, then its node's */
    assert_true(of_node(0) <= WEFT_TASK_CACHE);
    assert_int_equal(of_node(0) + of_node(1), MANY);
    give_many(0);
    assert_true(rt.records[1].free.count > 0);
    take_many(0, 0);
    assert_true(of_node(1) <= WEFT_TASK_CACHE);
    give_many(0);
    assert_int_equal(weft_record_take(&rt, NULL, 0, &t), 0);
    assert_int_equal(t->home, 0);
    weft_record_give(&rt, NULL, t);
    free_memory();
}

/* Two processors of a node each, and their memory; returns which node the
 * second one's stacks are of: they have only one where guards are few. */
static uint32_t make_two_nodes(void) {
    static const int cpus[] = {1, 1};
    struct weft_stack_pool_stats stats;
    make_up(2, cpus, 2);
    make_memory();
    weft_stack_pool_stats(rt.stacks, &stats);
    return stats.guard == WEFT_STACK_GUARD_MADVISE;
}

/* Where task `i`, which is about to run first, will run. */
static struct weft_stack stack_of(int i) {
    struct weft_stack stack;
    bool in_guard;
    assert_true(weft_stack_pool_find(rt.stacks, many[i]->context.sp, &stack,
                                     &in_guard));
    assert_ptr_equal(weft_flow_of(&stack)->task, many[i]);
    return stack;
}

static void stacks_are_of_the_node_that_first_runs_on_them(void **state) {
    static struct weft_worker w;
    (void)state;
    uint32_t second = make_two_nodes();
    take_many(0, 0);
    w.runtime = &rt;
    for (unsigned node = 0; node < 2; node++) {
        struct weft_processor *p = &rt.processors[node];
        for (int i = 0; i < MANY; i++) {
            assert_true(weft_task_equip(p, many[i]));
            struct weft_stack stack = stack_of(i);
            assert_int_equal(weft_stack_node(&stack), node == 0 ? 0 : second);
        }
        /* They end on the other's processor. */
        atomic_store_explicit(&w.processor, &rt.processors[1 - node],
                              memory_order_relaxed);
        for (int i = 0; i < MANY; i++) {
            struct weft_stack stack = stack_of(i);
            weft_stack_put(&w, &stack, true);
        }
        /* What it keeps would be run on there. */
        weft_stack_give_batch(rt.stacks, rt.processors[1 - node].stacks,
                              rt.processors[1 - node].stack_count);
        rt.processors[1 - node].stack_count = 0;
    }
    assert_true(weft_stack_pool_valid(rt.stacks));
    free_memory();
}

static void a_task_with_a_size_of_its_own_is_of_its_makers_node(void **state) {
    (void)state;
    uint32_t second = make_two_nodes();
    take_many(1, 4 * weft_stack_default_size());
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(weft_stack_node(&many[i]->stack), second);
        weft_stack_give(rt.stacks, &many[i]->stack);
    }
    assert_int_equal(of_node(1), MANY);
    give_many(0);
    assert_int_equal(rt.records[1].free.count, MANY);
    free_memory();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thieves_look_at_their_own_node_first),
        cmocka_unit_test(every_near_and_every_far_one_may_be_the_first),
        cmocka_unit_test(who_is_woken_is_of_the_node_if_any_is),
        cmocka_unit_test(records_return_to_their_node),
        cmocka_unit_test(stacks_are_of_the_node_that_first_runs_on_them),
        cmocka_unit_test(a_task_with_a_size_of_its_own_is_of_its_makers_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
