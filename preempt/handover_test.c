/* SPDX-License-Identifier: MIT */
/* The mailbox between real threads. */
#include "weft/preempt/handover.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

static void what_was_given_is_taken_once(void **state) {
    struct weft_handover box;
    int thing;
    weft_handover_init(&box);
    assert_null(weft_handover_poll(&box));
    weft_handover_give(&box, &thing);
    assert_ptr_equal(weft_handover_wait(&box, WEFT_FOREVER), &thing);
    assert_null(weft_handover_poll(&box));
    weft_handover_give(&box, &thing);
    assert_ptr_equal(weft_handover_poll(&box), &thing);
}

static void a_wait_ends_at_its_deadline(void **state) {
    struct weft_handover box;
    int thing;
    weft_handover_init(&box);
    uint64_t until = weft_clock_now() + 2 * WEFT_MS;
    assert_null(weft_handover_wait(&box, until));
    assert_true(weft_clock_now() >= until);
    assert_null(weft_handover_wait(&box, 0));
    weft_handover_give(&box, &thing); /* and the box still works */
    assert_ptr_equal(weft_handover_wait(&box, 0), &thing);
}

static void *give_later(void *arg) {
    usleep(2000);
    weft_handover_give(arg, arg);
    return NULL;
}

static void a_sleeper_is_woken(void **state) {
    struct weft_handover box;
    pthread_t giver;
    weft_handover_init(&box);
    assert_int_equal(pthread_create(&giver, NULL, give_later, &box), 0);
    assert_ptr_equal(weft_handover_wait(&box, WEFT_FOREVER), &box);
    pthread_join(giver, NULL);
}

static void nothing(int number) {
}

static void a_signal_does_not_end_the_sleep(void **state) {
    struct weft_handover box;
    struct sigaction action = {.sa_handler = nothing};
    struct sigaction before;
    sigset_t alarm;
    pthread_t giver;
    struct itimerval often = {{0, 100}, {0, 100}};
    struct itimerval never = {{0, 0}, {0, 0}};
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    weft_handover_init(&box);
    sigaction(SIGALRM, &action, &before);
    pthread_sigmask(SIG_BLOCK, &alarm, NULL); /* for the giver */
    assert_int_equal(pthread_create(&giver, NULL, give_later, &box), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    assert_ptr_equal(weft_handover_wait(&box, WEFT_FOREVER), &box);
    setitimer(ITIMER_REAL, &never, NULL);
    pthread_join(giver, NULL);
    sigaction(SIGALRM, &before, NULL);
}

/* Several threads pass a token round. It carries a plain counter:
 * two holders at a time, or one who does not see what the last one did, would
 * miscount it. */
enum { THREADS = 3, HANDOVERS = 100000 };

struct token {
    long count;
};

struct player {
    struct weft_handover box;
    struct player *all;
    int index;
    long taken;
};

static void *play(void *arg) {
    struct player *me = arg;
    for (;;) {
        struct token *token = NULL;
        while (token == NULL) { /* both ways of waiting */
            token = weft_handover_wait(
                &me->box,
                me->taken % 2 ? weft_clock_now() + 20 * WEFT_US : WEFT_FOREVER);
        }
        me->taken++;
        long count = token->count++;
        struct player *next = &me->all[(me->index + 1) % THREADS];
        weft_handover_give(&next->box, token);
        if (count >= HANDOVERS - THREADS) { /* this was the last for me */
            return NULL;
        }
    }
}

/* One token and a ring: everybody's box is empty when it is given to. */
static void a_token_is_neither_lost_nor_doubled(void **state) {
    static struct player players[THREADS];
    struct token token = {0};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        weft_handover_init(&players[i].box);
        players[i].all = players;
        players[i].index = i;
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, play, &players[i]),
                         0);
    }
    weft_handover_give(&players[0].box, &token);
    long taken = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        taken += players[i].taken;
    }
    int left = 0;
    for (int i = 0; i < THREADS; i++) {
        left += weft_handover_poll(&players[i].box) != NULL;
    }
    assert_int_equal(token.count, taken);
    assert_int_equal(taken, HANDOVERS);
    assert_int_equal(left, 1); /* the token, where it came to rest */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_given_is_taken_once),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_sleeper_is_woken),
        cmocka_unit_test(a_signal_does_not_end_the_sleep),
        cmocka_unit_test(a_token_is_neither_lost_nor_doubled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
