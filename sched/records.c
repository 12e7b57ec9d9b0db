/* SPDX-License-Identifier: MIT */
/* Slabs of records.
 *
 *     | header | part 0 of all | line | part 1 of all | line | part 2 ... |
 *              |<-------- DISTANCE ------->|
 *
 * A slab is one mapping, of 2 MiB for each part. Memory that nobody has touched
 * is none: a small program has a page of each part that it uses. From the
 * second slab on they are aligned and advised so that the kernel may take pages
 * of 2 MiB for them: the first parts of a million records are 64 MB, which in
 * small pages are 16,000 faults and far more entries than any TLB has. Records
 * that were never used are taken in the order of their addresses, so that
 * whoever makes many at once, runs them in turn and joins them in turn walks
 * through memory and is prefetched.
 *
 * Always true: a slab's first `made` records have been taken, the others are
 * zeroes; `fresh` is the newest slab, older ones are used up.
 *
 * Rejected: malloc(3), which an interrupted task may be in the middle of;
 * records in the tops of stacks, as it was: then a task touches a page when it
 * is made (10 us for the clearing of it and the guard, with a million of them),
 * and memory that is used again and again is spread over as many pages. Small
 * slabs at first, that double: the distance from part to part is to be a
 * constant, and what is mapped and not touched costs nothing. */
#include "weft/sched/records.h"

#include <stdbool.h>
#include <sys/mman.h>

#include "weft/base/check.h"
#include "weft/base/compiler.h"

#if WEFT_ASAN
#include <sanitizer/lsan_interface.h>
#endif

enum { HUGE = 2 << 20 };

struct weft_record_slab {
    struct weft_record_slab *next; /* fixed once it is published */
    _Atomic uint32_t made;         /* written under the lock */
};

_Static_assert(sizeof(struct weft_record_slab) <= WEFT_CACHE_LINE,
               "the header is a line");

static char *record_at(const struct weft_records *records,
                       struct weft_record_slab *slab, uint32_t i) {
    return (char *)slab + WEFT_CACHE_LINE + i * records->part;
}

static size_t slab_size(const struct weft_records *records) {
    return records->parts * (size_t)HUGE;
}

/* Maps `size` bytes of zeroes, NULL: none. `many` is whether they are to lie in
 * huge pages. */
static void *map(size_t size, bool many) {
    size_t align = many ? HUGE : 0;
    char *p = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    if (many) {
        size_t head = (align - (uintptr_t)p % align) % align;
        if (head != 0) {
            munmap(p, head);
        }
        if (head != align) {
            munmap(p + head + size, align - head);
        }
        p += head;
    }
    /* A kernel without huge pages says no, and there are none then. One that
     * takes them unasked would take three for the first task. */
    madvise(p, size, many ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return p;
}

/* Adds a slab; false when there is no memory. Under the lock: a slab is made
 * for so many records that the call does not count. */
static bool grow(struct weft_records *records) {
    struct weft_record_slab *before =
        atomic_load_explicit(&records->slabs, memory_order_relaxed);
    struct weft_record_slab *slab = map(slab_size(records), before != NULL);
    if (slab == NULL) {
        return false;
    }
    slab->next = before;
    /* Release: the header. Pairs with the acquire in weft_records_each(). */
    atomic_store_explicit(&records->slabs, slab, memory_order_release);
#if WEFT_ASAN
    /* What a task's argument points to is no leak. */
    __lsan_register_root_region(slab, slab_size(records));
#endif
    records->fresh = slab;
    return true;
}

void weft_records_init(struct weft_records *records, uint32_t parts,
                       size_t part) {
    WEFT_CHECK_OP(part % WEFT_CACHE_LINE, ==, 0U);
    *records = (struct weft_records){
        .part = part,
        .parts = parts,
        /* All parts of the last one end in the slab: the header is a line, and
         * each distance one more than HUGE. */
        .slab_count = (uint32_t)((HUGE - parts * WEFT_CACHE_LINE) / part),
    };
    weft_batch_init(&records->free);
}

void weft_records_fini(struct weft_records *records) {
    struct weft_record_slab *slab =
        atomic_load_explicit(&records->slabs, memory_order_relaxed);
    while (slab != NULL) {
        struct weft_record_slab *next = slab->next;
#if WEFT_ASAN
        __lsan_unregister_root_region(slab, slab_size(records));
#endif
        munmap(slab, slab_size(records));
        slab = next;
    }
    weft_records_init(records, records->parts, records->part);
}

/* A record that was never used, or NULL. Under the lock. */
static struct weft_node *take_fresh(struct weft_records *records) {
    struct weft_record_slab *slab = records->fresh;
    uint32_t made = 0;
    if (slab != NULL) {
        made = atomic_load_explicit(&slab->made, memory_order_relaxed);
    }
    if (slab == NULL || made == records->slab_count) {
        if (!grow(records)) {
            return NULL;
        }
        slab = records->fresh;
        made = 0;
    }
    /* Relaxed: it publishes nothing. Who walks the slab reads zeroes, or what
     * is atomic in a record. */
    atomic_store_explicit(&slab->made, made + 1, memory_order_relaxed);
    return (struct weft_node *)(void *)record_at(records, slab, made);
}

WEFT_TEXT uint32_t weft_records_take(struct weft_records *records, uint32_t n,
                                     struct weft_batch *out) {
    struct weft_batch some;
    uint32_t got = 0;
    weft_lock_acquire(&records->lock);
    if (records->free.count > 0) {
        weft_batch_split(&records->free, n, &some);
        got = some.count;
        weft_batch_append(out, &some);
    }
    while (got < n) {
        struct weft_node *node = take_fresh(records);
        if (node == NULL) {
            break;
        }
        weft_batch_push(out, node);
        got++;
    }
    weft_lock_release(&records->lock);
    return got;
}

WEFT_TEXT void weft_records_give(struct weft_records *records,
                                 struct weft_batch *batch) {
    weft_lock_acquire(&records->lock);
    /* First, last: what is in a cache is used again first. */
    weft_batch_append(batch, &records->free);
    weft_batch_append(&records->free, batch);
    weft_lock_release(&records->lock);
}

void weft_records_each(struct weft_records *records,
                       void (*fn)(void *arg, void *record), void *arg) {
    /* Acquire: pairs with the release in grow(). */
    struct weft_record_slab *slab =
        atomic_load_explicit(&records->slabs, memory_order_acquire);
    for (; slab != NULL; slab = slab->next) {
        uint32_t made = atomic_load_explicit(&slab->made, memory_order_relaxed);
        for (uint32_t i = 0; i < made; i++) {
            fn(arg, record_at(records, slab, i));
        }
    }
}
