/* SPDX-License-Identifier: MIT */
/* Memory nodes that files make believe: two of one CPU each, where there are
 * two CPUs. What the kernel does with memory there is not seen here. */
#define _GNU_SOURCE /* CPU sets */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sched/core.h"
#include "weft/sched/nodes.h"

enum { TASKS = 12, ROUNDS = 40 };

static char root[256];
static cpu_set_t both; /* the first two CPUs that the process may use */
static int cpu[2];

/* Files for nodes with these lists. */
static void fake(const char *const *lists, int count) {
    const char *tmp = getenv("TEST_TMPDIR");
    char path[512];
    do {
        static int made;
        snprintf(root, sizeof root, "%s/sys-%d-%d", tmp != NULL ? tmp : "/tmp",
                 (int)getpid(), made++);
    } while (mkdir(root, 0700) != 0 && errno == EEXIST);
    snprintf(path, sizeof path, "%s/devices", root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/devices/system", root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/devices/system/node", root);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/devices/system/node/node%d", root, i);
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(path, sizeof path, "%s/devices/system/node/node%d/cpulist",
                 root, i);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(lists[i], file);
        fclose(file);
    }
}

/* A node for each of two CPUs, to which the process keeps. */
static void fake_two(void) {
    char lists[2][16];
    cpu_set_t mine;
    int n = 0;
    assert_int_equal(sched_getaffinity(0, sizeof mine, &mine), 0);
    CPU_ZERO(&both);
    for (int i = 0; i < CPU_SETSIZE && n < 2; i++) {
        if (CPU_ISSET(i, &mine)) {
            CPU_SET(i, &both);
            snprintf(lists[n], sizeof lists[n], "%d\n", i);
            cpu[n++] = i;
        }
    }
    if (n < 2) {
        skip();
    }
    assert_int_equal(sched_setaffinity(0, sizeof both, &both), 0);
    fake((const char *const[]){lists[0], lists[1]}, 2);
}

static void run(const struct weft_config *config, void (*fn)(void *)) {
    struct weft_config c = *config;
    c.topology = c.topology != NULL ? c.topology : root;
    c.quantum_ns = 200 * WEFT_US;
    c.min_slice_ns = 100 * WEFT_US;
    assert_int_equal(weft_run(&c, fn, NULL), 0);
}

static struct weft_worker *self(void) {
    return (struct weft_worker *)weft_thread_self();
}

/* The thread that runs the caller may run on the CPUs of its processor's node,
 * and on no other. Returns the node. */
static unsigned see_where(void) {
    cpu_set_t cpus;
    weft_runtime_enter();
    const struct weft_processor *p = weft_worker_processor(self());
    WEFT_CHECK_OP(sched_getaffinity(0, sizeof cpus, &cpus), ==, 0);
    WEFT_CHECK(CPU_EQUAL(&cpus, &p->runtime->topology.cpus[p->node]));
    WEFT_CHECK_OP(self()->node, ==, p->node);
    unsigned node = p->node;
    weft_runtime_leave();
    return node;
}

static _Atomic unsigned seen; /* nodes, as bits */

static void *blocks(void *arg) {
    usleep(200);
    return arg;
}

/* Computes, waits, yields, blocks: all ways to lose a processor. */
static void *wander(void *arg) {
    uintptr_t i = (uintptr_t)arg;
    for (int round = 0; round < ROUNDS; round++) {
        atomic_fetch_or_explicit(&seen, 1U << see_where(),
                                 memory_order_relaxed);
        switch ((i + (unsigned)round) % 4) {
            case 0: {
                uint64_t until = weft_clock_now() + 500 * WEFT_US;
                while (weft_clock_now() < until) {
                    weft_check();
                }
                break;
            }
            case 1:
                WEFT_CHECK_OP(weft_sleep(50 * WEFT_US), ==, 0);
                break;
            case 2:
                weft_yield();
                break;
            default:
                WEFT_CHECK_OP(weft_blocking(blocks, arg), ==, arg);
                break;
        }
    }
    return NULL;
}

static void let_wander(void *arg) {
    struct weft_task *tasks[TASKS];
    struct weft_metrics m;
    (void)arg;
    for (uintptr_t i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[i], wander, (void *)i, NULL), ==, 0);
    }
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
    }
    weft_metrics_read(&m);
    WEFT_CHECK_OP(m.far_steals, <=, m.steals);
    WEFT_CHECK(m.nodes > 1 || m.far_steals == 0);
}

static void threads_run_on_the_cpus_of_their_processors_node(void **state) {
    (void)state;
    fake_two();
    for (unsigned workers = 1; workers <= 4; workers++) {
        atomic_store_explicit(&seen, 0, memory_order_relaxed);
        run(&(struct weft_config){.workers = workers}, let_wander);
        assert_int_equal(seen, workers == 1 ? 1 : 3);
    }
}

