/* SPDX-License-Identifier: MIT */
/* Making stacks: address space for them, and what a slot needs before it is
 * taken for the first time, a guard.
 *
 * A guard is a system call, and the first touch of a stack a page fault; with a
 * million tasks that is most of what it costs to make them. So slots are
 * prepared in runs where the kernel has process_madvise(2) for oneself: one
 * call guards all of a run, another has their top pages there (1.3 us a stack
 * for two threads instead of 2.0). Who runs so prepares some stacks more than
 * it was asked for (stack.c).
 *
 * Always true: a slot says `guarded` only when it is; what is prepared lies in
 * no list and is the caller's. No lock is held during a system call.
 *
 * Slabs double, up to 1 GiB: each is a system call, a fault and a page table or
 * two, 6 us in all. (With 64 MiB to promise a million stacks, which may all run
 * on one, took 7.5 ms of 70.)
 *
 * Rejected: all guards of a slab at once: of a slab a program may need one
 * stack. */
#include <errno.h>

#include "weft/arch/pages.h"
#include "weft/arch/stack.h"
#include "weft/arch/stack_pool.h"
#include "weft/base/check.h"
#include "weft/base/lock.h"

#if WEFT_ASAN
#include <sanitizer/lsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

/* Leak checkers look at real threads' stacks; what hangs on these is no leak
 * either. Stacks alone: a guard would fault under the checker. Valgrind takes
 * a change of stacks for one enormous frame unless it knows them. */
void weft_slot_tell(const struct weft_stack_pool *pool,
                    struct weft_stack_slot *slot, bool alive) {
    struct weft_stack stack;
    weft_slot_stack(pool, slot, &stack);
#if WEFT_ASAN
    if (alive) {
        __lsan_register_root_region(stack.low, stack.size);
    } else {
        __lsan_unregister_root_region(stack.low, stack.size);
    }
#endif
#ifdef VALGRIND_STACK_REGISTER
    if (alive) {
        /* An empty stack's pointer is its end. */
        slot->valgrind = (uint32_t)VALGRIND_STACK_REGISTER(
            stack.low, stack.low + stack.size);
    } else {
        VALGRIND_STACK_DEREGISTER(slot->valgrind);
    }
#else
    slot->valgrind = alive;
#endif
}

enum { MODEST_SLAB = 64 << 20 };

int weft_stack_grow(struct weft_stack_pool *pool, uint32_t index,
                    uint32_t node) {
    struct pile *pile = &pool->classes[index];
    size_t stride = weft_class_size(index) + pool->guard;

    weft_lock_acquire(&pile->lock);
    size_t bytes = pile->next_slab;
    node = node == WEFT_STACK_ANY_NODE ? pile->turn++ % pool->nodes : node;
    weft_lock_release(&pile->lock);
    if (bytes > pool->slab_bytes) {
        bytes = pool->slab_bytes;
    }
    size_t count, head, mapped;
    struct slab *slab;
    for (;;) {
        count = bytes / stride > 1 ? bytes / stride : 1;
        head = weft_round_to(
            sizeof(struct slab) + count * sizeof(struct weft_stack_slot),
            pool->page);
        mapped = head + count * stride;
        slab = weft_pages_map(&pool->pages, mapped);
        if (slab != NULL) {
            break;
        }
        if (bytes <= MODEST_SLAB) {
            return -ENOMEM;
        }
        bytes /= 2; /* where address space is limited */
    }
    slab->first = (char *)slab + head;
    slab->mapped = mapped;
    slab->stride = stride;
    slab->kind = index;
    slab->count = (uint32_t)count;
    slab->node = node;

    struct slab *old = atomic_load_explicit(&pool->slabs, memory_order_relaxed);
    do {
        slab->next = old;
        /* Release: the slab's fields. Pairs with the acquire in first_slab().
         */
    } while (!atomic_compare_exchange_weak_explicit(
        &pool->slabs, &old, slab, memory_order_release, memory_order_relaxed));

    weft_lock_acquire(&pile->lock);
    slab->next_fresh = pile->shelves[node].fresh;
    pile->shelves[node].fresh = slab;
    pile->next_slab = bytes * 2;
    pile->mapped += mapped;
    pile->slots += count;
    weft_lock_release(&pile->lock);
    return 0;
}

static void is_guarded(struct weft_stack_pool *pool, struct pile *pile,
                       struct weft_stack_slot *slot) {
    slot->guarded = true;
    atomic_fetch_add_explicit(&pile->guarded, 1, memory_order_relaxed);
    weft_slot_tell(pool, slot, true);
}

/* The first WEFT_STACK_RUN of a chain, by one call; returns those that are
 * left. */
static struct weft_stack_slot *prepare_run(struct weft_stack_pool *pool,
                                           struct pile *pile,
                                           struct weft_stack_slot *chain) {
    struct iovec spans[WEFT_STACK_RUN];
    struct weft_stack_slot *slot = chain;
    uint32_t n = 0;
    for (; slot != NULL && n < WEFT_STACK_RUN; slot = slot->next) {
        spans[n++] = (struct iovec){weft_slot_guard(slot), pool->guard};
    }
    uint32_t done = weft_pages_guard_each(&pool->pages, spans, n);
    struct weft_stack_slot *rest = slot;
    slot = chain;
    for (uint32_t i = 0; i < done; i++, slot = slot->next) {
        is_guarded(pool, pile, slot);
        spans[i].iov_base =
            (char *)spans[i].iov_base + slot->slab->stride - pool->page;
        spans[i].iov_len = pool->page;
    }
    weft_pages_fill_each(&pool->pages, spans, done);
    return rest;
}

void weft_slots_prepare(struct weft_stack_pool *pool, struct pile *pile,
                        struct weft_stack_slot *chain) {
    struct weft_stack_slot *rest = chain;
    while (rest != NULL && rest->next != NULL &&
           weft_pages_can_each(&pool->pages)) {
        rest = prepare_run(pool, pile, rest);
    }
    /* One by one, those for which that was of no avail; the first that fails
     * is the last one. */
    for (; chain != NULL; chain = chain->next) {
        if (!chain->guarded) {
            if (weft_pages_guard(&pool->pages, weft_slot_guard(chain),
                                 pool->guard) < 0) {
                return;
            }
            is_guarded(pool, pile, chain);
        }
    }
}
