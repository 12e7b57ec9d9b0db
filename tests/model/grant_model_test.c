/* SPDX-License-Identifier: MIT */
/* The mutex, the semaphore, the rwlock and the event (sync/) in the checker,
 * each with its wait list: who is given what, and who gives up meanwhile.
 *
 * Checked: nobody is inside beside another that keeps it out, and who goes in
 * sees what was done inside before (the data is plain); who gave up was given
 * nothing, and takes nobody's turn with it; nobody sleeps beside a free lock;
 * and the memory may go as soon as the header says: the last one out writes
 * over all of it, where a late touch of another would be a race. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "tasks.h"
#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/sync/event.h"
#include "weft/sync/mutex.h"
#include "weft/sync/rwlock.h"
#include "weft/sync/semaphore.h"

enum { DEADLINE = 1 }; /* has passed whenever the model likes */

static union {
    struct weft_mutex mutex;
    struct weft_semaphore semaphore;
    struct weft_rwlock rwlock;
    struct weft_event event;
    uint64_t words[8];
} at;

/* Plain: a race on it is an order missing, or two that should not be inside at
 * once. */
static uint32_t inside, left, users;
static bool frees;

static uint32_t written(void) {
    return ++inside;
}

/* The last of all writes over the memory. Returns whether it is the caller.
 * Context: inside. */
static bool is_last(void) {
    return ++left == users && frees;
}

static void free_it(bool last) {
    for (int i = 0; last && i < 8; i++) {
        at.words[i] = ~UINT64_C(0);
    }
}

/* --- the mutex ---------------------------------------------------------------
 */

static void locks(void) {
    weft_mutex_lock(&at.mutex);
    written();
    bool last = is_last();
    weft_mutex_unlock(&at.mutex);
    free_it(last);
}

static void locks_or_gives_up(void) {
    int error = weft_mutex_lock_until(&at.mutex, DEADLINE);
    if (error == 0) {
        written();
        weft_mutex_unlock(&at.mutex);
    } else {
        WEFT_CHECK_OP(error, ==, -ETIMEDOUT);
    }
}

static void set_up(void (*name_words)(void), uint64_t step) {
    tasks_reset(WEFT_MS, step);
    memset(&at, 0, sizeof(at));
    inside = left = 0;
    users = (uint32_t)model_arg();
    frees = users != 0;
    name_words();
    model_label(&at, sizeof(at), "the structure");
    model_label(&inside, sizeof(inside), "what is inside");
    model_label(&left, sizeof(left), "who has left");
}

static void name_mutex(void) {
    model_name(&at.mutex.word, sizeof(at.mutex.word), "word");
    model_name(&at.mutex.waiters.lock, sizeof(at.mutex.waiters.lock), "lock");
}

static void set_up_mutex(void) {
    set_up(name_mutex, 0);
}

/* Who has waited once is out of patience. */
static void set_up_impatient_mutex(void) {
    set_up(name_mutex, 2 * WEFT_MS);
}

static void check_mutex(void) {
    WEFT_CHECK(frees || weft_mutex_try_lock(&at.mutex));
}

/* --- the semaphore -----------------------------------------------------------
 */

static void acquires(void) {
    WEFT_CHECK_OP(weft_semaphore_acquire(&at.semaphore), ==, 0);
    written();
    bool last = is_last();
    weft_semaphore_release(&at.semaphore, 1);
    free_it(last);
}

static void acquires_or_gives_up(void) {
    int error = weft_semaphore_acquire_until(&at.semaphore, DEADLINE);
    if (error == 0) {
        written();
        weft_semaphore_release(&at.semaphore, 1);
    } else {
        WEFT_CHECK_OP(error, ==, -ETIMEDOUT);
    }
}

static void name_semaphore(void) {
    weft_semaphore_init(&at.semaphore, 1);
    model_name(&at.semaphore.word, sizeof(at.semaphore.word), "word");
    model_name(&at.semaphore.waiters.lock, sizeof(at.semaphore.waiters.lock),
               "lock");
}

static void set_up_semaphore(void) {
    set_up(name_semaphore, 0);
}

static void check_semaphore(void) {
    WEFT_CHECK(frees || weft_semaphore_value(&at.semaphore) == 1);
}

/* --- the rwlock --------------------------------------------------------------
 */

static void writes(void) {
    weft_rwlock_write_lock(&at.rwlock);
    written();
    bool last = is_last();
    weft_rwlock_write_unlock(&at.rwlock);
    free_it(last);
}

static void writes_or_gives_up(void) {
    int error = weft_rwlock_write_lock_until(&at.rwlock, DEADLINE);
    if (error == 0) {
        written();
        weft_rwlock_write_unlock(&at.rwlock);
    } else {
        WEFT_CHECK_OP(error, ==, -ETIMEDOUT);
    }
}

/* Only reads, so that two may be inside: never the last. */
static void reads(void) {
    weft_rwlock_read_lock(&at.rwlock);
    WEFT_CHECK_OP(inside, <=, 2u);
    weft_rwlock_read_unlock(&at.rwlock);
}

static void name_rwlock(void) {
    model_name(&at.rwlock.word, sizeof(at.rwlock.word), "word");
    model_name(&at.rwlock.waiters.lock, sizeof(at.rwlock.waiters.lock), "lock");
}

