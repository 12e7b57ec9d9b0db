/* SPDX-License-Identifier: MIT */
/* The kinds of the storm that are busy in libc: they are interrupted with its
 * locks in hand, and check that it keeps its meaning. */
#include "tests/storm_kinds.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"

/* A lock for few tasks: one that is always held by somebody whose turn is to
 * come changes hands once in a round of all. */
struct guarded {
    pthread_mutex_t lock;
    uint64_t first, second;
};

enum { LOCKS = 16 };

static int locks;
static FILE *shared;

static struct guarded recursive[LOCKS], normal[LOCKS];

/* With a lock of libc in hand a task must not give way by itself: it might go
 * on on another thread. */
void kind_burns_locked(unsigned rounds) {
    for (volatile unsigned i = 0; i < rounds; i++) {
    }
}

void use_malloc(unsigned me) {
    unsigned seed = me;
    while (kind_goes_on(me)) {
        unsigned char *blocks[6];
        size_t sizes[6];
        for (int i = 0; i < 6; i++) {
            sizes[i] = 1 + storm_random(&seed) % 5000;
            blocks[i] = malloc(sizes[i]);
            memset(blocks[i], (int)me, sizes[i]);
        }
        for (int i = 0; i < 6; i++) {
            for (size_t j = 0; j < sizes[i]; j += 61) {
                WEFT_CHECK_OP(blocks[i][j], ==, (unsigned char)me);
            }
            free(blocks[i]);
        }
    }
}

/* Not inlined: the address of errno is the thread's. */
static __attribute__((noinline)) void fail_once(bool badly) {
    WEFT_CHECK_OP(badly ? close(-1) : chdir("/no such directory"), ==, -1);
    WEFT_CHECK_OP(errno, ==, badly ? EBADF : ENOENT);
}

void fail_and_look(unsigned me) {
    while (kind_goes_on(me)) {
        for (unsigned i = 0; i < 50; i++) {
            fail_once(i % 2);
        }
    }
}

void print_lines(unsigned me) {
    while (kind_goes_on(me)) {
        WEFT_CHECK_OP(fprintf(shared, "<%06u:%s>\n", me, "0123456789abcde"), ==,
                      25);
    }
}

void lock_twice(unsigned me) {
    struct guarded *g = &recursive[me / STORM_KINDS / 2];
    while (kind_goes_on(me)) {
        WEFT_CHECK_OP(pthread_mutex_lock(&g->lock), ==, 0);
        g->first++;
        kind_burns_locked(2000);
        WEFT_CHECK_OP(pthread_mutex_lock(&g->lock), ==, 0);
        g->second++;
        kind_burns_locked(2000);
        WEFT_CHECK_OP(g->first, ==, g->second);
        WEFT_CHECK_OP(pthread_mutex_unlock(&g->lock), ==, 0);
        WEFT_CHECK_OP(pthread_mutex_unlock(&g->lock), ==, 0);
        kind_burns(1000);
    }
}

/* Holds the lock for longer than a quantum: it will be interrupted with it. */
void hold_a_lock(unsigned me) {
    struct guarded *g = &normal[me / STORM_KINDS / 2];
    while (kind_goes_on(me)) {
        WEFT_CHECK_OP(pthread_mutex_lock(&g->lock), ==, 0);
        g->first++;
        kind_burns_locked(30000);
        g->second++;
        WEFT_CHECK_OP(g->first, ==, g->second);
        WEFT_CHECK_OP(pthread_mutex_unlock(&g->lock), ==, 0);
        kind_burns(5000);
    }
}

void libc_kinds_begin(int count) {
    pthread_mutexattr_t attr;
    assert_true(count <= LOCKS);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    locks = count;
    memset(recursive, 0, sizeof recursive);
    memset(normal, 0, sizeof normal);
    for (int i = 0; i < count; i++) {
        pthread_mutex_init(&recursive[i].lock, &attr);
        pthread_mutex_init(&normal[i].lock, NULL);
    }
    pthread_mutexattr_destroy(&attr);
    shared = tmpfile();
    assert_non_null(shared);
}

void libc_kinds_end(void) {
    char line[64];
    rewind(shared);
    while (fgets(line, sizeof line, shared) != NULL) {
        unsigned index;
        char text[32];
        assert_int_equal(strlen(line), 25);
        assert_int_equal(sscanf(line, "<%06u:%15s>", &index, text), 2);
        assert_string_equal(text, "0123456789abcde");
    }
    fclose(shared);
    for (int i = 0; i < locks; i++) {
        pthread_mutex_destroy(&recursive[i].lock);
        pthread_mutex_destroy(&normal[i].lock);
    }
}
