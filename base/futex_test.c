/* SPDX-License-Identifier: MIT */
/* What a futex answers in each case, and that no wake-up is lost between two
 * threads that hand a word to and fro. Waits that should end by a wake-up have
 * a deadline far away, so that a broken wake fails the test, not the run. */
#include "weft/base/futex.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "weft/base/clock.h"

enum { SLEEPERS = 3, ROUNDS = 20000 };

static uint64_t far_away(void) {
    return weft_clock_after(weft_clock_now(), 30 * WEFT_S);
}

static void a_word_that_differs_is_not_waited_for(void **state) {
    _Atomic uint32_t word = 7;
    assert_int_equal(weft_futex_wait(&word, 8, WEFT_FOREVER), -EAGAIN);
    assert_int_equal(weft_futex_wait(&word, 8, 0), -EAGAIN);
}

static void a_deadline_ends_the_wait_and_not_before(void **state) {
    _Atomic uint32_t word = 7;
    assert_int_equal(weft_futex_wait(&word, 7, 0), -ETIMEDOUT);
    uint64_t deadline = weft_clock_after(weft_clock_now(), 5 * WEFT_MS);
    assert_int_equal(weft_futex_wait(&word, 7, deadline), -ETIMEDOUT);
    assert_true(weft_clock_now() >= deadline);
}

static void waking_nobody_wakes_nobody(void **state) {
    _Atomic uint32_t word = 0;
    assert_int_equal(weft_futex_wake(&word, 10), 0);
}

struct sleeper {
    _Atomic uint32_t *word;
    pthread_t thread;
    int answer;
};

static void *sleep_once(void *arg) {
    struct sleeper *s = arg;
    s->answer = weft_futex_wait(s->word, 0, far_away());
    return NULL;
}

static void wake_wakes_no_more_than_asked(void **state) {
    _Atomic uint32_t word = 0;
    struct sleeper sleepers[SLEEPERS];
    for (int i = 0; i < SLEEPERS; i++) {
        sleepers[i] = (struct sleeper){.word = &word};
        assert_int_equal(
            pthread_create(&sleepers[i].thread, NULL, sleep_once, &sleepers[i]),
            0);
    }
    uint64_t limit = far_away();
    for (int woken = 0; woken < SLEEPERS && weft_clock_now() < limit;) {
        int now = weft_futex_wake(&word, 1);
        assert_in_range(now, 0, 1);
        woken += now;
    }
    for (int i = 0; i < SLEEPERS; i++) {
        assert_int_equal(pthread_join(sleepers[i].thread, NULL), 0);
        assert_int_equal(sleepers[i].answer, 0);
    }
}

static void on_signal(int number) {
    (void)number;
}

struct interrupted {
    _Atomic uint32_t word;
    _Atomic uint32_t done;
    int answer;
};

static void *wait_for_a_signal(void *arg) {
    struct interrupted *i = arg;
    i->answer = weft_futex_wait(&i->word, 0, far_away());
    /* Release: pairs with the acquire load in the test below. */
    atomic_store_explicit(&i->done, 1, memory_order_release);
    return NULL;
}

static void a_signal_ends_the_wait_with_eintr(void **state) {
    struct interrupted shared = {.answer = 1};
    struct sigaction action;
    struct sigaction before;
    pthread_t thread;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_a_signal, &shared),
                     0);
    /* Again and again: the first may come before the wait. Acquire: pairs with
     * the release store in wait_for_a_signal(). */
    while (atomic_load_explicit(&shared.done, memory_order_acquire) == 0) {
        pthread_kill(thread, SIGUSR1);
        usleep(1000);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(shared.answer, -EINTR);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

struct table {
    _Atomic uint32_t
        turn;       /* whose move it is: even the one's, odd the other's */
    uint64_t moves; /* belongs to whose turn it is */
    int failures;   /* likewise */
};

static void play(struct table *t, uint32_t me) {
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t mine = 2 * round + me;
        uint32_t seen;
        /* Acquire: pairs with the release store below, on the other side. */
        while ((seen = atomic_load_explicit(&t->turn, memory_order_acquire)) !=
               mine) {
            if (weft_futex_wait(&t->turn, seen, far_away()) == -ETIMEDOUT) {
                t->failures++;
                return;
            }
        }
        t->moves++;
        /* Release: pairs with the acquire load above, on the other side. */
        atomic_store_explicit(&t->turn, mine + 1, memory_order_release);
        weft_futex_wake(&t->turn, 1);
    }
}

static void *other_side(void *arg) {
    play(arg, 1);
    return NULL;
}

static void no_wake_up_is_lost_in_ping_pong(void **state) {
    struct table table = {.failures = 0};
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, other_side, &table), 0);
    play(&table, 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(table.failures, 0);
    assert_int_equal(table.moves, 2 * ROUNDS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_that_differs_is_not_waited_for),
        cmocka_unit_test(a_deadline_ends_the_wait_and_not_before),
        cmocka_unit_test(waking_nobody_wakes_nobody),
        cmocka_unit_test(wake_wakes_no_more_than_asked),
        cmocka_unit_test(a_signal_ends_the_wait_with_eintr),
        cmocka_unit_test(no_wake_up_is_lost_in_ping_pong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
