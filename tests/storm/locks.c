/* SPDX-License-Identifier: MIT */
/* The locks of pthreads, which know their owner by its thread, held by tasks
 * that are interrupted. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/storm/kind.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"

/* Two numbers that are equal whenever nobody holds the lock. */
struct guarded {
    pthread_mutex_t lock;
    uint64_t a, b;
};

static bool make(struct guarded *g, int type, int robust, int protocol) {
    pthread_mutexattr_t attr;
    g->a = g->b = 0;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, type);
    pthread_mutexattr_setrobust(&attr, robust);
    bool done = pthread_mutexattr_setprotocol(&attr, protocol) == 0 &&
                pthread_mutex_init(&g->lock, &attr) == 0;
    pthread_mutexattr_destroy(&attr);
    return done;
}

static void unmake(struct guarded *g, uint64_t rounds) {
    WEFT_CHECK_OP(g->a, ==, rounds);
    WEFT_CHECK_OP(pthread_mutex_destroy(&g->lock), ==, 0);
}

/* Lock held. */
static void change(struct guarded *g) {
    g->a++;
    storm_work(300);
    g->b++;
    WEFT_CHECK_OP(g->a, ==, g->b);
}

/* Begin and end of a kind of mutex that is kept in `g`. */
#define MAKE_AND_UNMAKE(g, type, robust, protocol) \
    static bool make_##g(void) {                   \
        return make(&g, type, robust, protocol);   \
    }                                              \
    static void unmake_##g(uint64_t rounds) {      \
        unmake(&g, rounds);                        \
    }

static struct guarded normal, recursive, errorcheck, robust, pi;

MAKE_AND_UNMAKE(normal, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED,
                PTHREAD_PRIO_NONE)
MAKE_AND_UNMAKE(recursive, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED,
                PTHREAD_PRIO_NONE)
MAKE_AND_UNMAKE(errorcheck, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED,
                PTHREAD_PRIO_NONE)
MAKE_AND_UNMAKE(pi, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED,
                PTHREAD_PRIO_INHERIT)

static void lock_and_change(struct guarded *g) {
    WEFT_CHECK_OP(pthread_mutex_lock(&g->lock), ==, 0);
    change(g);
    WEFT_CHECK_OP(pthread_mutex_unlock(&g->lock), ==, 0);
}

static void use_normal(struct storm_task *self) {
    (void)self;
    lock_and_change(&normal);
}

STORM_KIND(mutex_normal, use_normal, make_normal, unmake_normal);

/* Longer than a quantum: who has it is interrupted. One of several, since a
 * lock that is always held changes hands once in a round of all. */
enum { LONG_LOCKS = 16 };

static struct guarded held_long[LONG_LOCKS];

static bool make_long(void) {
    bool made = true;
    for (int i = 0; i < LONG_LOCKS; i++) {
        made = make(&held_long[i], PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED,
                    PTHREAD_PRIO_NONE) &&
               made;
    }
    return made;
}

static void unmake_long(uint64_t rounds) {
    for (int i = 0; i < LONG_LOCKS; i++) {
        rounds -= held_long[i].a;
        unmake(&held_long[i], held_long[i].a);
    }
    WEFT_CHECK_OP(rounds, ==, 0U);
}

static void hold_long(struct storm_task *self) {
    struct guarded *g = &held_long[storm_random(self) % LONG_LOCKS];
    WEFT_CHECK_OP(pthread_mutex_lock(&g->lock), ==, 0);
    change(g);
    g->b--;
    storm_work(80000);
    g->b++;
    WEFT_CHECK_OP(pthread_mutex_unlock(&g->lock), ==, 0);
}

STORM_KIND(mutex_held_long, hold_long, make_long, unmake_long);

static void use_pi(struct storm_task *self) {
    (void)self;
    lock_and_change(&pi);
}

STORM_KIND(mutex_pi, use_pi, make_pi, unmake_pi);

static void use_recursive(struct storm_task *self) {
    (void)self;
    WEFT_CHECK_OP(pthread_mutex_lock(&recursive.lock), ==, 0);
    lock_and_change(&recursive);
    storm_work(100);
    WEFT_CHECK_OP(recursive.a, ==, recursive.b);
    WEFT_CHECK_OP(pthread_mutex_unlock(&recursive.lock), ==, 0);
}

STORM_KIND(mutex_recursive, use_recursive, make_recursive, unmake_recursive);

static void use_errorcheck(struct storm_task *self) {
    (void)self;
    if (!WEFT_TSAN) { /* which makes it an error of the program */
        WEFT_CHECK_OP(pthread_mutex_unlock(&errorcheck.lock), ==, EPERM);
    }
    WEFT_CHECK_OP(pthread_mutex_lock(&errorcheck.lock), ==, 0);
    change(&errorcheck);
    if (!WEFT_TSAN) {
        WEFT_CHECK_OP(pthread_mutex_lock(&errorcheck.lock), ==, EDEADLK);
    }
    WEFT_CHECK_OP(pthread_mutex_unlock(&errorcheck.lock), ==, 0);
}

