/* SPDX-License-Identifier: MIT */
/* One holder at a time, whoever comes how, and nobody sleeps for ever. The
 * counters under the lock are plain, so that ThreadSanitizer sees a lock whose
 * orders are too weak. */
#include "weft/base/lock.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 50000 };

struct shared {
    struct weft_lock lock;
    uint64_t count;      /* under lock */
    int holders;         /* under lock: 1 while somebody is inside */
    uint64_t violations; /* under lock */
    bool linger;         /* fixed: give the CPU away while holding the lock */
};

static void visit(struct shared *s) {
    if (++s->holders != 1) {
        s->violations++;
    }
    s->count++;
    if (s->linger) {
        sched_yield(); /* the others find it held, spin, and sleep */
    }
    s->holders--;
}

static void *come_and_go(void *arg) {
    struct shared *s = arg;
    int rounds = s->linger ? ROUNDS / 20 : ROUNDS;
    for (int i = 0; i < rounds; i++) {
        weft_lock_acquire(&s->lock);
        visit(s);
        weft_lock_release(&s->lock);
    }
    return NULL;
}

static void *try_until_it_works(void *arg) {
    struct shared *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        while (!weft_lock_try(&s->lock)) {
            sched_yield();
        }
        visit(s);
        weft_lock_release(&s->lock);
    }
    return NULL;
}

static void run(struct shared *s, void *(*first)(void *), uint64_t expected) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, i == 0 ? first : come_and_go, s),
            0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(s->count, expected);
    assert_int_equal(s->violations, 0);
    /* Free, and known to be free: no later release pays for a wake-up. */
    assert_int_equal(atomic_load_explicit(&s->lock.word, memory_order_relaxed),
                     0);
}

static void one_holder_at_a_time(void **state) {
    struct shared s = {.linger = false};
    run(&s, come_and_go, (uint64_t)THREADS * ROUNDS);
}

static void sleepers_behind_a_slow_holder_all_wake(void **state) {
    struct shared s = {.linger = true};
    run(&s, come_and_go, (uint64_t)THREADS * (ROUNDS / 20));
}

static void try_and_acquire_exclude_each_other(void **state) {
    struct shared s = {.linger = false};
    run(&s, try_until_it_works, (uint64_t)THREADS * ROUNDS);
}

static void try_does_not_take_a_held_lock(void **state) {
    struct weft_lock lock = {0};
    assert_true(weft_lock_try(&lock));
    assert_false(weft_lock_try(&lock));
    weft_lock_release(&lock);
    assert_true(weft_lock_try(&lock));
    weft_lock_release(&lock);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(try_does_not_take_a_held_lock),
        cmocka_unit_test(one_holder_at_a_time),
        cmocka_unit_test(sleepers_behind_a_slow_holder_all_wake),
        cmocka_unit_test(try_and_acquire_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
