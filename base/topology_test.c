/* SPDX-License-Identifier: MIT */
/* Nodes out of files that look like sysfs, well-formed and not. */
#define _GNU_SOURCE /* CPU sets */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/topology.h"

/* node<N>/cpulist of each name; NULL: the folder without the file. */
struct file {
    const char *node;
    const char *text;
};

static char root[256];

static void make(const char *path) {
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    assert_int_equal(mkdir(whole, 0700), 0);
}

static void fake(const struct file *files, int count) {
    const char *tmp = getenv("TEST_TMPDIR");
    do {
        static int made;
        snprintf(root, sizeof root, "%s/sys-%d-%d", tmp != NULL ? tmp : "/tmp",
                 (int)getpid(), made++);
    } while (mkdir(root, 0700) != 0 && errno == EEXIST);
    make("/devices");
    make("/devices/system");
    make("/devices/system/node");
    for (int i = 0; i < count; i++) {
        char path[600];
        snprintf(path, sizeof path, "/devices/system/node/%s", files[i].node);
        make(path);
        if (files[i].text != NULL) {
            snprintf(path, sizeof path, "%s/devices/system/node/%s/cpulist",
                     root, files[i].node);
            FILE *file = fopen(path, "w");
            assert_non_null(file);
            fputs(files[i].text, file);
            fclose(file);
        }
    }
}

static cpu_set_t set_of(int first, int last) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = first; i <= last; i++) {
        CPU_SET(i, &set);
    }
    return set;
}

static struct weft_topology read_with(const struct file *files, int count,
                                      cpu_set_t usable) {
    struct weft_topology t;
    fake(files, count);
    memset(&t, 0xa5, sizeof t);
    weft_topology_read(root, &usable, &t);
    return t;
}

#define READ(usable, ...)                                                 \
    read_with(                                                            \
        (const struct file[]){__VA_ARGS__},                               \
        sizeof((const struct file[]){__VA_ARGS__}) / sizeof(struct file), \
        usable)

static void assert_cpus(const struct weft_topology *t, unsigned node, int first,
                        int last) {
    cpu_set_t set = set_of(first, last);
    assert_true(CPU_EQUAL(&t->cpus[node], &set));
}

static void nodes_have_the_cpus_of_their_lists(void **state) {
    (void)state;
    struct weft_topology t =
        READ(set_of(0, 7), {"node0", "0-1,4,5\n"}, {"node1", "2-3,6-7\n"});
    cpu_set_t first = set_of(0, 1);
    CPU_SET(4, &first);
    CPU_SET(5, &first);
    assert_int_equal(t.count, 2);
    assert_true(CPU_EQUAL(&t.cpus[0], &first));
    assert_int_equal(CPU_COUNT(&t.cpus[1]), 4);
}

static void nodes_are_in_the_order_of_their_numbers(void **state) {
    (void)state;
    struct weft_topology t =
        READ(set_of(0, 5), {"node10", "4-5\n"}, {"node2", "2-3\n"},
             {"node0", "0-1\n"}, {"power", NULL}, {"nodes", NULL});
    assert_int_equal(t.count, 3);
    assert_cpus(&t, 0, 0, 1);
    assert_cpus(&t, 1, 2, 3);
    assert_cpus(&t, 2, 4, 5);
}

static void a_node_without_cpus_of_ours_is_left_out(void **state) {
    (void)state;
    struct weft_topology t =
        READ(set_of(2, 5), {"node0", "0-1\n"}, {"node1", "2-3\n"},
             {"node2", "\n"}, {"node3", "4-7\n"}, {"node4", ""});
    assert_int_equal(t.count, 2);
    assert_cpus(&t, 0, 2, 3);
    assert_cpus(&t, 1, 4, 5);
}

static void a_cpu_is_in_one_node(void **state) {
    (void)state;
    struct weft_topology t =
        READ(set_of(0, 5), {"node0", "0-2\n"}, {"node1", "1-4\n"});
    cpu_set_t first = set_of(0, 2);
    CPU_SET(5, &first); /* that nobody names */
    assert_int_equal(t.count, 2);
    assert_true(CPU_EQUAL(&t.cpus[0], &first));
    assert_cpus(&t, 1, 3, 4);
}

