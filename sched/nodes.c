/* SPDX-License-Identifier: MIT */
/* Memory nodes. A CPU reads the memory of its own node sooner than another's.
 * So what belongs together is kept on one node: a processor, the threads that
 * run it, and the memory of its tasks.
 *
 *   processors  each is of one node, for ever; a node has as many of them as
 *               its CPUs are of all that the process may use; they lie side by
 *               side in rt->processors
 *   threads     who takes a processor of another node than its thread ran on
 *               last sets its affinity to that node's CPUs: one system call for
 *               each such change (weft_processor_take()). It is the thread that
 *               follows the processor, that of an interrupted task too: with as
 *               many processors as CPUs, a thread that stayed behind would
 *               share a CPU while another had none to run. So that few change,
 *               who is woken for a processor is one of its node, if any waits
 *               (ready.c)
 *   thieves     look at their own node's processors first, and wake those of
 *               their own node (worker.c, ready.c)
 *   memory      the kernel places a page on the node that touches it first.
 *               Records and stacks lie in slabs of a node; a processor fills
 *               its caches from its own node's, and what it has too many of
 *               goes back to where it came from (birth.c, arch/stack.c)
 *
 * With one node, or where the kernel tells nothing, each of these is what it
 * would be without: one comparison where a processor is taken.
 *
 * Always true: a thread that runs a processor has the affinity of its node, but
 * for one whose task is pinned (pin.c): those are the task's to set; and but
 * for a node whose CPUs the process has since lost, where it has all.
 *
 * Rejected: mbind or set_mempolicy for the slabs (first touch does the same,
 * and a slab whose node is full is served from another); a thread of an
 * interrupted task that keeps its node: see above; queues of interrupted tasks
 * for each node (they are one list in the order of their turns: hogs.c). */
#define _GNU_SOURCE /* CPU sets */
#include "weft/sched/nodes.h"

#include <sys/syscall.h>

#include "weft/base/syscall.h"

enum { NONE = 0xffff };

_Static_assert((int)WEFT_TOPOLOGY_NODES <= (int)WEFT_STACK_NODES,
               "the pool of stacks knows as many nodes");

void weft_nodes_start(struct weft_runtime *rt) {
    const char *root = rt->config.topology;
    if (weft_policy_on(&rt->config, WEFT_POLICY_NODES)) {
        weft_topology_read(root != NULL ? root : "/sys", &rt->cpus,
                           &rt->topology);
    } else {
        rt->topology.count = 1;
        rt->topology.cpus[0] = rt->cpus;
    }
}

void weft_nodes_deal(struct weft_runtime *rt) {
    unsigned n = rt->processor_count;
    for (unsigned first = 0, end; first < n; first = end) {
        unsigned node = weft_topology_deal(&rt->topology, first, n);
        end = first;
        while (end < n && weft_topology_deal(&rt->topology, end, n) == node) {
            end++;
        }
        for (unsigned i = first; i < end; i++) {
            rt->processors[i].node = (uint16_t)node;
            rt->processors[i].near_first = (uint16_t)first;
            rt->processors[i].near_count = (uint16_t)(end - first);
        }
    }
}

unsigned weft_nodes_none(const struct weft_runtime *rt) {
    return rt->topology.count > 1 ? NONE : 0;
}

static bool move_to(const cpu_set_t *cpus) {
    return weft_syscall(SYS_sched_setaffinity, 0, sizeof *cpus, (long)cpus, 0,
                        0, 0) >= 0;
}

WEFT_TEXT void weft_nodes_settle(struct weft_worker *w,
                                 const struct weft_processor *p) {
    struct weft_runtime *rt = w->runtime;
    if (w->pinned) {
        return; /* until the task has unpinned it (pin.c) */
    }
    w->held = false;
    w->node = p->node;
    if (!move_to(&rt->topology.cpus[p->node])) {
        (void)move_to(&rt->cpus); /* the process has lost that node's CPUs */
    }
}
