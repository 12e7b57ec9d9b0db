/* SPDX-License-Identifier: MIT */
/* Memory for the records of tasks, apart from their stacks: a task that has not
 * begun costs a record and no page of a stack.
 *
 * A record has parts of one size, which do not lie side by side: first parts
 * lie next to first parts, second parts next to second ones,
 * WEFT_RECORDS_DISTANCE bytes on, and so forth. What is used of many records is
 * without gaps then, if it is in one part of each. record.h says what that is
 * worth.
 *
 * Always true:
 * - Type-stable: a record is a record, free or not, until
 *   weft_records_fini(). Who holds a pointer to a task that has ended may still
 *   read it, and finds some other task's, or a free one's.
 * - A record that was never taken is zeroes; one that was given back is as its
 *   last user left it.
 *
 * The owner caches: take and give move batches under a lock, linked by the node
 * at the beginning of each record.
 *
 * Context of all: any thread, preemption off. */
#ifndef WEFT_SCHED_RECORDS_H_
#define WEFT_SCHED_RECORDS_H_

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/base/compiler.h"
#include "weft/base/lock.h"
#include "weft/queue/node.h"

struct weft_record_slab;

/* From a part of a record to its next one: 2 MiB for those in between, and a
 * line, so that the parts of one record are not at the same place of a page. (A
 * CPU compares the last 12 bits first when a load may need an earlier store.)
 */
#define WEFT_RECORDS_DISTANCE ((2 << 20) + WEFT_CACHE_LINE)

struct weft_records {
    size_t part;         /* bytes of each; fixed after init */
    uint32_t parts;      /* fixed after init */
    uint32_t slab_count; /* records in a slab; fixed after init */
    /* Pushed with release, never taken out. */
    _Atomic(struct weft_record_slab *) slabs;

    struct weft_lock lock;
    struct weft_batch free;         /* under lock */
    struct weft_record_slab *fresh; /* under lock: it may have unused ones */
};

/* Records of so many parts of `part` bytes, a multiple of a cache line; the
 * first part of each begins with a struct weft_node. Maps nothing yet. Context:
 * before anybody else looks. */
void weft_records_init(struct weft_records *records, uint32_t parts,
                       size_t part);

/* Unmaps everything. Context: when nobody looks any more. */
void weft_records_fini(struct weft_records *records);

/* Moves up to `n` records to the end of *out. Returns how many, 0 when there is
 * no memory. System calls only when none is free. */
uint32_t weft_records_take(struct weft_records *records, uint32_t n,
                           struct weft_batch *out);

/* Gives back all of `batch`, which is then empty. */
void weft_records_give(struct weft_records *records, struct weft_batch *batch);

/* Calls fn for every record that was ever taken, free ones included. Records
 * taken meanwhile may be missed. No lock is held. */
void weft_records_each(struct weft_records *records,
                       void (*fn)(void *arg, void *record), void *arg);

#endif
