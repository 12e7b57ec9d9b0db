/* SPDX-License-Identifier: MIT */
/* Which CPUs lie at which memory node, as the kernel tells in sysfs.
 *
 * Always true of what was read: there is at least one node; each CPU that was
 * asked about lies in exactly one; no node is without such a CPU. */
#ifndef WEFT_BASE_TOPOLOGY_H_
#define WEFT_BASE_TOPOLOGY_H_

#include <sched.h>

enum { WEFT_TOPOLOGY_NODES = 16 };

struct weft_topology {
    unsigned count;                      /* 1 to WEFT_TOPOLOGY_NODES */
    cpu_set_t cpus[WEFT_TOPOLOGY_NODES]; /* of each node, in the order of the
                                          * kernel's numbers */
};

/* Reads `root`/devices/system/node/node<N>/cpulist (`root` is "/sys", but for
 * tests) and keeps of it the CPUs in `usable`. Nodes with none of them (memory
 * alone, or other processes' CPUs) are left out; beyond WEFT_TOPOLOGY_NODES
 * they are one with the last. Where nothing can be read, or a list is none, all
 * CPUs are one node: *out is always good. Context: any thread, not in a task
 * that may be interrupted (libc's directories). */
void weft_topology_read(const char *root, const cpu_set_t *usable,
                        struct weft_topology *out);

/* The node of the `i`th of `n` processors (0 <= i < n): as many for each node,
 * as nearly as may be, as its CPUs are of all; never less than for `i` - 1.
 * Context: anywhere. */
unsigned weft_topology_deal(const struct weft_topology *topology, unsigned i,
                            unsigned n);

#endif
