/* SPDX-License-Identifier: MIT */
/* Stacks: slabs, slots, free lists.
 *
 *   a slab: | header, slots | guard | stack 0 | guard | stack 1 | ...
 *
 * A slab is one mapping, never unmapped before the pool. Its header describes
 * each stack in a slot; nothing about a free stack is written into the stack
 * itself, since its top belongs to its last owner for ever.
 *
 * A slot is FRESH (never taken: past `made`), TAKEN, or FREE in one of its
 * class's two lists: warm (its pages are there) or cold (only the top one is).
 * Take prefers warm, last in first out, then cold, then fresh; a class grows
 * when all are empty. A guard is installed when a slot is first taken, outside
 * the lock: a slab costs nothing until it is used, and stacks that are promised
 * and never used cost address space alone: slots that were never taken are not
 * written either. Where several can be guarded
 * at one go (stack_make.c), and there are many already, some more are that will
 * be taken next: they wait as cold ones, their top pages there. A slot whose
 * guard failed goes under the cold ones, unguarded, and tries again when its
 * turn comes; all those with a guard lie above it.
 *
 * Each slab is of a memory node, and a class has its lists for each: a stack is
 * taken where it will be touched, and goes back to its slab's node. The lists
 * of one node may be empty while another's are not: then the class grows, and
 * only when that fails the other's are taken, which are there, since they were
 * promised. One lock for all, and one count of what is warm.
 *
 * A class holds `warm_max` warm stacks. What comes back beyond that is trimmed,
 * outside the lock, and then is cold. Most never had more than their top page:
 * that is asked first (mincore, and where few are deep not of each), since two
 * threads that give pages back at one time flush the whole TLB of all CPUs each
 * time, pages or no pages.
 *
 * Locks: a class has one; it covers its lists, its slots' state and `made`. No
 * system call is made under it. Two threads that find the class empty may both
 * grow it; what is too much is address space and comes to use later.
 *
 * Slabs are published by a push on a list that is only ever read otherwise, so
 * find and each need no lock and may run in a signal handler.
 *
 * Colour: the tops of all stacks are page-aligned, so the few lines that a
 * parked task keeps hot would share the same sets of a first-level cache (64
 * sets, 8 to 12 ways). Slot i starts (i mod 16) * 64 bytes lower. Not more:
 * colour, the owner's own structure and the frames of a parked task should fit
 * into one page. */
#include "weft/arch/stack.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/auxv.h>

#include "weft/arch/pages.h"
#include "weft/arch/stack_pool.h"
#include "weft/base/check.h"
#include "weft/base/lock.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum {
    SHALLOW_RUN = 64, /* see trim() */
    SHALLOW_SKIP = 16,
    /* Stacks prepared ahead: an eighth of those there are. */
    AHEAD_SHIFT = 3,
    LEAST_AHEAD = 8,
    MOST_AHEAD = WEFT_STACK_RUN - 8,
    MOST_SLAB = 1 << 30, /* a million stacks in 80 mappings */
};

/* Instrumented frames are two to four times as large. */
#define SANITIZED (WEFT_ASAN || WEFT_TSAN)

size_t weft_stack_default_size(void) {
    return SANITIZED ? 256 * 1024 : 64 * 1024;
}

size_t weft_stack_min_size(void) {
    size_t frame = getauxval(AT_MINSIGSTKSZ);
    size_t size = SANITIZED ? 64 * 1024 : (size_t)1 << CLASS_SHIFT;
    if (frame < (size_t)MINSIGSTKSZ) {
        frame = (size_t)MINSIGSTKSZ;
    }
    while (size < 2 * frame + 4096 || size < weft_pages_size()) {
        size *= 2;
    }
    return size;
}

static int class_of(const struct weft_stack_pool *pool, size_t size) {
    uint32_t kind = 0;
    if (size == 0) {
        size = weft_stack_default_size();
    }
    if (size < pool->min_size) {
        size = pool->min_size;
    }
    while (kind < CLASSES && weft_class_size(kind) < size) {
        kind++;
    }
    return kind < CLASSES ? (int)kind : -EINVAL;
}

