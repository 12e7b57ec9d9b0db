/* SPDX-License-Identifier: MIT */
/* A 4-ary heap in blocks that never move, and bags behind it.
 *
 *     tier 0: the heap | tier 1: a bag | tier 2: a bag | tier 3: a bag
 *     the earliest       later           later still     all the rest
 *
 * A bag is an array in no order. A heap of a million costs a pop ten levels of
 * which the lower ones are in no cache, and in each a store to the node that
 * moves, which is in none either. So the heap keeps the next few thousand; when
 * it has too many, the later half of them goes into the bag, and when it is
 * empty, a part of the bag comes into it; and so on from bag to bag (Tang,
 * Goh and Thng's ladder queue, 2005, with a heap for its last rung). With fewer
 * timers than that there is the heap alone.
 *
 * Always true (weft_timer_heap_valid() checks it):
 *  - a tier's entries are at indices ROOT to ROOT + count - 1, without holes;
 *  - in tier 0 no entry is earlier than its parent;
 *  - no entry is later than its tier's `until`, none earlier than that of the
 *    tier before; equal times may lie on both sides;
 *  - where tier 0 is empty all are, and every `until` is WEFT_FOREVER;
 *  - the entry at i of tier k belongs to a node whose index says so, and of the
 *    same time;
 *  - `earliest` is the root's time, WEFT_FOREVER when there is no root.
 *
 * What goes from tier to tier is chosen by a sample of SAMPLES entries. A bad
 * one costs time only: `until` is what it said, whatever the sizes are then. A
 * tier that was split is not split again before it has doubled, so each insert
 * pays for a constant number of moves. A move down comes each time a tier is
 * empty, with at least a sixty-fourth of the bag: a million timers are looked
 * through about 60 times, 16 bytes each in the order of their addresses.
 *
 * Who may call: the holder of the owner's lock, on any stack, preemption off.
 *
 * Layout. The root is at index 3, so that the children of i are the four at
 * 4 (i - 2): they begin at a multiple of four and share one cache line. Four
 * children rather than two halve the depth, and the line of children is loaded
 * as a whole anyway (LaMarca and Ladner, "The Influence of Caches on the
 * Performance of Heaps", 1996, who align them so). Index i < 256 lies in block
 * 0; above that, block k > 0 holds the indices from 2^(k+7) to 2^(k+8) - 1: the
 * highest bit of an index names its block.
 *
 * Rejected:
 *  - one array and realloc(3): the step from 512 Ki to 1 Mi timers copies 8 MiB
 *    under the lock, and malloc may be what the task was interrupted in;
 *  - blocks of one size: the table of them would have to grow in its turn;
 *  - giving blocks back when the heap shrinks: munmap(2) of touched megabytes
 *    under the lock takes longer than their keep is worth; they stay until
 *    fini;
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
#define PLACE_BITS  30
#define TOP         (WEFT_TIMER_TIERS - 1)

enum { NEAR = 4096, RATIO_SHIFT = 4, SAMPLES = 64 };

_Static_assert(sizeof(struct weft_timer_entry) * FANOUT <= WEFT_CACHE_LINE,
               "the children of an entry share a cache line");
_Static_assert(ROOT > WEFT_TIMER_IDLE, "no place may be called idle");
_Static_assert(WEFT_TIMER_BLOCKS + WEFT_TIMER_BLOCK_BITS - 1 < PLACE_BITS,
               "an index holds any place...");
_Static_assert(WEFT_TIMER_TIERS <= 1 << (32 - PLACE_BITS), "...and any tier");

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

static struct weft_timer_entry *at(const struct weft_timer_tier *t,
                                   uint32_t i) {
    unsigned block = block_of(i);
    return &t->blocks[block][block == 0 ? i : i - block_size(block)];
}

static uint32_t end_of(const struct weft_timer_tier *t) {
    return ROOT + t->count;
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

/* Room for `n` more in tier `t`: 0 or -ENOMEM. */
static int reserve(struct weft_timer_heap *h, struct weft_timer_tier *t,
                   uint32_t n) {
    while (WEFT_UNLIKELY(t->room < end_of(t) + n)) {
        unsigned block = block_of(t->room);
        if (block >= WEFT_TIMER_BLOCKS) {
            return -ENOMEM;
        }
        struct weft_timer_entry *entries =
            h->map(block_size(block) * sizeof(struct weft_timer_entry));
        if (entries == NULL) {
            return -ENOMEM;
        }
        t->blocks[block] = entries;
        t->room += block_size(block);
    }
    return 0;
}

