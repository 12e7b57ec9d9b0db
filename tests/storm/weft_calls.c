/* SPDX-License-Identifier: MIT */
/* Tasks that call weft among all the others: so that threads and processors
 * change hands by yields, sleeps, births and blocking calls as well. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/storm/blocking.h"

static void yield_and_sleep(struct storm_task *self) {
    for (int i = 0; i < 10; i++) {
        weft_yield();
    }
    if (self->rounds % 8 == 0) {
        uint64_t end = weft_now() + 50 * WEFT_US;
        WEFT_CHECK_OP(weft_sleep_until(end), ==, 0);
        WEFT_CHECK(weft_now() >= end);
    }
}

STORM_KIND(yield_sleep, yield_and_sleep, NULL, NULL);

/* A tree of tasks: each returns the number of leaves below it. */
static void *grow(void *depth) {
    uintptr_t d = (uintptr_t)depth;
    void *left, *right;
    if (d == 0) {
        storm_work(500);
        return (void *)1;
    }
    struct weft_task *one = start(grow, (void *)(d - 1));
    struct weft_task *other = start(grow, (void *)(d - 1));
    WEFT_CHECK_OP(weft_join(one, &left), ==, 0);
    WEFT_CHECK_OP(weft_join(other, &right), ==, 0);
    return (void *)((uintptr_t)left + (uintptr_t)right);
}

static void grow_tree(struct storm_task *self) {
    (void)self;
    WEFT_CHECK_OP((uintptr_t)grow((void *)4), ==, 16U);
}

STORM_KIND(spawn_join, grow_tree, NULL, NULL);

static void *nap_shortly(void *arg) {
    const struct storm_task *self = arg;
    nap(60 * WEFT_US);
    if (self->rounds % 3 == 0) {
        weft_yield(); /* the runtime called from within */
    }
    return arg;
}

/* The monitor, which saw the first nap, takes the processor at the moment at
 * which the task gives it up itself. */
static void block_both_ways(struct storm_task *self) {
    nap(40 * WEFT_US + self->rounds % 8 * 5 * WEFT_US);
    WEFT_CHECK_OP(weft_blocking(nap_shortly, self), ==, (void *)self);
}

STORM_KIND(blocking, block_both_ways, NULL, NULL);

/* A lock that is spun for, and held by nobody who is interrupted. */
static pthread_spinlock_t spin;
static uint64_t count;

static bool make_spin(void) {
    count = 0;
    return pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE) == 0;
}

static void unmake_spin(uint64_t rounds) {
    WEFT_CHECK_OP(count, ==, rounds);
    pthread_spin_destroy(&spin);
}

static void spin_undisturbed(struct storm_task *self) {
    (void)self;
    weft_preempt_disable();
    pthread_spin_lock(&spin);
    count++;
    storm_work(100);
    pthread_spin_unlock(&spin);
    weft_preempt_enable();
}

STORM_KIND(preempt_disable, spin_undisturbed, make_spin, unmake_spin);

/* Nobody takes the processor of who sleeps so. */
static void sleep_undisturbed(struct storm_task *self) {
    weft_preempt_disable();
    long tid = syscall(SYS_gettid);
    nap(storm_random(self) % 100 * WEFT_US);
    WEFT_CHECK_OP(syscall(SYS_gettid), ==, tid);
    weft_preempt_enable();
}

STORM_KIND(sleep_disabled, sleep_undisturbed, NULL, NULL);

static void change_priority(struct storm_task *self) {
    static const enum weft_priority all[] = {
        WEFT_PRIORITY_HIGH, WEFT_PRIORITY_LOW, WEFT_PRIORITY_NORMAL};
    (void)self;
    for (int i = 0; i < 3; i++) {
        WEFT_CHECK_OP(weft_set_priority(all[i]), ==, 0);
        storm_work(20000);
        weft_yield();
    }
}

STORM_KIND(priority, change_priority, NULL, NULL);