int weft_stack_pool_new(struct weft_stack_pool **out,
                        const struct weft_stack_pool_config *config) {
    static const struct weft_stack_pool_config defaults;
    struct weft_pages pages;
    if (config == NULL) {
        config = &defaults;
    }
    if (config->colours > WEFT_STACK_COLOURS ||
        config->nodes > WEFT_STACK_NODES ||
        (unsigned)config->guard > WEFT_STACK_GUARD_MPROTECT) {
        return -EINVAL;
    }
    bool madvise =
        config->guard != WEFT_STACK_GUARD_MPROTECT && weft_pages_have_guards();
    if (config->guard == WEFT_STACK_GUARD_MADVISE && !madvise) {
        return -ENOTSUP;
    }
    weft_pages_init(&pages, madvise, config->max_guards);
    atomic_store_explicit(&pages.fail_in, config->fail_nth,
                          memory_order_relaxed);
    struct weft_stack_pool *pool = weft_pages_map(&pages, sizeof(*pool));
    if (pool == NULL) {
        return -ENOMEM;
    }
    pool->pages = pages;
    pool->page = weft_pages_size();
    pool->guard = weft_round_to(WEFT_STACK_GUARD, pool->page);
    pool->slab_bytes = config->slab_bytes ? config->slab_bytes : MOST_SLAB;
    pool->min_size = weft_stack_min_size();
    pool->colours = config->colours ? config->colours : WEFT_STACK_COLOURS;
    pool->nodes = config->nodes && madvise ? config->nodes : 1;
    size_t warm_bytes = config->warm_bytes ? config->warm_bytes : 64 << 20;
    for (uint32_t i = 0; i < CLASSES; i++) {
        pool->classes[i].warm_max = (uint32_t)(warm_bytes / weft_class_size(i));
        pool->classes[i].next_slab = WEFT_STACK_FIRST_SLAB;
    }
    *out = pool;
    return 0;
}

void weft_stack_pool_free(struct weft_stack_pool *pool) {
    if (pool == NULL) {
        return;
    }
    struct slab *slab =
        atomic_load_explicit(&pool->slabs, memory_order_relaxed);
    while (slab != NULL) {
        struct slab *next = slab->next;
        uint32_t made = atomic_load_explicit(&slab->made, memory_order_relaxed);
        for (uint32_t i = 0; i < made; i++) {
            if (slab->slots[i].guarded) {
                weft_slot_tell(pool, &slab->slots[i], false);
            }
        }
        weft_pages_unmap(slab, slab->mapped);
        slab = next;
    }
    weft_pages_unmap(pool, sizeof(*pool));
}

/* Guards that stacks of this class may have in all. */
static uint64_t guards_for(struct weft_stack_pool *pool, struct pile *pile) {
    if (pool->pages.madvise) {
        return UINT64_MAX;
    }
    uint64_t all =
        atomic_load_explicit(&pool->pages.guards, memory_order_relaxed);
    uint64_t own = atomic_load_explicit(&pile->guarded, memory_order_relaxed);
    uint64_t others = all > own ? all - own : 0;
    return pool->pages.max_guards > others ? pool->pages.max_guards - others
                                           : 0;
}

int weft_stack_reserve(struct weft_stack_pool *pool, size_t size, uint32_t n) {
    int index = class_of(pool, size);
    if (index < 0) {
        return index;
    }
    struct pile *pile = &pool->classes[index];
    for (;;) {
        weft_lock_acquire(&pile->lock);
        uint64_t needed = pile->reserved + n;
        bool allowed = needed <= guards_for(pool, pile);
        bool fits = needed + pile->ahead <= pile->slots;
        if (allowed && fits) {
            pile->reserved = needed;
        }
        weft_lock_release(&pile->lock);
        if (!allowed) {
            return -ENOMEM;
        }
        if (fits) {
            return 0;
        }
        int error = weft_stack_grow(pool, (uint32_t)index, WEFT_STACK_ANY_NODE);
        if (error < 0) {
            return error;
        }
    }
}

void weft_stack_unreserve(struct weft_stack_pool *pool, size_t size,
                          uint32_t n) {
    struct pile *pile = &pool->classes[class_of(pool, size)];
    weft_lock_acquire(&pile->lock);
    WEFT_CHECK_OP(pile->reserved, >=, n);
    pile->reserved -= n;
    weft_lock_release(&pile->lock);
}

/* The next slot of a node's that was never taken, or NULL. Under the lock. */
static struct weft_stack_slot *pick_fresh(struct pile *pile,
                                          struct shelf *shelf) {
    struct slab *slab = shelf->fresh;
    if (slab == NULL) {
        return NULL;
    }
    uint32_t made = atomic_load_explicit(&slab->made, memory_order_relaxed);
    struct weft_stack_slot *slot = &slab->slots[made];
    WEFT_CHECK_OP(slot->state, ==, SLOT_FRESH);
    slot->slab = slab;
    /* Release: the slot's slab. Pairs with the acquire in made_of(). */
    atomic_store_explicit(&slab->made, made + 1, memory_order_release);
    pile->made++;
    if (made + 1 == slab->count) {
        shelf->fresh = slab->next_fresh;
    }
    return slot;
}

