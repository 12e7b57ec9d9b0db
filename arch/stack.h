/* SPDX-License-Identifier: MIT */
/* Stacks for tasks: carved from slabs, a guard below each, used again and
 * again.
 *
 * Always true:
 * - Stack memory is type-stable: a stack is never unmapped before
 *   weft_stack_pool_free(), and its top page is never discarded. What the owner
 *   keeps in the topmost bytes (WEFT_STACK_TOP_KEEP of them) stays readable, by
 *   anybody, after the stack was given back. A stack that was never taken is
 *   zeroes.
 * - Below `low` lies a guard of at least WEFT_STACK_GUARD bytes that faults.
 * - Sizes come in classes, the powers of two from 16 KiB (more where a signal
 *   frame is large, see weft_stack_min_size()) to 1 GiB.
 *
 * Threads: take and give from any thread, preemption off (they hold a
 * weft_lock); find and each as they say. */
#ifndef WEFT_ARCH_STACK_H_
#define WEFT_ARCH_STACK_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of guard below a stack. gcc's -fstack-clash-protection touches a large
 * frame once in 4 KiB on x86-64, but once in 64 KiB on AArch64; clang's is like
 * the former. Code built without it may jump over any guard. */
#if defined(__aarch64__)
#define WEFT_STACK_GUARD (64 * 1024)
#else
#define WEFT_STACK_GUARD (16 * 1024)
#endif

/* The part of a stack's top that never goes away, whatever its colour. */
#define WEFT_STACK_TOP_KEEP 2048

/* Stacks begin at this many different offsets of 64 bytes below the end of
 * their last page. All tops at the same offset would share a few sets of the
 * first-level cache. */
#define WEFT_STACK_COLOURS 16

/* Memory nodes that a pool can tell apart. */
#define WEFT_STACK_NODES 16

struct weft_stack_slot;
struct weft_stack_pool;

/* A stack taken from a pool; a value, copied freely. */
struct weft_stack {
    char *low;   /* lowest usable byte, page-aligned; the guard is below it */
    size_t size; /* usable bytes above `low`, colouring already taken off; a
                  * multiple of 64, so low + size is 64-byte aligned */
    uint32_t colour;              /* size + colour is the class */
    struct weft_stack_slot *slot; /* the pool's own */
};

/* How overflow is caught. */
enum weft_stack_guard {
    WEFT_STACK_GUARD_AUTO,     /* MADV_GUARD_INSTALL if the kernel has it */
    WEFT_STACK_GUARD_MADVISE,  /* costs no VMA; Linux 6.13 and later */
    WEFT_STACK_GUARD_MPROTECT, /* two VMAs a stack: see weft_stack_take() */
};

/* Zero in any field means its default. */
struct weft_stack_pool_config {
    enum weft_stack_guard guard;
    /* Bytes of free stacks of a class that keep their pages; what is given
     * back beyond that keeps its top page alone. Default 64 MiB: 1,024 stacks
     * of 64 KiB, which seldom have more than two pages each. */
    size_t warm_bytes;
    /* Slabs start at 1 MiB and double up to this; a bigger stack is a slab of
     * its own. Default 1 GiB; those over 64 MiB are smaller where there is not
     * so much room. Address space, not memory. */
    size_t slab_bytes;
    /* 1 to WEFT_STACK_COLOURS; 1 is for benches. */
    uint32_t colours;
    /* MPROTECT: stacks of the pool at most. Default: what leaves one eighth of
     * vm.max_map_count to the rest of the process. */
    uint32_t max_guards;
    /* Memory nodes, 1 (the default) to WEFT_STACK_NODES: each has stacks of its
     * own, which come back to it whoever gives them back. With MPROTECT guards,
     * which are few, all share them: there it counts as 1. */
    uint32_t nodes;
    /* Tests: as weft_stack_pool_fail_nth(), from the pool's own making on. */
    uint32_t fail_nth;
};

/* A snapshot; fields may be of slightly different moments. */
struct weft_stack_pool_stats {
    enum weft_stack_guard guard; /* the one in use */
    uint64_t mapped;             /* bytes of address space in slabs */
    uint64_t made;               /* stacks ever made */
    uint64_t free_warm;          /* given back, with their pages */
    uint64_t free_cold;          /* given back, top page alone */
    uint64_t trims;              /* times a stack lost its lower pages */
};

/* 64 KiB; 256 KiB under address or thread sanitizer, whose frames are larger.
 * Context: anywhere. */
size_t weft_stack_default_size(void);