static void no_thread_is_held_without_the_policy(void **state) {
    (void)state;
    fake_two();
    atomic_store_explicit(&seen, 0, memory_order_relaxed);
    run(&(struct weft_config){.workers = 2, .policies_off = WEFT_POLICY_NODES},
        let_wander);
    assert_int_equal(seen, 1);
}

static void what_cannot_be_read_is_one_node(void **state) {
    (void)state;
    fake_two();
    run(&(struct weft_config){.workers = 2, .topology = "/there/is/nothing"},
        let_wander);
    fake((const char *const[]){"0\n", "1,x\n"}, 2);
    run(&(struct weft_config){.workers = 2}, let_wander);
    fake((const char *const[]){"\n", "\n"}, 2);
    run(&(struct weft_config){.workers = 2}, let_wander);
}

/* As many of them wait as there are processors, so that each runs some. */
static _Atomic unsigned here, goes_on;

static void *meet(void *arg) {
    (void)arg;
    atomic_fetch_or_explicit(&here, 1U << see_where(), memory_order_relaxed);
    while (!atomic_load_explicit(&goes_on, memory_order_relaxed)) {
        weft_check();
    }
    return NULL;
}

/* All begin on one processor's queue, so others have stolen what they run. */
static void steal_afar(void *arg) {
    struct weft_task *tasks[8];
    struct weft_metrics m;
    (void)arg;
    for (int i = 0; i < 8; i++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[i], meet, NULL, NULL), ==, 0);
    }
    do {
        WEFT_CHECK_OP(weft_sleep(WEFT_MS), ==, 0);
        weft_metrics_read(&m);
    } while (m.far_steals == 0 ||
             atomic_load_explicit(&here, memory_order_relaxed) != 3);
    atomic_store_explicit(&goes_on, 1, memory_order_relaxed);
    for (int i = 0; i < 8; i++) {
        WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
    }
    WEFT_CHECK_OP(m.nodes, ==, 2U);
}

static void work_is_stolen_across_nodes_when_there_is_none_near(void **state) {
    (void)state;
    fake_two();
    atomic_store_explicit(&here, 0, memory_order_relaxed);
    atomic_store_explicit(&goes_on, 0, memory_order_relaxed);
    run(&(struct weft_config){.workers = 4}, steal_afar);
}

static void assert_affinity(int wanted) {
    cpu_set_t cpus;
    WEFT_CHECK_OP(sched_getaffinity(0, sizeof cpus, &cpus), ==, 0);
    WEFT_CHECK_OP(CPU_COUNT(&cpus), ==, 1);
    WEFT_CHECK(CPU_ISSET(wanted, &cpus));
}

static void pin_and_choose(void *arg) {
    struct weft_task *tasks[TASKS];
    cpu_set_t chosen;
    (void)arg;
    WEFT_CHECK_OP(weft_pin_thread(), ==, 0);
    for (uintptr_t i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_spawn(&tasks[i], wander, (void *)i, NULL), ==, 0);
    }
    for (int round = 0; round < 20; round++) {
        int wanted = cpu[round / 10];
        CPU_ZERO(&chosen);
        CPU_SET(wanted, &chosen);
        WEFT_CHECK_OP(sched_setaffinity(0, sizeof chosen, &chosen), ==, 0);
        WEFT_CHECK_OP(weft_sleep(100 * WEFT_US), ==, 0);
        assert_affinity(wanted);
        weft_yield();
        assert_affinity(wanted);
        (void)weft_blocking(blocks, NULL);
        assert_affinity(wanted);
    }
    weft_unpin_thread();
    (void)see_where();
    for (int i = 0; i < TASKS; i++) {
        WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
    }
}

static void the_cpus_of_a_pinned_task_are_its_own_to_choose(void **state) {
    (void)state;
    fake_two();
    run(&(struct weft_config){.workers = 2}, pin_and_choose);
}

/* --- without a runtime ---------------------------------------------------
 */

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
    assert_ptr_equal(weft_spare_pop(&rt, 1), &workers[1]);
    assert_ptr_equal(weft_spare_pop(&rt, 1), &workers[2]);
    assert_ptr_equal(weft_spare_pop(&rt, 0), &workers[0]);
    assert_null(weft_spare_pop(&rt, 0));
    assert_int_equal(rt.idle.spares, 0);
    assert_int_equal(rt.idle.processors, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_run_on_the_cpus_of_their_processors_node),
        cmocka_unit_test(no_thread_is_held_without_the_policy),
        cmocka_unit_test(what_cannot_be_read_is_one_node),
        cmocka_unit_test(work_is_stolen_across_nodes_when_there_is_none_near),
        cmocka_unit_test(the_cpus_of_a_pinned_task_are_its_own_to_choose),
        cmocka_unit_test(thieves_look_at_their_own_node_first),
        cmocka_unit_test(every_near_and_every_far_one_may_be_the_first),
        cmocka_unit_test(who_is_woken_is_of_the_node_if_any_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