/* Puts `entry` at `i` of tier `k`, where there is a hole. */
static void put(struct weft_timer_heap *h, uint32_t k, uint32_t i,
                struct weft_timer_entry entry) {
    *at(&h->tiers[k], i) = entry;
    atomic_store_explicit(&entry.node->index, k << PLACE_BITS | i,
                          memory_order_relaxed);
}

/* Puts `entry` behind the others of tier `k`, which has room. */
static void append(struct weft_timer_heap *h, uint32_t k,
                   struct weft_timer_entry entry) {
    put(h, k, end_of(&h->tiers[k]), entry);
    h->tiers[k].count++;
}

/* In tier 0: lets the hole at `i` rise until `entry` fits, and fills it. */
static void sift_up(struct weft_timer_heap *h, uint32_t i,
                    struct weft_timer_entry entry) {
    while (i > ROOT) {
        struct weft_timer_entry *above = at(&h->tiers[0], parent(i));
        if (above->when <= entry.when) {
            break;
        }
        put(h, 0, i, *above);
        i = parent(i);
    }
    put(h, 0, i, entry);
}

/* Lets the hole at `i` sink until `entry` fits, and fills it. */
static void sift_down(struct weft_timer_heap *h, uint32_t i,
                      struct weft_timer_entry entry) {
    const struct weft_timer_tier *t = &h->tiers[0];
    uint32_t end = end_of(t);
    for (uint32_t child = first_child(i); child < end; child = first_child(i)) {
        /* The four are in one block: blocks begin at multiples of four. */
        const struct weft_timer_entry *line = at(t, child);
        uint32_t n = end - child < FANOUT ? end - child : FANOUT;
        uint32_t best = 0;
        for (uint32_t j = 1; j < n; j++) {
            if (line[j].when < line[best].when) {
                best = j;
            }
        }
        if (entry.when <= line[best].when) {
            break;
        }
        put(h, 0, i, line[best]);
        i = child + best;
    }
    put(h, 0, i, entry);
}

/* Makes a heap of tier 0, whatever its order is (Floyd, 1964). */
static void heapify(struct weft_timer_heap *h) {
    for (uint32_t i = parent(end_of(&h->tiers[0]) - 1) + 1; i-- > ROOT;) {
        sift_down(h, i, *at(&h->tiers[0], i));
    }
}

/* A time that about `rank` of SAMPLES entries of `t` are earlier than. */
static uint64_t pivot(const struct weft_timer_tier *t, uint32_t rank) {
    uint64_t sample[SAMPLES];
    for (uint32_t n = 0; n < SAMPLES; n++) {
        uint32_t i = ROOT + (uint32_t)((uint64_t)n * t->count / SAMPLES);
        uint64_t when = at(t, i)->when;
        uint32_t j = n;
        for (; j > 0 && sample[j - 1] > when; j--) {
            sample[j] = sample[j - 1];
        }
        sample[j] = when;
    }
    return sample[rank];
}

/* As many as tier `k` holds if it can. */
static uint32_t aim(const struct weft_timer_heap *h, uint32_t k) {
    return h->near << (RATIO_SHIFT * k);
}

/* Not until it has doubled; the last one never. */
static void set_limit(struct weft_timer_heap *h, uint32_t k) {
    struct weft_timer_tier *t = &h->tiers[k];
    uint32_t twice = 2 * t->count;
    t->limit = k == TOP ? UINT32_MAX : twice > aim(h, k) ? twice : aim(h, k);
}

static bool is_full(const struct weft_timer_tier *t) {
    return t->count >= t->limit;
}

/* How many entries of `t` lie one behind the other from `i` on: the rest of a
 * block. With at() for each, looking through a bag took twice as long. */
static uint32_t run_at(const struct weft_timer_tier *t, uint32_t i) {
    uint32_t end = FIRST_BLOCK << block_of(i);
    return (end < end_of(t) ? end : end_of(t)) - i;
}

/* The first entry of `t` from `i` on that is not later than `p` (`down`), or
 * not earlier; the end: none. */
static uint32_t find(const struct weft_timer_tier *t, uint32_t i, uint64_t p,
                     bool down) {
    uint64_t flip = down ? 0 : UINT64_MAX; /* a >= p: ~a <= ~p */
    for (; i < end_of(t); i += run_at(t, i)) {
        const struct weft_timer_entry *entries = at(t, i);
        for (uint32_t j = 0; j < run_at(t, i); j++) {
            if ((entries[j].when ^ flip) <= (p ^ flip)) {
                return i + j;
            }
        }
    }
    return i;
}