/* Under the class's lock: a slot out of a node's lists, or NULL. */
static struct weft_stack_slot *pick(struct pile *pile, struct shelf *shelf) {
    struct weft_stack_slot *slot = NULL;
    if (shelf->warm != NULL) {
        slot = shelf->warm;
        shelf->warm = slot->next;
        pile->warm_count--;
    } else if (shelf->cold != NULL) {
        slot = shelf->cold;
        shelf->cold = slot->next;
        pile->cold_count--;
    } else {
        slot = pick_fresh(pile, shelf);
    }
    if (slot != NULL) {
        WEFT_CHECK_OP(slot->state, !=, SLOT_TAKEN);
        slot->state = SLOT_TAKEN;
        slot->next = NULL;
        pile->taken++;
    }
    return slot;
}

/* Under the class's lock, whose lists are empty: a chain of slots to be
 * prepared for those that will be taken next. For a moment they are nobody's,
 * so none are taken that somebody was promised. */
static struct weft_stack_slot *pick_ahead(struct weft_stack_pool *pool,
                                          struct pile *pile,
                                          struct shelf *shelf) {
    struct weft_stack_slot *first = NULL, **last = &first;
    uint64_t n = pile->made >> AHEAD_SHIFT;
    if (!weft_pages_can_each(&pool->pages) || n < LEAST_AHEAD) {
        return NULL;
    }
    n = n < MOST_AHEAD ? n : MOST_AHEAD;
    while (n-- > 0 && pile->reserved + pile->ahead < pile->slots &&
           (*last = pick(pile, shelf)) != NULL) {
        last = &(*last)->next;
        pile->ahead++;
    }
    return first;
}

/* Puts a chain of slots on the cold list; `trims` of them lost pages, `ahead`
 * were taken by pick_ahead(). */
static void put_cold(struct pile *pile, struct weft_stack_slot *chain,
                     uint32_t trims, uint32_t ahead) {
    weft_lock_acquire(&pile->lock);
    pile->trims += trims;
    pile->ahead -= ahead;
    while (chain != NULL) {
        struct weft_stack_slot *slot = chain;
        chain = slot->next;
        WEFT_CHECK_OP(slot->state, ==, SLOT_TAKEN);
        slot->state = SLOT_FREE;
        slot->next = pile->shelves[slot->slab->node].cold;
        pile->shelves[slot->slab->node].cold = slot;
        pile->cold_count++;
        pile->taken--;
    }
    weft_lock_release(&pile->lock);
}

int weft_stack_take_batch(struct weft_stack_pool *pool, size_t size,
                          struct weft_stack *stacks, uint32_t n) {
    return weft_stack_take_near(pool, size, 0, stacks, n);
}

/* Up to `n` slots of a node's, as stacks; how many. Those among them that have
 * no guard yet, and others to be prepared with them, are a chain. */
static uint32_t pick_some(struct weft_stack_pool *pool, struct pile *pile,
                          uint32_t node, struct weft_stack *stacks, uint32_t n,
                          struct weft_stack_slot **bare) {
    struct shelf *shelf = &pile->shelves[node];
    struct weft_stack_slot *slot;
    uint32_t got = 0;
    weft_lock_acquire(&pile->lock);
    while (got < n && (slot = pick(pile, shelf)) != NULL) {
        weft_slot_stack(pool, slot, &stacks[got++]);
        if (WEFT_UNLIKELY(!slot->guarded)) {
            *bare = slot;
            bare = &slot->next;
        }
    }
    if (got > 0 && !stacks[got - 1].slot->guarded) {
        *bare = pick_ahead(pool, pile, shelf);
    }
    weft_lock_release(&pile->lock);
    return got;
}

/* Prepares the chain `bare`, which begins with those of `stacks` that have no
 * guard. What fails, and what is no stack of these, becomes cold. Returns how
 * many of them are left. */
static WEFT_NOINLINE uint32_t prepare(struct weft_stack_pool *pool,
                                      struct pile *pile,
                                      struct weft_stack_slot *bare,
                                      struct weft_stack *stacks, uint32_t n) {
    struct weft_stack_slot *failed = NULL, *spare = NULL;
    uint32_t ready = 0, ahead = 0;
    weft_slots_prepare(pool, pile, bare);
    for (uint32_t i = 0; i < n; i++) {
        if (stacks[i].slot == bare) {
            bare = bare->next;
        }
        if (stacks[i].slot->guarded) {
            stacks[ready++] = stacks[i];
        } else {
            stacks[i].slot->next = failed;
            failed = stacks[i].slot;
        }
    }
    while (bare != NULL) {
        struct weft_stack_slot **to = bare->guarded ? &spare : &failed;
        struct weft_stack_slot *next = bare->next;
        bare->next = *to;
        *to = bare;
        bare = next;
        ahead++;
    }
    /* In this order: those with a guard lie above. The lowest is the first. */
    put_cold(pile, failed, 0, 0);
    put_cold(pile, spare, 0, ahead);
    return ready;
}