static void set_up_rwlock(void) {
    set_up(name_rwlock, 0);
}

static void check_rwlock(void) {
    WEFT_CHECK(frees || weft_rwlock_try_write_lock(&at.rwlock));
}

/* --- the event ---------------------------------------------------------------
 */

static void sets(void) {
    written();
    weft_event_set(&at.event);
}

/* The only one that waits: the event may go when it has happened. */
static void waits(void) {
    WEFT_CHECK_OP(weft_event_wait(&at.event), ==, 0);
    WEFT_CHECK_OP(inside, ==, 1u);
    free_it(frees);
}

static void waits_too(void) {
    WEFT_CHECK_OP(weft_event_wait(&at.event), ==, 0);
    WEFT_CHECK_OP(inside, ==, 1u);
}

static void waits_or_gives_up(void) {
    int error = weft_event_wait_until(&at.event, DEADLINE);
    if (error == 0) {
        WEFT_CHECK_OP(inside, ==, 1u);
    } else {
        WEFT_CHECK_OP(error, ==, -ETIMEDOUT);
    }
}

static void name_event(void) {
    model_name(&at.event.word, sizeof(at.event.word), "word");
    model_name(&at.event.waiters.lock, sizeof(at.event.waiters.lock), "lock");
}

static void set_up_event(void) {
    set_up(name_event, 0);
}

static void check_event(void) {
    WEFT_CHECK(frees || weft_event_try_wait(&at.event));
}

/* --- all of them -------------------------------------------------------------
 */

/* `last`: how many leave before the memory goes; 0: it stays. `switches`: the
 * bound on preemptions. */
#define SCENARIO(kind, title, last, switches, ...)                        \
    {                                                                     \
        .name = title, .set_up = set_up_##kind, .threads = {__VA_ARGS__}, \
        .check = check_##kind, .preemptions = switches, .stale = 1,       \
        .arg = last                                                       \
    }
#define check_impatient_mutex check_mutex

static const struct model_scenario mutexes[] = {
    SCENARIO(mutex, "the last of two frees it", 2, 2, locks, locks),
    SCENARIO(mutex, "three lock", 3, 2, locks, locks, locks),
    SCENARIO(mutex, "one of three gives up", 0, 2, locks, locks_or_gives_up,
             locks),
    SCENARIO(impatient_mutex, "handed over", 3, 2, locks, locks, locks),
    SCENARIO(impatient_mutex, "handed over or given up", 0, 2, locks,
             locks_or_gives_up, locks),
};

static const struct model_scenario semaphores[] = {
    SCENARIO(semaphore, "the last of two frees it", 2, 2, acquires, acquires),
    SCENARIO(semaphore, "three acquire", 3, 2, acquires, acquires, acquires),
    SCENARIO(semaphore, "one of three gives up", 0, 2, acquires,
             acquires_or_gives_up, acquires),
};

static const struct model_scenario rwlocks[] = {
    SCENARIO(rwlock, "the last of two frees it", 2, 2, writes, writes),
    SCENARIO(rwlock, "two readers", 0, 2, reads, writes, reads),
    SCENARIO(rwlock, "a writer gives up", 0, 2, reads, writes_or_gives_up,
             reads),
    SCENARIO(rwlock, "between writers", 0, 1, writes, writes_or_gives_up,
             reads),
};

static const struct model_scenario events[] = {
    SCENARIO(event, "who has waited frees it", 1, 2, sets, waits),
    SCENARIO(event, "two wait", 0, 2, sets, waits, waits_too),
    SCENARIO(event, "one gives up", 0, 1, sets, waits_or_gives_up, waits_too),
};

#define COUNT(all) (sizeof(all) / sizeof((all)[0]))

#define RIGHT_AND_NEEDED(all, spared, spared_count)                     \
    static void all##_keep_order(void **state) {                        \
        (void)state;                                                    \
        for (size_t i = 0; i < COUNT(all); i++) {                       \
            model_expect_right(&all[i]);                                \
        }                                                               \
        model_expect_all_needed(all, COUNT(all), spared, spared_count); \
    }

/* Of the event. Thread 0 is the one that sets: there is nothing before it to
 * acquire. Who waits only adds a bit, which goes on with the release of others
 * whatever its own order is. */
static const struct model_fault spared_by_events[] = {
    {"word", MODEL_LOAD, memory_order_acquire, memory_order_relaxed, 0},
    {"word", MODEL_REFUSED, memory_order_acquire, memory_order_relaxed, 0},
    {"word", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_release, -1},
    {"word", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_acquire, 1},
    {"word", MODEL_EXCHANGE, memory_order_acq_rel, memory_order_acquire, 2},
};

RIGHT_AND_NEEDED(mutexes, NULL, 0)
RIGHT_AND_NEEDED(semaphores, NULL, 0)
RIGHT_AND_NEEDED(rwlocks, NULL, 0)
RIGHT_AND_NEEDED(events, spared_by_events, COUNT(spared_by_events))

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutexes_keep_order),
        cmocka_unit_test(semaphores_keep_order),
        cmocka_unit_test(rwlocks_keep_order),
        cmocka_unit_test(events_keep_order),
    };
    model_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