/* Moves what is earlier than `p` from tier `from` to `to` if that is before it,
 * else what is later; and of what is equal up to `equal`. There is room. */
static void move(struct weft_timer_heap *h, uint32_t from, uint32_t to,
                 uint64_t p, uint32_t equal) {
    struct weft_timer_tier *t = &h->tiers[from];
    uint32_t i = ROOT;
    while ((i = find(t, i, p, to < from)) < end_of(t)) {
        struct weft_timer_entry entry = *at(t, i);
        if (entry.when == p) {
            if (equal == 0) {
                i++;
                continue;
            }
            equal--;
        }
        t->count--;
        if (i != end_of(t)) {
            put(h, from, i, *at(t, end_of(t)));
        }
        append(h, to, entry);
    }
}

static void refill(struct weft_timer_heap *h);

/* Tier `k` is full: the later half goes to the next one, if there is room. */
static void split(struct weft_timer_heap *h, uint32_t k) {
    struct weft_timer_tier *t = &h->tiers[k];
    if (is_full(&h->tiers[k + 1])) {
        split(h, k + 1);
    }
    if (reserve(h, &h->tiers[k + 1], t->count) == 0) {
        t->until = pivot(t, SAMPLES / 2);
        move(h, k, k + 1, t->until, t->count / 2);
        if (k == 0) {
            if (t->count == 0) {
                refill(h); /* the sample was as bad as that */
            }
            heapify(h);
        }
    }
    set_limit(h, k);
}

/* Fills tier `k`, which is empty as are those before it, from the next one. */
static void fetch(struct weft_timer_heap *h, uint32_t k) {
    struct weft_timer_tier *to = &h->tiers[k];
    struct weft_timer_tier *from = &h->tiers[k + 1];
    uint32_t wanted = aim(h, k) / 2;
    uint64_t p = from->until;
    uint64_t first = WEFT_FOREVER;
    uint32_t earlier = 0;
    uint32_t equal = 0;
    if (from->count > wanted) {
        p = pivot(from, (uint32_t)((uint64_t)SAMPLES * wanted / from->count));
    }
    for (uint32_t i = ROOT; i < end_of(from); i += run_at(from, i)) {
        const struct weft_timer_entry *entries = at(from, i);
        for (uint32_t j = 0; j < run_at(from, i); j++) {
            uint64_t when = entries[j].when;
            first = when < first ? when : first;
            earlier += when < p;
            equal += when == p;
        }
    }
    if (reserve(h, to, earlier + equal) != 0) {
        /* No memory: as many of the first as there is room for. There is some,
         * or the tier would never have been split. */
        p = first;
        equal = to->room - end_of(to);
        WEFT_CHECK_OP(equal, >, 0u);
    }
    move(h, k + 1, k, p, equal);
    to->until = p;
    set_limit(h, k);
}

/* Tier 0 is empty: sees to it that it has the earliest. */
static WEFT_NOINLINE void refill(struct weft_timer_heap *h) {
    if (h->count == 0) {
        /* From the first tier that says otherwise: mostly there is none. */
        for (uint32_t k = 0; h->tiers[k].until != WEFT_FOREVER; k++) {
            h->tiers[k].until = WEFT_FOREVER;
        }
        return;
    }
    uint32_t k = 1;
    while (h->tiers[k].count == 0) {
        k++;
    }
    while (k-- > 0) {
        fetch(h, k);
    }
    heapify(h);
}

static void publish(struct weft_timer_heap *h) {
    uint64_t when = h->count == 0 ? WEFT_FOREVER : at(&h->tiers[0], ROOT)->when;
    if (when != weft_timer_heap_next(h)) {
        atomic_store_explicit(&h->earliest, when, memory_order_relaxed);
    }
}

/* Takes the entry at `i` of tier `k` out; the last one fills its place. */
static WEFT_ALWAYS_INLINE struct weft_timer_node *take(
    struct weft_timer_heap *h, uint32_t k, uint32_t i) {
    struct weft_timer_tier *t = &h->tiers[k];
    struct weft_timer_node *node = at(t, i)->node;
    struct weft_timer_entry last = *at(t, end_of(t) - 1);
    t->count--;
    h->count--;
    if (last.node != node) {
        if (k > 0) {
            put(h, k, i, last);
        } else if (i > ROOT && last.when < at(t, parent(i))->when) {
            sift_up(h, i, last);
        } else {
            sift_down(h, i, last);
        }
    }
    if (t->count == 0 && k == 0) {
        refill(h);
    }
    publish(h);
    /* Release: pairs with the acquire in weft_timer_is_armed(). */
    atomic_store_explicit(&node->index, WEFT_TIMER_IDLE, memory_order_release);
    return node;
}