static void what_is_no_list_means_one_node(void **state) {
    static const char *const strange[] = {
        "x\n",    "0-\n",   "1-0\n",     "0,\n",    ",1\n",
        "0 1\n",  "-1\n",   "0x1\n",     "0-1-2\n", "9999999999\n",
        "0\n1\n", "0--1\n", "0-1:2/4\n", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        struct weft_topology t =
            READ(set_of(0, 1), {"node0", "0\n"}, {"node1", strange[i]});
        assert_int_equal(t.count, 1);
        assert_cpus(&t, 0, 0, 1);
    }
}

static void numbers_past_all_sets_are_passed_over(void **state) {
    (void)state;
    struct weft_topology t = READ(set_of(0, 1), {"node0", "0,5000-6000\n"},
                                  {"node1", "1-1048576\n"});
    assert_int_equal(t.count, 2);
    assert_cpus(&t, 0, 0, 0);
    assert_cpus(&t, 1, 1, 1);
}

static void nothing_to_read_means_one_node(void **state) {
    struct weft_topology t;
    cpu_set_t usable = set_of(0, 3);
    char longer[2000];
    (void)state;
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = 0;
    const char *const roots[] = {"/there/is/nothing", "", longer};
    for (int i = 0; i < 3; i++) {
        weft_topology_read(roots[i], &usable, &t);
        assert_int_equal(t.count, 1);
        assert_cpus(&t, 0, 0, 3);
    }
    fake(NULL, 0);
    weft_topology_read(root, &usable, &t);
    assert_int_equal(t.count, 1);
}

static void more_nodes_than_there_is_room_for_are_one(void **state) {
    struct file files[WEFT_TOPOLOGY_NODES + 4];
    char names[WEFT_TOPOLOGY_NODES + 4][16];
    char lists[WEFT_TOPOLOGY_NODES + 4][16];
    int n = WEFT_TOPOLOGY_NODES + 4;
    (void)state;
    for (int i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "node%d", i);
        snprintf(lists[i], sizeof lists[i], "%d\n", i);
        files[i] = (struct file){names[i], lists[i]};
    }
    struct weft_topology t = read_with(files, n, set_of(0, n - 1));
    assert_int_equal(t.count, WEFT_TOPOLOGY_NODES);
    assert_cpus(&t, WEFT_TOPOLOGY_NODES - 1, WEFT_TOPOLOGY_NODES - 1, n - 1);
}

/* What this machine says, whatever it is. */
static void the_machines_own_nodes_hold_all_cpus(void **state) {
    struct weft_topology t;
    cpu_set_t usable, sum;
    int count = 0;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof usable, &usable), 0);
    weft_topology_read("/sys", &usable, &t);
    CPU_ZERO(&sum);
    for (unsigned i = 0; i < t.count; i++) {
        assert_true(CPU_COUNT(&t.cpus[i]) > 0);
        CPU_OR(&sum, &sum, &t.cpus[i]);
        count += CPU_COUNT(&t.cpus[i]);
    }
    assert_true(CPU_EQUAL(&sum, &usable));
    assert_int_equal(count, CPU_COUNT(&usable));
}

static void assert_dealt(const struct weft_topology *t, const char *nodes) {
    unsigned n = (unsigned)strlen(nodes);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(weft_topology_deal(t, i, n), nodes[i] - '0');
    }
}

static void processors_are_dealt_in_proportion_to_cpus(void **state) {
    struct weft_topology even = {2, {set_of(0, 1), set_of(2, 3)}};
    struct weft_topology odd = {3, {set_of(0, 0), set_of(1, 4), set_of(5, 5)}};
    struct weft_topology one = {1, {set_of(0, 3)}};
    (void)state;
    assert_dealt(&even, "0");
    assert_dealt(&even, "01");
    assert_dealt(&even, "001");
    assert_dealt(&even, "0011");
    assert_dealt(&even, "00001111");
    assert_dealt(&odd, "011112");
    assert_dealt(&odd, "001111111122");
    assert_dealt(&one, "000000");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_have_the_cpus_of_their_lists),
        cmocka_unit_test(nodes_are_in_the_order_of_their_numbers),
        cmocka_unit_test(a_node_without_cpus_of_ours_is_left_out),
        cmocka_unit_test(a_cpu_is_in_one_node),
        cmocka_unit_test(what_is_no_list_means_one_node),
        cmocka_unit_test(numbers_past_all_sets_are_passed_over),
        cmocka_unit_test(nothing_to_read_means_one_node),
        cmocka_unit_test(more_nodes_than_there_is_room_for_are_one),
        cmocka_unit_test(the_machines_own_nodes_hold_all_cpus),
        cmocka_unit_test(processors_are_dealt_in_proportion_to_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
