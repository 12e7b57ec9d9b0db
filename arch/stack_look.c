/* SPDX-License-Identifier: MIT */
/* Looking at a stack pool from outside: which stack an address lies in, every
 * stack there is, figures, and the pool's own check of itself.
 *
 * find and each run in signal handlers and beside everything else: they read
 * only what is fixed once a slab is on the list, how many of its slots were ever
 * taken, and of which slab those are. */
#include <string.h>

#include "weft/arch/stack.h"
#include "weft/arch/stack_pool.h"
#include "weft/base/check.h"

static struct slab *first_slab(struct weft_stack_pool *pool) {
    /* Acquire: pairs with the release in grow(). */
    return atomic_load_explicit(&pool->slabs, memory_order_acquire);
}

static uint32_t made_of(struct slab *slab) {
    /* Acquire: pairs with the release in pick_fresh(). */
    return atomic_load_explicit(&slab->made, memory_order_acquire);
}

void weft_stack_pool_each(struct weft_stack_pool *pool,
                          void (*fn)(void *arg, const struct weft_stack *),
                          void *arg) {
    struct weft_stack stack;
    for (struct slab *slab = first_slab(pool); slab; slab = slab->next) {
        uint32_t made = made_of(slab);
        for (uint32_t i = 0; i < made; i++) {
            weft_slot_stack(pool, &slab->slots[i], &stack);
            fn(arg, &stack);
        }
    }
}

bool weft_stack_pool_find(struct weft_stack_pool *pool, const void *addr,
                          struct weft_stack *out, bool *in_guard) {
    for (struct slab *slab = first_slab(pool); slab; slab = slab->next) {
        size_t offset = (size_t)((uintptr_t)addr - (uintptr_t)slab->first);
        if ((uintptr_t)addr >= (uintptr_t)slab->first &&
            offset / slab->stride < made_of(slab)) {
            weft_slot_stack(pool, &slab->slots[offset / slab->stride], out);
            *in_guard = offset % slab->stride < pool->guard;
            return true;
        }
    }
    return false;
}

void weft_stack_pool_stats(struct weft_stack_pool *pool,
                           struct weft_stack_pool_stats *out) {
    memset(out, 0, sizeof(*out));
    out->guard = pool->pages.madvise ? WEFT_STACK_GUARD_MADVISE
                                     : WEFT_STACK_GUARD_MPROTECT;
    for (int i = 0; i < CLASSES; i++) {
        struct pile *pile = &pool->classes[i];
        weft_lock_acquire(&pile->lock);
        out->mapped += pile->mapped;
        out->made += pile->made;
        out->free_warm += pile->warm_count;
        out->free_cold += pile->cold_count;
        out->trims += pile->trims;
        weft_lock_release(&pile->lock);
    }
}

void weft_stack_pool_fail_nth(struct weft_stack_pool *pool, uint32_t nth) {
    atomic_store_explicit(&pool->pages.fail_in, nth, memory_order_relaxed);
}

/* How long it is. */
static uint64_t check_list(const struct weft_stack_slot *slot, uint32_t kind,
                           uint32_t node) {
    uint64_t length = 0;
    for (; slot != NULL; slot = slot->next) {
        WEFT_CHECK_OP(slot->state, ==, SLOT_FREE);
        WEFT_CHECK_OP(slot->slab->kind, ==, kind);
        WEFT_CHECK_OP(slot->slab->node, ==, node);
        length++;
    }
    return length;
}

bool weft_stack_pool_valid(struct weft_stack_pool *pool) {
    for (uint32_t i = 0; i < CLASSES; i++) {
        struct pile *pile = &pool->classes[i];
        weft_lock_acquire(&pile->lock);
        uint64_t warm = 0, cold = 0;
        for (uint32_t node = 0; node < pool->nodes; node++) {
            warm += check_list(pile->shelves[node].warm, i, node);
            cold += check_list(pile->shelves[node].cold, i, node);
        }
        WEFT_CHECK_OP(warm, ==, pile->warm_count);
        WEFT_CHECK_OP(cold, ==, pile->cold_count);
        WEFT_CHECK_OP(pile->warm_count, <=, pile->warm_max);
        WEFT_CHECK_OP(pile->warm_count + pile->cold_count + pile->taken, ==,
                      pile->made);
        weft_lock_release(&pile->lock);
    }
    return true;
}

uint32_t weft_stack_node(const struct weft_stack *stack) {
    return stack->slot->slab->node;
}