void weft_timer_heap_init_near(struct weft_timer_heap *h, uint32_t near) {
    *h = (struct weft_timer_heap){.near = near, .map = map_pages};
    for (uint32_t k = 0; k < WEFT_TIMER_TIERS; k++) {
        h->tiers[k].until = WEFT_FOREVER;
        set_limit(h, k);
    }
    atomic_init(&h->earliest, WEFT_FOREVER);
}

void weft_timer_heap_init(struct weft_timer_heap *h) {
    weft_timer_heap_init_near(h, NEAR);
}

void weft_timer_heap_fini(struct weft_timer_heap *h) {
    WEFT_CHECK_OP(h->count, ==, 0u);
    for (uint32_t k = 0; k < WEFT_TIMER_TIERS; k++) {
        struct weft_timer_tier *t = &h->tiers[k];
        for (unsigned b = 0; b < WEFT_TIMER_BLOCKS; b++) {
            if (t->blocks[b] != NULL) {
                munmap(t->blocks[b],
                       block_size(b) * sizeof(struct weft_timer_entry));
                t->blocks[b] = NULL;
            }
        }
        t->room = 0;
    }
}

/* The tier for `when`. The last one is for ever. */
static uint32_t tier_for(const struct weft_timer_heap *h, uint64_t when) {
    uint32_t k = 0;
    while (WEFT_UNLIKELY(when > h->tiers[k].until)) {
        k++;
    }
    return k;
}

int weft_timer_heap_insert(struct weft_timer_heap *h,
                           struct weft_timer_node *node, uint64_t when) {
    struct weft_timer_entry entry = {.when = when, .node = node};
    WEFT_CHECK_OP(weft_timer_index(node), ==, (uint32_t)WEFT_TIMER_IDLE);
    uint32_t k = tier_for(h, when);
    if (WEFT_UNLIKELY(is_full(&h->tiers[k]))) {
        split(h, k);
        k = tier_for(h, when);
    }
    struct weft_timer_tier *t = &h->tiers[k];
    int error = reserve(h, t, 1);
    if (error != 0) {
        return error;
    }
    node->when = when;
    h->count++;
    if (k > 0) {
        append(h, k, entry);
        return 0;
    }
    t->count++;
    sift_up(h, end_of(t) - 1, entry);
    publish(h);
    return 0;
}

bool weft_timer_heap_remove(struct weft_timer_heap *h,
                            struct weft_timer_node *node) {
    uint32_t index = weft_timer_index(node);
    if (index == WEFT_TIMER_IDLE) {
        return false;
    }
    uint32_t k = index >> PLACE_BITS;
    uint32_t i = index & ((1u << PLACE_BITS) - 1);
    WEFT_CHECK_OP(i, <, end_of(&h->tiers[k]));
    WEFT_CHECK_OP(at(&h->tiers[k], i)->node, ==, node);
    take(h, k, i);
    return true;
}

struct weft_timer_node *weft_timer_heap_pop(struct weft_timer_heap *h,
                                            uint64_t now) {
    if (h->count == 0 || at(&h->tiers[0], ROOT)->when > now) {
        return NULL;
    }
    return take(h, 0, ROOT);
}

static bool tier_valid(const struct weft_timer_heap *h, uint32_t k) {
    const struct weft_timer_tier *t = &h->tiers[k];
    uint64_t after = k == 0 ? 0 : h->tiers[k - 1].until;
    if (t->count > 0 && end_of(t) > t->room) {
        return false;
    }
    for (uint32_t i = ROOT; i < end_of(t); i++) {
        const struct weft_timer_entry *entry = at(t, i);
        if (weft_timer_index(entry->node) != (k << PLACE_BITS | i) ||
            entry->node->when != entry->when || entry->when > t->until ||
            entry->when < after ||
            (k == 0 && i > ROOT && entry->when < at(t, parent(i))->when)) {
            return false;
        }
    }
    return true;
}

bool weft_timer_heap_valid(const struct weft_timer_heap *h) {
    uint64_t count = 0;
    for (uint32_t k = 0; k < WEFT_TIMER_TIERS; k++) {
        count += h->tiers[k].count;
        if (!tier_valid(h, k)) {
            return false;
        }
    }
    return count == h->count && (count == 0) == (h->tiers[0].count == 0) &&
           h->tiers[TOP].until == WEFT_FOREVER &&
           weft_timer_heap_next(h) ==
               (count == 0 ? WEFT_FOREVER : at(&h->tiers[0], ROOT)->when);
}
