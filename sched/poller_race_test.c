/* SPDX-License-Identifier: MIT */
/* The poller among threads: two of them wait in it at once, others arm, disarm,
 * write, kick and close. A wake-up that is lost hangs the test; one that is
 * given twice is counted. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/check.h"
#include "weft/sched/poller.h"

#ifndef POLLER
#define POLLER WEFT_POLLER_EPOLL
#endif

#define POLLERS 2
#define ROUNDS  5000
#define MANY    8

/* A waiter that counts how often it was handed back. */
struct waiter {
    _Alignas(8) _Atomic uint32_t handed_back;
};

static struct weft_poller poller;
static pthread_t threads[POLLERS];
static _Atomic uint32_t stop;

static void *wait_in_poller(void *arg) {
    while (atomic_load_explicit(&stop, memory_order_relaxed) == 0) {
        void *waiters[MANY];
        /* Sometimes a look, sometimes a sleep. */
        uint64_t deadline = arg == NULL ? WEFT_FOREVER : 0;
        int count = weft_poller_wait(&poller, deadline, waiters, MANY);
        for (int i = 0; i < count; i++) {
            /* Release: pairs with the acquire in handed_back(). */
            atomic_fetch_add_explicit(
                &((struct waiter *)waiters[i])->handed_back, 1,
                memory_order_release);
        }
        if (deadline == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static uint32_t handed_back(struct waiter *waiter) {
    /* Acquire: pairs with the release in wait_in_poller(). */
    return atomic_load_explicit(&waiter->handed_back, memory_order_acquire);
}

static int begin(void **state) {
    atomic_store_explicit(&stop, 0, memory_order_relaxed);
    WEFT_CHECK_OP(weft_poller_init(&poller, POLLER), ==, 0);
    for (long i = 0; i < POLLERS; i++) {
        pthread_create(&threads[i], NULL, wait_in_poller, (void *)i);
    }
    return 0;
}

static int end(void **state) {
    atomic_store_explicit(&stop, 1, memory_order_relaxed);
    weft_poller_kick(&poller);
    for (int i = 0; i < POLLERS; i++) {
        pthread_join(threads[i], NULL);
    }
    WEFT_CHECK_OP(weft_poller_waiting(&poller), ==, 0U);
    weft_poller_fini(&poller);
    return 0;
}

static struct weft_descriptor *add(int fd) {
    WEFT_CHECK_OP(weft_poller_add(&poller, fd, WEFT_DESCRIPTOR_OTHER), ==, 0);
    return weft_poller_find(&poller, fd);
}

/* Closes, and returns who was armed to read. */
static void *close_it(struct weft_descriptor *d) {
    void *waiters[WEFT_DIRECTIONS];
    WEFT_CHECK_OP(weft_poller_close(d, waiters), ==, 0);
    WEFT_CHECK(weft_poller_leave(d, WEFT_USING));
    return waiters[WEFT_READING];
}

/* Writes a byte as soon as the one before was read. */
static void *write_bytes(void *arg) {
    const int *ends = arg;
    for (int i = 0; i < ROUNDS; i++) {
        WEFT_CHECK_OP(write(ends[1], "x", 1), ==, 1L);
        if (i % 16 == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static void no_edge_is_lost_and_none_comes_twice(void **state) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    struct weft_descriptor *d = add(ends[0]);
    static struct waiter waiter;
    pthread_t writer;
    pthread_create(&writer, NULL, write_bytes, ends);
    assert_int_equal(weft_poller_enter(d, WEFT_READING), 0);
    uint32_t armed = 0;
    int got = 0;
    while (got < ROUNDS) {
        char byte;
        if (read(ends[0], &byte, 1) == 1) {
            got++;
            continue;
        }
        if (weft_poller_arm(d, WEFT_READING, &waiter) == 0) {
            armed++;
            /* Every other time it loses patience at once. */
            if (armed % 2 == 0 &&
                weft_poller_disarm(d, WEFT_READING, &waiter)) {
                armed--;
                continue;
            }
            while (handed_back(&waiter) != armed) {
                sched_yield();
            }
            assert_false(weft_poller_armed(d, WEFT_READING, &waiter));
        }
    }
    pthread_join(writer, NULL);
    assert_int_equal(handed_back(&waiter), armed);
    assert_true(weft_poller_leave(d, WEFT_READING));
    assert_null(close_it(d));
    close(ends[1]);
}

static void *close_soon(void *arg) {
    struct weft_descriptor *d = arg;
    return close_it(d);
}

static void closing_and_arming_agree_on_who_wakes_whom(void **state) {
    for (int i = 0; i < 500; i++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        struct weft_descriptor *d = add(ends[0]);
        struct waiter waiter = {0};
        assert_int_equal(weft_poller_enter(d, WEFT_READING), 0);
        pthread_t closer;
        pthread_create(&closer, NULL, close_soon, d);
        int armed = 0;
        int result;
        /* Arms and disarms until the close comes between. */
        for (;;) {
            result = weft_poller_arm(d, WEFT_READING, &waiter);
            if (result == -EBADF) {
                break;
            }
            armed = 1;
            if (!weft_poller_disarm(d, WEFT_READING, &waiter)) {
                break;
            }
            armed = 0;
        }
        assert_true(fcntl(ends[0], F_GETFD) >= 0);
        void *woken = NULL;
        assert_true(weft_poller_leave(d, WEFT_READING));
        pthread_join(closer, &woken);
        assert_ptr_equal(woken, armed ? (void *)&waiter : NULL);
        assert_int_equal(handed_back(&waiter), 0);
        assert_int_equal(fcntl(ends[0], F_GETFD), -1);
        close(ends[1]);
    }
}

/* Pipes that come and go under the same numbers, with news on their way. */
static void *come_and_go(void *arg) {
    for (int i = 0; i < 1500; i++) {
        int ends[2];
        WEFT_CHECK_OP(pipe2(ends, O_CLOEXEC | O_NONBLOCK), ==, 0);
        struct weft_descriptor *d = add(ends[0]);
        struct waiter waiter = {0};
        WEFT_CHECK_OP(weft_poller_enter(d, WEFT_READING), ==, 0);
        WEFT_CHECK_OP(write(ends[1], "x", 1), ==, 1L);
        uint32_t armed = 0;
        int result = weft_poller_arm(d, WEFT_READING, &waiter);
        if (result == 0) {
            armed = weft_poller_disarm(d, WEFT_READING, &waiter) ? 0 : 1;
        } else {
            WEFT_CHECK_OP(result, ==, -EALREADY);
        }
        while (handed_back(&waiter) != armed) {
            sched_yield();
        }
        WEFT_CHECK(weft_poller_leave(d, WEFT_READING));
        WEFT_CHECK(close_it(d) == NULL);
        close(ends[1]);
        WEFT_CHECK_OP(handed_back(&waiter), ==, armed);
    }
    return NULL;
}

static void numbers_that_come_again_keep_their_waiters_apart(void **state) {
    pthread_t users[3];
    for (int i = 0; i < 3; i++) {
        pthread_create(&users[i], NULL, come_and_go, NULL);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(users[i], NULL);
    }
}

static _Atomic uint32_t ball;

/* Waits in the poller, and only there, for its turn to throw. */
static void *play(void *arg) {
    struct weft_poller *mine = arg;
    for (uint32_t i = 0; i < 2000; i++) {
        /* Relaxed: the kick publishes it. */
        while (atomic_load_explicit(&ball, memory_order_relaxed) != 2 * i + 1) {
            void *waiters[MANY];
            weft_poller_wait(mine, WEFT_FOREVER, waiters, MANY);
        }
        atomic_store_explicit(&ball, 2 * i + 2, memory_order_relaxed);
    }
    return NULL;
}

static void each_kick_reaches_who_sleeps(void **state) {
    struct weft_poller own;
    assert_int_equal(weft_poller_init(&own, POLLER), 0);
    atomic_store_explicit(&ball, 0, memory_order_relaxed);
    pthread_t player;
    pthread_create(&player, NULL, play, &own);
    for (uint32_t i = 0; i < 2000; i++) {
        atomic_store_explicit(&ball, 2 * i + 1, memory_order_relaxed);
        weft_poller_kick(&own);
        while (atomic_load_explicit(&ball, memory_order_relaxed) != 2 * i + 2) {
            void *waiters[MANY];
            /* Looks meanwhile, as a busy worker does. */
            weft_poller_wait(&own, 0, waiters, MANY);
            sched_yield();
        }
    }
    pthread_join(player, NULL);
    weft_poller_fini(&own);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(no_edge_is_lost_and_none_comes_twice),
        CASE(closing_and_arming_agree_on_who_wakes_whom),
        CASE(numbers_that_come_again_keep_their_waiters_apart),
        cmocka_unit_test(each_kick_reaches_who_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
