/* SPDX-License-Identifier: MIT */
/* A lock for many readers or one writer. Who waits parks the task, never its
 * thread.
 *
 * First come, first served: a reader that comes while a writer waits is served
 * after it, and neighbouring readers go in together. So neither starves, and a
 * reader must not lock again what it has locked to read: with a writer in
 * between it would wait for itself.
 *
 * For critical sections that are long or where readers are many; else a mutex
 * is cheaper, since all readers write the same word. */
#ifndef WEFT_SYNC_RWLOCK_H_
#define WEFT_SYNC_RWLOCK_H_

#include <stdbool.h>
#include <stdint.h>

#include "weft/sync/wait_list.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zeroes is unlocked. The memory may go when nobody holds it, waits for it
 * or calls for it any more; the unlock before need not have returned. */
struct weft_rwlock {
    WEFT_SYNC_ATOMIC(uint64_t) word; /* see rwlock.c */
    /* Who writes: a task, 1 for a thread that weft does not know, else 0. The
     * writer's to change; others look whether it is them. */
    WEFT_SYNC_ATOMIC(uintptr_t) writer;
    struct weft_wait_list waiters;
};

/* clang-format off */
#define WEFT_RWLOCK_INIT {0}
/* clang-format on */

/* Locks `l` to read, together with other readers, or to write, alone; waits as
 * long as it takes, also in a cancelled task (a clean-up must be able to lock).
 * A task that writes and locks again stops the program. One atomic operation
 * when nobody is in the way.
 * Context: any thread; a task may switch, another thread blocks. */
void weft_rwlock_read_lock(struct weft_rwlock *l);
void weft_rwlock_write_lock(struct weft_rwlock *l);

/* The same without waiting; returns whether it is locked now. Nobody who waits
 * is overtaken. Context: any thread, does not switch. */
bool weft_rwlock_try_read_lock(struct weft_rwlock *l);
bool weft_rwlock_try_write_lock(struct weft_rwlock *l);

/* The same, but gives up at `deadline`. Returns 0, -ETIMEDOUT, or -ENOMEM when
 * no timer could be had; a free lock is taken whatever the deadline. */
int weft_rwlock_read_lock_until(struct weft_rwlock *l, uint64_t deadline);
int weft_rwlock_write_lock_until(struct weft_rwlock *l, uint64_t deadline);

/* Unlocks. Stops the program when it is not locked in that way, or when another
 * task writes. A lock to read may be unlocked by another than who locked.
 * Context: any thread; may switch when somebody waits. */
void weft_rwlock_read_unlock(struct weft_rwlock *l);
void weft_rwlock_write_unlock(struct weft_rwlock *l);

#ifdef __cplusplus
}
#endif

#endif
