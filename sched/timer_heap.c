/* SPDX-License-Identifier: MIT */
/* A 4-ary heap in blocks that never move.
 *
 * Always true (weft_timer_heap_valid() checks it):
 *  - the entries are at indices ROOT to ROOT + count - 1, without holes;
 *  - no entry is earlier than its parent;
 *  - entry i belongs to a node with index i and the same time;
 *  - `earliest` is the root's time, WEFT_FOREVER when there is no root.
 *
 * Who may call: the holder of the owner's lock, on any stack, preemption off.
 *
 * Layout. The root is at index 3, so that the children of i are the four at
 * 4 (i - 2): they begin at a multiple of four and share one cache line. Four
 * children rather than two halve the depth (1 M timers: 10 levels), and the
 * line of children is loaded as a whole anyway (LaMarca and Ladner, "The
 * Influence of Caches on the Performance of Heaps", 1996, who align them so).
 * Index i < 256 lies in block 0; above that, block k > 0 holds the indices from
 * 2^(k+7) to 2^(k+8) - 1: the highest bit of an index names its block.
 *
 * Rejected:
 *  - one array and realloc(3): the step from 512 Ki to 1 Mi timers copies 8 MiB
 *    under the lock, and malloc may be what the task was interrupted in;
 *  - blocks of one size: the table of them would have to grow in its turn;
 *  - giving blocks back when the heap shrinks: munmap(2) of touched megabytes
 *    under the lock takes longer than their keep is worth; they stay until
 * fini;
 *  - a timing wheel: O(1), but it rounds deadlines or cascades, and "when is
 *    the next one", asked before every sleep, costs it a search. */
#include "weft/sched/timer_heap.h"

#include <errno.h>
#include <sys/mman.h>

#include "weft/base/check.h"
#include "weft/base/compiler.h"

#define ROOT        3u
#define FANOUT      4u
#define FIRST_BLOCK (1u << WEFT_TIMER_BLOCK_BITS)
#define HUGE        ((size_t)2 << 20)

_Static_assert(sizeof(struct weft_timer_entry) * FANOUT <= WEFT_CACHE_LINE,
               "the children of an entry share a cache line");
_Static_assert(ROOT > WEFT_TIMER_IDLE, "no place may be called idle");

static uint32_t first_child(uint32_t i) {
    return FANOUT * (i - 2);
}

static uint32_t parent(uint32_t i) {
    return i / FANOUT + 2;
}

/* The block that entry `i` is in. */
static unsigned block_of(uint32_t i) {
    return i < FIRST_BLOCK
               ? 0
               : 32u - WEFT_TIMER_BLOCK_BITS - (unsigned)__builtin_clz(i);
}

static uint32_t block_size(unsigned block) {
    return block == 0 ? FIRST_BLOCK : FIRST_BLOCK << (block - 1);
}

static struct weft_timer_entry *at(const struct weft_timer_heap *h,
                                   uint32_t i) {
    unsigned block = block_of(i);
    return &h->blocks[block][block == 0 ? i : i - block_size(block)];
}

static uint32_t end_of(const struct weft_timer_heap *h) {
    return ROOT + h->count;
}

static void *map_pages(size_t size) {
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    if (size >= HUGE) {
        /* A walk through a million touches a page on each lower level. A kernel
         * without huge pages says no. */
        madvise(p, size, MADV_HUGEPAGE);
    }
    return p;
}

static int grow(struct weft_timer_heap *h) {
    unsigned block = block_of(h->room);
    if (block >= WEFT_TIMER_BLOCKS) {
        return -ENOMEM;
    }
    struct weft_timer_entry *entries =
        h->map(block_size(block) * sizeof(struct weft_timer_entry));
    if (entries == NULL) {
        return -ENOMEM;
    }
    h->blocks[block] = entries;
    h->room += block_size(block);
    return 0;
}

/* Puts `entry` at `i`, where there is a hole. */
static void place(struct weft_timer_heap *h, uint32_t i,
                  struct weft_timer_entry entry) {
    *at(h, i) = entry;
    entry.node->index = i;
}

/* Lets the hole at `i` rise until `entry` fits, and fills it. */
static void sift_up(struct weft_timer_heap *h, uint32_t i,
                    struct weft_timer_entry entry) {
    while (i > ROOT) {
        struct weft_timer_entry *above = at(h, parent(i));
        if (above->when <= entry.when) {
            break;
        }
        place(h, i, *above);
        i = parent(i);
    }
    place(h, i, entry);
}