int weft_stack_take_near(struct weft_stack_pool *pool, size_t size,
                         uint32_t node, struct weft_stack *stacks, uint32_t n) {
    int index = class_of(pool, size);
    if (index < 0 || n == 0) {
        return index < 0 ? index : 0;
    }
    struct pile *pile = &pool->classes[index];
    struct weft_stack_slot *bare = NULL;
    uint32_t got;
    node %= pool->nodes; /* where they are one */
    while ((got = pick_some(pool, pile, node, stacks, n, &bare)) == 0) {
        int error = weft_stack_grow(pool, (uint32_t)index, node);
        for (uint32_t k = 1; error < 0 && got == 0 && k < pool->nodes; k++) {
            got = pick_some(pool, pile, (node + k) % pool->nodes, stacks, n,
                            &bare);
        }
        if (got > 0) {
            break;
        }
        if (error < 0) {
            return error;
        }
    }
    if (WEFT_UNLIKELY(bare != NULL)) {
        got = prepare(pool, pile, bare, stacks, got);
    }
    return got > 0 ? (int)got : -ENOMEM;
}

int weft_stack_take(struct weft_stack_pool *pool, size_t size,
                    struct weft_stack *out) {
    int got = weft_stack_take_batch(pool, size, out, 1);
    return got < 0 ? got : 0;
}

/* Drops what lies below the top pages; returns of how many stacks. Where the
 * last SHALLOW_RUN had nothing there, one in SHALLOW_SKIP is asked: what is
 * missed then is, on the average, no more than the top pages that stay anyway.
 */
static uint32_t trim(struct weft_stack_pool *pool, struct pile *pile,
                     struct weft_stack_slot *chain) {
    uint32_t trims = 0;
    uint32_t shallow =
        atomic_load_explicit(&pile->shallow, memory_order_relaxed);
    for (struct weft_stack_slot *slot = chain; slot; slot = slot->next) {
        char *low = weft_slot_guard(slot) + pool->guard;
        size_t size = weft_class_size(slot->slab->kind) - pool->page;
        shallow++;
        if ((shallow < SHALLOW_RUN || shallow % SHALLOW_SKIP == 0) &&
            weft_pages_resident(low, size)) {
            weft_pages_drop(low, size);
            trims++;
            shallow = 0;
        }
    }
    /* Relaxed: a hint; two that count at one time lose a little. */
    atomic_store_explicit(
        &pile->shallow,
        shallow < SHALLOW_RUN ? shallow : SHALLOW_RUN + shallow % SHALLOW_SKIP,
        memory_order_relaxed);
    return trims;
}

/* Gives back `n` of one class. */
static void give_run(struct weft_stack_pool *pool, struct pile *pile,
                     const struct weft_stack *stacks, uint32_t n) {
    struct weft_stack_slot *chain = NULL;
    weft_lock_acquire(&pile->lock);
    for (uint32_t i = 0; i < n; i++) {
        struct weft_stack_slot *slot = stacks[i].slot;
        WEFT_CHECK_OP(slot->state, ==, SLOT_TAKEN);
        if (pile->warm_count < pile->warm_max) {
            slot->state = SLOT_FREE;
            slot->next = pile->shelves[slot->slab->node].warm;
            pile->shelves[slot->slab->node].warm = slot;
            pile->warm_count++;
            pile->taken--;
        } else {
            slot->next = chain;
            chain = slot;
        }
    }
    weft_lock_release(&pile->lock);
    if (WEFT_UNLIKELY(chain != NULL)) {
        put_cold(pile, chain, trim(pool, pile, chain), 0);
    }
}

void weft_stack_give_batch(struct weft_stack_pool *pool,
                           const struct weft_stack *stacks, uint32_t n) {
    for (uint32_t i = 0, run; i < n; i += run) {
        uint32_t kind = stacks[i].slot->slab->kind;
        run = 1;
        while (i + run < n && stacks[i + run].slot->slab->kind == kind) {
            run++;
        }
        give_run(pool, &pool->classes[kind], stacks + i, run);
    }
}

void weft_stack_give(struct weft_stack_pool *pool,
                     const struct weft_stack *stack) {
    weft_stack_give_batch(pool, stack, 1);
}
