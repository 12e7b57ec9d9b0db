/* SPDX-License-Identifier: MIT */
/* What belongs to the thread: errno, thread-locals, specific values, the signal
 * mask, cleanup handlers, the rounding mode, its identity. An interrupted task
 * keeps its thread, so within a round all of it stays. */
#define _GNU_SOURCE
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/storm/kind.h"
#include "weft/base/check.h"

static void fail_and_look(struct storm_task *self) {
    bool badly = self->index % 2 == 1;
    for (int i = 0; i < 20; i++) {
        errno = 0;
        WEFT_CHECK_OP(badly ? close(-1) : chdir("/no such directory"), ==, -1);
        storm_work(i * 20U);
        WEFT_CHECK_OP(errno, ==, badly ? EBADF : ENOENT);
    }
}

STORM_KIND(errno, fail_and_look, NULL, NULL);

static _Thread_local uint64_t counter;
static _Thread_local unsigned owner;
static _Thread_local char name[24];

static void count_in_thread_local(struct storm_task *self) {
    uint64_t before = counter;
    owner = self->index;
    memset(name, 'a' + (int)(self->index % 26), sizeof name);
    for (int i = 0; i < 1000; i++) {
        counter = counter + 1;
        __asm__ volatile("" ::: "memory"); /* load, add, store */
    }
    WEFT_CHECK_OP(counter, ==, before + 1000);
    WEFT_CHECK_OP(owner, ==, self->index);
    for (size_t i = 0; i < sizeof name; i++) {
        WEFT_CHECK_OP(name[i], ==, 'a' + (int)(self->index % 26));
    }
}

STORM_KIND(thread_local, count_in_thread_local, NULL, NULL);

enum { KEYS = 40 }; /* more than 32: glibc takes memory for the others */

static pthread_key_t keys[KEYS];

static bool make_keys(void) {
    for (int i = 0; i < KEYS; i++) {
        WEFT_CHECK_OP(pthread_key_create(&keys[i], NULL), ==, 0);
    }
    return true;
}

static void delete_keys(uint64_t rounds) {
    (void)rounds;
    for (int i = 0; i < KEYS; i++) {
        pthread_key_delete(keys[i]);
    }
}

static void set_specifics(struct storm_task *self) {
    for (int i = 0; i < KEYS; i++) {
        WEFT_CHECK_OP(pthread_setspecific(keys[i], (char *)self + i), ==, 0);
    }
    storm_work(300);
    for (int i = 0; i < KEYS; i++) {
        WEFT_CHECK_OP(pthread_getspecific(keys[i]), ==, (char *)self + i);
        WEFT_CHECK_OP(pthread_setspecific(keys[i], NULL), ==, 0);
    }
}

STORM_KIND(setspecific, set_specifics, make_keys, delete_keys);

static void block_signals(struct storm_task *self) {
    int mine = SIGRTMIN + 8 + (int)self->index % 8;
    sigset_t set, before, now;
    sigemptyset(&set);
    sigaddset(&set, mine);
    WEFT_CHECK_OP(pthread_sigmask(SIG_BLOCK, &set, &before), ==, 0);
    WEFT_CHECK_OP(sigismember(&before, mine), ==, 0);
    storm_work(500);
    WEFT_CHECK_OP(pthread_sigmask(SIG_SETMASK, &before, &now), ==, 0);
    for (int i = 0; i < 8; i++) {
        int number = SIGRTMIN + 8 + i;
        WEFT_CHECK_OP(sigismember(&now, number), ==, number == mine);
    }
}

STORM_KIND(sigmask, block_signals, NULL, NULL);

static void add_one(void *arg) {
    ++*(int *)arg;
}

static void keep_cleanups(struct storm_task *self) {
    volatile int cleaned = 0;
    int old;
    (void)self;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    pthread_cleanup_push(add_one, (void *)&cleaned);
    pthread_cleanup_push(add_one, (void *)&cleaned);
    storm_work(300);
    pthread_cleanup_pop(1);
    WEFT_CHECK_OP(cleaned, ==, 1);
    pthread_cleanup_pop(1);
    WEFT_CHECK_OP(cleaned, ==, 2);
    int mine;
    pthread_setcancelstate(old, &mine);
    WEFT_CHECK_OP(mine, ==, PTHREAD_CANCEL_DISABLE);
}

STORM_KIND(cleanup_push, keep_cleanups, NULL, NULL);

static void keep_rounding(struct storm_task *self) {
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD,
                                FE_TOWARDZERO};
    int mode = modes[(self->index + self->rounds) % 4];
    volatile double one = 1, three = 3;
    double third = 0;
    WEFT_CHECK_OP(fesetround(mode), ==, 0);
    for (int i = 0; i < 500; i++) {
        third = one / three;
        WEFT_CHECK((third > 0x1.5555555555555p-2) == (mode == FE_UPWARD));
    }
    WEFT_CHECK_OP(fegetround(), ==, mode);
    WEFT_CHECK_OP(fesetround(FE_TONEAREST), ==, 0);
}

STORM_KIND(rounding_mode, keep_rounding, NULL, NULL);

static void stay_the_same(struct storm_task *self) {
    pid_t tid = gettid();
    pthread_t thread = pthread_self();
    (void)self;
    for (int i = 0; i < 50; i++) {
        storm_work(100);
        WEFT_CHECK_OP(gettid(), ==, tid);
        WEFT_CHECK(pthread_equal(pthread_self(), thread));
    }
}

STORM_KIND(gettid, stay_the_same, NULL, NULL);

/* --- jumps
 * -------------------------------------------------------------------- */

static __attribute__((noinline)) void fall(sigjmp_buf from, unsigned depth,
                                           int value) {
    volatile char frame[64];
    frame[depth % sizeof frame] = (char)depth;
    if (depth == 0) {
        siglongjmp(from, value);
    }
    fall(from, depth - 1, value);
    frame[0] = frame[depth % sizeof frame];
}

static void jump_back(struct storm_task *self) {
    sigjmp_buf here;
    volatile int jumps = 0;
    int value = sigsetjmp(here, (int)(self->rounds % 2));
    if (value != 0) {
        WEFT_CHECK_OP(value, ==, (int)jumps);
    }
    if (jumps < 10) {
        jumps = jumps + 1;
        fall(here, storm_random(self) % 20, jumps);
    }
    WEFT_CHECK_OP(jumps, ==, 10);
}

STORM_KIND(longjmp, jump_back, NULL, NULL);
