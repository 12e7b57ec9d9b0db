/* SPDX-License-Identifier: MIT */
/* The inside of a stack pool, for stack.c, stack_make.c and stack_look.c alone;
 * stack.c tells how it works. */
#ifndef WEFT_ARCH_STACK_POOL_H_
#define WEFT_ARCH_STACK_POOL_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/arch/pages.h"
#include "weft/arch/stack.h"
#include "weft/base/compiler.h"
#include "weft/base/lock.h"

enum {
    CLASS_SHIFT = 14, /* the smallest class is 16 KiB... */
    CLASSES = 17,     /* ...the largest 1 GiB */
    COLOUR_BYTES = 64,
    WEFT_STACK_RUN = 32, /* slots prepared by one call */
};

#define WEFT_STACK_FIRST_SLAB ((size_t)1 << 20)
#define WEFT_STACK_ANY_NODE   UINT32_MAX

enum slot_state { SLOT_FRESH, SLOT_TAKEN, SLOT_FREE };

struct weft_stack_slot {
    struct weft_stack_slot *next; /* in a list: its class's lock */
    struct slab *slab;            /* fixed once it was taken */
    uint8_t state;                /* its class's lock */
    bool guarded;                 /* whoever took the slot out of a list */
    uint32_t valgrind;            /* its number for the stack */
};

struct slab {
    /* Fixed once it is published. */
    struct slab *next;
    char *first; /* the lowest guard */
    size_t mapped;
    size_t stride;
    uint32_t kind;
    uint32_t count;
    uint32_t node;
    /* Slots taken so far, from 0 up; written under the class's lock. What lies
     * past them is zeroes, and no memory. */
    _Atomic uint32_t made;
    /* Class's lock: the slabs with fresh slots. */
    struct slab *next_fresh;
    struct weft_stack_slot slots[];
};

/* Of one class, what lies in slabs of one memory node. */
struct shelf {
    struct weft_stack_slot *warm, *cold;
    struct slab *fresh;
};

/* What there is of one class. */
struct pile {
    struct weft_lock lock;
    uint32_t warm_max; /* fixed after pool_new */
    /* The rest under the lock. */
    struct shelf shelves[WEFT_STACK_NODES];
    size_t next_slab;
    uint32_t turn; /* the node that the next slab for a promise is of */
    uint64_t warm_count, cold_count;
    uint64_t made, taken, trims;
    uint64_t mapped;
    uint64_t slots;           /* in all slabs, fresh ones included */
    uint64_t reserved;        /* stacks that were promised, taken or not */
    uint64_t ahead;           /* taken to be prepared, for nobody yet */
    _Atomic uint32_t guarded; /* any thread: slots with a guard */
    _Atomic uint32_t shallow; /* any thread: see trim() */
} WEFT_CACHE_ALIGNED;

struct weft_stack_pool {
    /* Fixed after pool_new. */
    size_t page;
    size_t guard;
    size_t slab_bytes;
    size_t min_size;
    uint32_t colours;
    uint32_t nodes;
    struct weft_pages pages;
    /* Any thread: pushed with release, never taken out. */
    _Atomic(struct slab *) slabs;
    struct pile classes[CLASSES];
};

/* stack_make.c, without the class's lock. Adds a slab to a class, for a node
 * (WEFT_STACK_ANY_NODE: for each in turn): 0 or -ENOMEM. */
int weft_stack_grow(struct weft_stack_pool *pool, uint32_t index,
                    uint32_t node);

/* Guards the slots of a chain, which are the caller's, and fills their top
 * pages where that is cheap: from the first one on until one fails; see
 * `guarded`. */
void weft_slots_prepare(struct weft_stack_pool *pool, struct pile *pile,
                        struct weft_stack_slot *chain);

/* Tells leak checkers and valgrind of a stack that was made, or will go. */
void weft_slot_tell(const struct weft_stack_pool *pool,
                    struct weft_stack_slot *slot, bool alive);

static inline size_t weft_round_to(size_t value, size_t unit) {
    return (value + unit - 1) / unit * unit;
}

static inline size_t weft_class_size(uint32_t kind) {
    return (size_t)1 << (CLASS_SHIFT + kind);
}

static inline char *weft_slot_guard(const struct weft_stack_slot *slot) {
    const struct slab *slab = slot->slab;
    return slab->first + (size_t)(slot - slab->slots) * slab->stride;
}

static inline void weft_slot_stack(const struct weft_stack_pool *pool,
                                   struct weft_stack_slot *slot,
                                   struct weft_stack *out) {
    size_t index = (size_t)(slot - slot->slab->slots);
    out->colour = (uint32_t)(index % pool->colours) * COLOUR_BYTES;
    out->low = weft_slot_guard(slot) + pool->guard;
    out->size = weft_class_size(slot->slab->kind) - out->colour;
    out->slot = slot;
}

#endif