/* The smallest class: holds two signal frames (AT_MINSIGSTKSZ) and 4 KiB.
 * Context: any thread. */
size_t weft_stack_min_size(void);

/* Makes a pool, in *out; `config` may be NULL. Returns 0, -ENOMEM, -EINVAL
 * (colours, nodes or guard out of range), or -ENOTSUP (MADVISE asked where the
 * kernel lacks it). Context: any thread. */
int weft_stack_pool_new(struct weft_stack_pool **out,
                        const struct weft_stack_pool_config *config);

/* Unmaps everything, stacks still taken included; NULL is allowed.
 * Context: any thread, when nobody uses the pool or runs on one of its stacks;
 * a weft_overflow_install() on it has been undone. */
void weft_stack_pool_free(struct weft_stack_pool *pool);

/* Promises `n` stacks of `size` bytes (0: the default): as long as no more are
 * taken of that size than were reserved, there is room for them, and guards; so
 * that who will need a stack later hears now when there is none. It costs
 * address space, no memory, and is not looked at by take. (What is left to fail
 * then is the kernel, when it lacks memory for a guard's page table.)
 * Returns 0, -EINVAL (more than 1 GiB) or -ENOMEM as weft_stack_take(); all or
 * none. Context: as weft_stack_take(). */
int weft_stack_reserve(struct weft_stack_pool *pool, size_t size, uint32_t n);

/* Takes the promise back. Context: as weft_stack_give(). */
void weft_stack_unreserve(struct weft_stack_pool *pool, size_t size,
                          uint32_t n);

/* Takes a stack of `size` bytes (0: the default) rounded up to a class, less
 * its colour (at most 960 bytes). Its content is whatever the last user left,
 * zeroes at first; the lower pages may have become zeroes again.
 * Returns 0, -EINVAL (more than 1 GiB), -ENOMEM: no memory, or, with MPROTECT
 * guards, as many stacks as the kernel has VMAs for, about 28,000: a stack
 * without a guard is not handed out.
 * Context: any thread, preemption off. System calls only when no free stack is
 * left. */
int weft_stack_take(struct weft_stack_pool *pool, size_t size,
                    struct weft_stack *out);

/* Gives it back. The caller no longer runs on it.
 * Context: any thread, preemption off. */
void weft_stack_give(struct weft_stack_pool *pool,
                     const struct weft_stack *stack);

/* Takes up to `n` of one size under one lock, for a per-processor cache.
 * Returns how many, at least 1, or as weft_stack_take(). n = 0 returns 0. */
int weft_stack_take_batch(struct weft_stack_pool *pool, size_t size,
                          struct weft_stack *stacks, uint32_t n);

/* The same, those of `node` (modulo the pool's nodes): used before there, or
 * not at all. Another's when there is no memory for more. */
int weft_stack_take_near(struct weft_stack_pool *pool, size_t size,
                         uint32_t node, struct weft_stack *stacks, uint32_t n);

/* Whose stack it is. Context: anywhere. */
uint32_t weft_stack_node(const struct weft_stack *stack);

/* Gives back `n`, of any sizes; one lock for each run of equal sizes. */
void weft_stack_give_batch(struct weft_stack_pool *pool,
                           const struct weft_stack *stacks, uint32_t n);

/* Calls fn for every stack ever made, free ones included, in no useful order.
 * Stacks made meanwhile may be missed.
 * Context: any thread, no lock is held; signal handlers too. */
void weft_stack_pool_each(struct weft_stack_pool *pool,
                          void (*fn)(void *arg, const struct weft_stack *),
                          void *arg);

/* The stack that `addr` lies in, or whose guard it lies in (*in_guard).
 * Returns false when it is in neither.
 * Context: anywhere, signal handlers too; no lock. */
bool weft_stack_pool_find(struct weft_stack_pool *pool, const void *addr,
                          struct weft_stack *out, bool *in_guard);

/* Context: any thread, preemption off. */
void weft_stack_pool_stats(struct weft_stack_pool *pool,
                           struct weft_stack_pool_stats *out);

/* Tests: the nth mapping or guard from now (1 is the next) fails with ENOMEM,
 * once; 0 takes that back. Context: any thread. */
void weft_stack_pool_fail_nth(struct weft_stack_pool *pool, uint32_t nth);

/* Lists, counts and slabs agree; a broken pool aborts. For tests.
 * Context: any thread, preemption off; slow. */
bool weft_stack_pool_valid(struct weft_stack_pool *pool);

#endif
