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
    static const char *const folders[] = {"", "/system", "/system/node"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/devices%s", root, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
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

static void have_a_child(void) {
    struct weft_task *child;
    WEFT_CHECK_OP(weft_spawn(&child, blocks, NULL, NULL), ==, 0);
    WEFT_CHECK_OP(weft_join(child, NULL), ==, 0);
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
                have_a_child();
                break;
            default:
                WEFT_CHECK_OP(weft_blocking(blocks, arg), ==, arg);
                break;
        }
    }
    return NULL;
}

static void see_home(void *node, void *record) {
    WEFT_CHECK_OP(((struct weft_task *)record)->home, ==, *(unsigned *)node);
}

/* What is in a node's slabs says so. While nobody makes tasks. */
static void see_records(void) {
    weft_runtime_enter();
    for (unsigned i = 0; i < WEFT_TOPOLOGY_NODES; i++) {
        weft_records_each(&self()->runtime->records[i], see_home, &i);
    }
    weft_runtime_leave();
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
    see_records();
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

static void *work(void *arg) {
    uint64_t until = weft_clock_now() + 100 * WEFT_US;
    (void)see_where();
    while (weft_clock_now() < until) {
    }
    return arg;
}

/* All begin on one processor's queue, so the other steals what it runs. */
static void steal_afar(void *arg) {
    struct weft_task *tasks[TASKS];
    struct weft_metrics m;
    (void)arg;
    do {
        for (int i = 0; i < TASKS; i++) {
            WEFT_CHECK_OP(weft_spawn(&tasks[i], work, NULL, NULL), ==, 0);
        }
        for (int i = 0; i < TASKS; i++) {
            WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
        }
        weft_metrics_read(&m);
    } while (m.far_steals == 0);
    WEFT_CHECK_OP(m.far_steals, ==, m.steals);
    WEFT_CHECK_OP(m.nodes, ==, 2U);
}

static void with_a_processor_a_node_all_steals_are_far(void **state) {
    (void)state;
    fake_two();
    run(&(struct weft_config){.workers = 2}, steal_afar);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_run_on_the_cpus_of_their_processors_node),
        cmocka_unit_test(no_thread_is_held_without_the_policy),
        cmocka_unit_test(what_cannot_be_read_is_one_node),
        cmocka_unit_test(with_a_processor_a_node_all_steals_are_far),
        cmocka_unit_test(the_cpus_of_a_pinned_task_are_its_own_to_choose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
