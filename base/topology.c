/* SPDX-License-Identifier: MIT */
/* Nodes out of sysfs.
 *
 *     node0/cpulist: "0-3,8-11\n"     node2/cpulist: "\n", memory alone
 *
 * A file that is not of this form means that the rest is not to be trusted
 * either: then all is one node, which is right on every machine and as fast as
 * it was before anybody asked.
 *
 * Rejected: libnuma, which is not everywhere and does no more than this; the
 * system call getcpu on each CPU in turn, which moves the thread about;
 * distances between nodes: near and far is all that thieves ask. */
#define _GNU_SOURCE /* CPU sets */
#include "weft/base/topology.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "weft/base/print.h"

enum {
    NUMBERS = 1024,   /* of nodes, in Linux */
    PAGE = 4096 + 1,  /* what a file of sysfs has at most, and a NUL */
    LARGEST = 1 << 20 /* a CPU's number; those past CPU_SETSIZE are not used */
};

/* A number at *text, which moves behind it; -1: none, or too large. */
static int number(const char **text) {
    int value = 0;
    const char *at = *text;
    while (*at >= '0' && *at <= '9' && value <= LARGEST) {
        value = value * 10 + (*at++ - '0');
    }
    bool good = at != *text && value <= LARGEST;
    *text = at;
    return good ? value : -1;
}

/* "0-3,8\n" as a set; false when it is something else. */
static bool parse(const char *text, cpu_set_t *out) {
    CPU_ZERO(out);
    while (*text != '\n' && *text != 0) {
        int first = number(&text);
        int last = first;
        if (first >= 0 && *text == '-') {
            text++;
            last = number(&text);
        }
        if (first < 0 || last < first) {
            return false;
        }
        for (int cpu = first; cpu <= last && cpu < CPU_SETSIZE; cpu++) {
            CPU_SET(cpu, out);
        }
        if (*text == ',' && text[1] >= '0' && text[1] <= '9') {
            text++;
        } else if (*text != '\n' && *text != 0) {
            return false;
        }
    }
    return *text == 0 || text[1] == 0;
}

/* The CPUs of one node; false when its list can't be read. */
static bool read_node(const char *folder, unsigned node, cpu_set_t *out) {
    char path[512];
    char text[PAGE];
    size_t length =
        weft_format(path, sizeof path, "%s/node%u/cpulist", folder, node);
    int fd = length < sizeof path - 1 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, text, sizeof text);
    close(fd);
    if (got < 0 || (size_t)got == sizeof text) {
        return false;
    }
    text[got] = 0;
    return memchr(text, 0, (size_t)got) == NULL && parse(text, out);
}

/* Which nodes there are; false when the folder can't be read. */
static bool list_nodes(const char *folder, bool there[NUMBERS]) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    if (dir == NULL) {
        return false;
    }
    memset(there, 0, NUMBERS * sizeof *there);
    while ((entry = readdir(dir)) != NULL) {
        const char *at = entry->d_name + 4;
        if (strncmp(entry->d_name, "node", 4) == 0) {
            int node = number(&at);
            if (*at == 0 && node >= 0 && node < NUMBERS) {
                there[node] = true;
            }
        }
    }
    closedir(dir);
    return true;
}

/* Deals out the CPUs of `left` among the nodes of `out`, as far as the folder
 * tells; false when it can't be trusted. */
static bool read_all(const char *folder, cpu_set_t *left,
                     struct weft_topology *out) {
    bool there[NUMBERS];
    if (!list_nodes(folder, there)) {
        return false;
    }
    for (unsigned node = 0; node < NUMBERS; node++) {
        cpu_set_t cpus;
        if (!there[node]) {
            continue;
        }
        if (!read_node(folder, node, &cpus)) {
            return false;
        }
        CPU_AND(&cpus, &cpus, left);
        CPU_XOR(left, left, &cpus);
        if (CPU_COUNT(&cpus) == 0) {
            continue;
        }
        if (out->count < WEFT_TOPOLOGY_NODES) {
            out->cpus[out->count++] = cpus;
        } else {
            CPU_OR(&out->cpus[out->count - 1], &out->cpus[out->count - 1],
                   &cpus);
        }
    }
    return out->count > 0;
}

void weft_topology_read(const char *root, const cpu_set_t *usable,
                        struct weft_topology *out) {
    char folder[512];
    cpu_set_t left = *usable;
    memset(out, 0, sizeof *out);
    size_t length =
        weft_format(folder, sizeof folder, "%s/devices/system/node", root);
    if (length < sizeof folder - 1 && read_all(folder, &left, out)) {
        /* CPUs that no node names are the first one's. */
        CPU_OR(&out->cpus[0], &out->cpus[0], &left);
    } else {
        out->count = 1;
        out->cpus[0] = *usable;
    }
}

unsigned weft_topology_deal(const struct weft_topology *topology, unsigned i,
                            unsigned n) {
    uint64_t total = 0;
    unsigned node = 0;
    for (unsigned k = 0; k < topology->count; k++) {
        total += (unsigned)CPU_COUNT(&topology->cpus[k]);
    }
    /* Processor i is the one of the CPU at this place, node after node. */
    uint64_t place = i * total / n;
    uint64_t passed = (unsigned)CPU_COUNT(&topology->cpus[0]);
    while (node + 1 < topology->count && place >= passed) {
        passed += (unsigned)CPU_COUNT(&topology->cpus[++node]);
    }
    return node;
}