STORM_KIND(mutex_errorcheck, use_errorcheck, make_errorcheck,
           unmake_errorcheck);

/* ThreadSanitizer does not see what a dead owner's lock hands over, and an
 * emulator's kernel does not hand it over. */
static bool owners_die;

static bool make_robust(void) {
    owners_die = !WEFT_TSAN && !storm_is_emulated();
    return make(&robust, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST,
                PTHREAD_PRIO_NONE);
}

static void unmake_robust(uint64_t rounds) {
    unmake(&robust, rounds);
}

/* The last owner may have died between the two numbers. */
static void lock_robust(void) {
    int result = pthread_mutex_lock(&robust.lock);
    if (result == EOWNERDEAD) {
        robust.b = robust.a;
        WEFT_CHECK_OP(pthread_mutex_consistent(&robust.lock), ==, 0);
        result = 0;
    }
    WEFT_CHECK_OP(result, ==, 0);
    WEFT_CHECK_OP(robust.a, ==, robust.b);
}

static void *die_as_owner(void *arg) {
    lock_robust();
    robust.a++;
    return arg;
}

static void use_robust(struct storm_task *self) {
    pthread_t thread;
    if (owners_die && (self->index + self->rounds) % 64 == 63) {
        WEFT_CHECK_OP(pthread_create(&thread, NULL, die_as_owner, NULL), ==, 0);
        WEFT_CHECK_OP(pthread_join(thread, NULL), ==, 0);
        return;
    }
    lock_robust();
    change(&robust);
    WEFT_CHECK_OP(pthread_mutex_unlock(&robust.lock), ==, 0);
}

STORM_KIND(mutex_robust, use_robust, make_robust, unmake_robust);

/* --- reader-writer lock -----------------------------------------------------
 */

static struct {
    pthread_rwlock_t lock;
    uint64_t a, b;
    _Atomic uint64_t reads;
} shelf;

static bool make_shelf(void) {
    shelf.a = shelf.b = 0;
    atomic_store_explicit(&shelf.reads, 0, memory_order_relaxed);
    return pthread_rwlock_init(&shelf.lock, NULL) == 0;
}

static void unmake_shelf(uint64_t rounds) {
    WEFT_CHECK_OP(
        shelf.a + atomic_load_explicit(&shelf.reads, memory_order_relaxed), ==,
        rounds);
    WEFT_CHECK_OP(pthread_rwlock_destroy(&shelf.lock), ==, 0);
}

static void read_or_write(struct storm_task *self) {
    if ((self->index + self->rounds) % 8 == 0) {
        WEFT_CHECK_OP(pthread_rwlock_wrlock(&shelf.lock), ==, 0);
        shelf.a++;
        storm_work(200);
        shelf.b++;
        if (!WEFT_TSAN) {
            WEFT_CHECK_OP(pthread_rwlock_rdlock(&shelf.lock), ==, EDEADLK);
        }
    } else {
        WEFT_CHECK_OP(pthread_rwlock_rdlock(&shelf.lock), ==, 0);
        uint64_t a = shelf.a;
        storm_work(200);
        WEFT_CHECK_OP(shelf.a, ==, a);
        WEFT_CHECK_OP(shelf.b, ==, a);
        atomic_fetch_add_explicit(&shelf.reads, 1, memory_order_relaxed);
    }
    WEFT_CHECK_OP(pthread_rwlock_unlock(&shelf.lock), ==, 0);
}

STORM_KIND(rwlock, read_or_write, make_shelf, unmake_shelf);

/* --- once --------------------------------------------------------------------
 */

enum { ONCES = 1 << 15, TOGETHER = 4 };

static pthread_once_t onces[ONCES];
static unsigned char initialised[ONCES];
static _Atomic uint64_t next_once;
static _Thread_local unsigned char *to_initialise;

static bool make_onces(void) {
    for (int i = 0; i < ONCES; i++) {
        onces[i] = (pthread_once_t)PTHREAD_ONCE_INIT;
    }
    memset(initialised, 0, sizeof initialised);
    atomic_store_explicit(&next_once, 0, memory_order_relaxed);
    return true;
}

static void initialise(void) {
    unsigned char *what = to_initialise;
    storm_work(500);
    WEFT_CHECK_OP(to_initialise, ==, what);
    ++*what;
}

/* A few tasks come to each at about the same time. */
static void call_once(struct storm_task *self) {
    uint64_t i =
        atomic_fetch_add_explicit(&next_once, 1, memory_order_relaxed) /
        TOGETHER % ONCES;
    (void)self;
    to_initialise = &initialised[i];
    WEFT_CHECK_OP(pthread_once(&onces[i], initialise), ==, 0);
    WEFT_CHECK_OP(initialised[i], ==, 1);
}

STORM_KIND(pthread_once, call_once, make_onces, NULL);