/* Lets the hole at `i` sink until `entry` fits, and fills it. */
static void sift_down(struct weft_timer_heap *h, uint32_t i,
                      struct weft_timer_entry entry) {
    uint32_t end = end_of(h);
    for (uint32_t child = first_child(i); child < end; child = first_child(i)) {
        /* The four are in one block: blocks begin at multiples of four. */
        const struct weft_timer_entry *line = at(h, child);
        uint32_t n = end - child < FANOUT ? end - child : FANOUT;
        uint32_t best = 0;
        for (uint32_t k = 1; k < n; k++) {
            if (line[k].when < line[best].when) {
                best = k;
            }
        }
        if (entry.when <= line[best].when) {
            break;
        }
        place(h, i, line[best]);
        i = child + best;
    }
    place(h, i, entry);
}

static void publish(struct weft_timer_heap *h) {
    uint64_t when = h->count == 0 ? WEFT_FOREVER : at(h, ROOT)->when;
    if (when != weft_timer_heap_next(h)) {
        atomic_store_explicit(&h->earliest, when, memory_order_relaxed);
    }
}

/* Takes the entry at `i` out; the last one fills its place. */
static struct weft_timer_node *take(struct weft_timer_heap *h, uint32_t i) {
    struct weft_timer_node *node = at(h, i)->node;
    struct weft_timer_entry last = *at(h, end_of(h) - 1);
    h->count--;
    node->index = WEFT_TIMER_IDLE;
    if (last.node != node) {
        if (i > ROOT && last.when < at(h, parent(i))->when) {
            sift_up(h, i, last);
        } else {
            sift_down(h, i, last);
        }
    }
    publish(h);
    return node;
}

void weft_timer_heap_init(struct weft_timer_heap *h) {
    *h = (struct weft_timer_heap){.map = map_pages};
    atomic_init(&h->earliest, WEFT_FOREVER);
}

void weft_timer_heap_fini(struct weft_timer_heap *h) {
    WEFT_CHECK_OP(h->count, ==, 0u);
    for (unsigned block = 0; block < WEFT_TIMER_BLOCKS; block++) {
        if (h->blocks[block] != NULL) {
            munmap(h->blocks[block],
                   block_size(block) * sizeof(struct weft_timer_entry));
            h->blocks[block] = NULL;
        }
    }
    h->room = 0;
}

int weft_timer_heap_insert(struct weft_timer_heap *h,
                           struct weft_timer_node *node, uint64_t when) {
    WEFT_CHECK_OP(node->index, ==, (uint32_t)WEFT_TIMER_IDLE);
    if (end_of(h) >= h->room) {
        int error = grow(h);
        if (error != 0) {
            return error;
        }
    }
    node->when = when;
    h->count++;
    sift_up(h, end_of(h) - 1,
            (struct weft_timer_entry){.when = when, .node = node});
    publish(h);
    return 0;
}

bool weft_timer_heap_remove(struct weft_timer_heap *h,
                            struct weft_timer_node *node) {
    if (node->index == WEFT_TIMER_IDLE) {
        return false;
    }
    WEFT_CHECK_OP(node->index, <, end_of(h));
    WEFT_CHECK_OP(at(h, node->index)->node, ==, node);
    take(h, node->index);
    return true;
}

struct weft_timer_node *weft_timer_heap_pop(struct weft_timer_heap *h,
                                            uint64_t now) {
    if (h->count == 0 || at(h, ROOT)->when > now) {
        return NULL;
    }
    return take(h, ROOT);
}

bool weft_timer_heap_valid(const struct weft_timer_heap *h) {
    uint32_t end = end_of(h);
    if (h->count > 0 && end > h->room) {
        return false;
    }
    for (uint32_t i = ROOT; i < end; i++) {
        const struct weft_timer_entry *entry = at(h, i);
        if (entry->node->index != i || entry->node->when != entry->when ||
            (i > ROOT && entry->when < at(h, parent(i))->when)) {
            return false;
        }
    }
    return weft_timer_heap_next(h) ==
           (h->count == 0 ? WEFT_FOREVER : at(h, ROOT)->when);
}
