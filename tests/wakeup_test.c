/* SPDX-License-Identifier: MIT */
/* No wake-up is lost: tasks that wake each other, timers that race with wakers,
 * threads that weft does not know, workers that fall asleep at the last moment.
 * A lost one stands still, and the watchdog says where. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/check.h"
#include "weft/sched/park.h"

enum { ROUNDS = 60000, PAIRS = 8 };

/* Two tasks that take turns; each waits until the other has had its turn. */
struct pair {
    struct weft_task *_Atomic task[2];
    _Atomic uint64_t turn;
    _Atomic bool ready; /* both tasks are known */
};

static struct pair pairs[PAIRS];

static void take_turns(struct pair *p, unsigned me) {
    while (!atomic_load_explicit(&p->ready, memory_order_acquire)) {
        weft_yield();
    }
    for (uint64_t i = 0; i < ROUNDS; i++) {
        while (atomic_load_explicit(&p->turn, memory_order_acquire) % 2 != me) {
            WEFT_CHECK_OP(weft_park(WEFT_FOREVER, "turn"), ==, 0);
        }
        atomic_fetch_add_explicit(&p->turn, 1, memory_order_release);
        weft_unpark(atomic_load_explicit(&p->task[!me], memory_order_acquire));
    }
}

static void *first_of_pair(void *index) {
    take_turns(&pairs[(uintptr_t)index], 0);
    return NULL;
}

static void *second_of_pair(void *index) {
    take_turns(&pairs[(uintptr_t)index], 1);
    return NULL;
}

static void *(*const sides[2])(void *) = {first_of_pair, second_of_pair};

static void run_pairs(void *arg) {
    (void)arg;
    for (uintptr_t i = 0; i < PAIRS; i++) {
        atomic_store_explicit(&pairs[i].turn, 0, memory_order_relaxed);
        atomic_store_explicit(&pairs[i].ready, false, memory_order_relaxed);
        for (int side = 0; side < 2; side++) {
            struct weft_task *t;
            WEFT_CHECK_OP(weft_spawn(&t, sides[side], (void *)i, NULL), ==, 0);
            atomic_store_explicit(&pairs[i].task[side], t,
                                  memory_order_relaxed);
        }
        atomic_store_explicit(&pairs[i].ready, true, memory_order_release);
    }
    for (int i = 0; i < PAIRS; i++) {
        for (int side = 0; side < 2; side++) {
            WEFT_CHECK_OP(weft_join(atomic_load_explicit(&pairs[i].task[side],
                                                         memory_order_relaxed),
                                    NULL),
                          ==, 0);
        }
        WEFT_CHECK_OP(pairs[i].turn, ==, 2ULL * ROUNDS);
    }
}

static void a_million_turns_and_no_lost_wakeup(void **state) {
    storm_run(2, 100, run_pairs, NULL);
}

static void nor_with_more_workers_than_cores(void **state) {
    storm_run(4, 1000, run_pairs, NULL);
}

/* The same two, but each naps a little, so that workers go idle all the time.
 */
static void *nap(void *arg) {
    for (int i = 0; i < 300; i++) {
        WEFT_CHECK_OP(weft_sleep((uint64_t)(i % 7) * 10 * WEFT_US), ==, 0);
    }
    return arg;
}

static void nap_together(void *arg) {
    struct weft_task *t[64];
    (void)arg;
    for (int i = 0; i < 64; i++) {
        WEFT_CHECK_OP(weft_spawn(&t[i], nap, NULL, NULL), ==, 0);
    }
    for (int i = 0; i < 64; i++) {
        WEFT_CHECK_OP(weft_join(t[i], NULL), ==, 0);
    }
}

static void every_sleeper_wakes(void **state) {
    storm_run(1, 1000, nap_together, NULL);
    storm_run(2, 1000, nap_together, NULL);
    storm_run(4, 1000, nap_together, NULL);
}

/* A thread that weft does not know wakes a task; the runtime is idle. */
struct foreign {
    struct weft_task *task;
    _Atomic uint32_t asked, given;
};

static void *give_when_asked(void *arg) {
    struct foreign *f = arg;
    for (uint32_t i = 1; i <= 3000; i++) {
        while (atomic_load_explicit(&f->asked, memory_order_acquire) != i) {
        }
        atomic_store_explicit(&f->given, i, memory_order_release);
        weft_unpark(f->task);
    }
    return NULL;
}

static void ask(void *arg) {
    struct foreign f = {.task = weft_self()};
    pthread_t thread;
    (void)arg;
    WEFT_CHECK_OP(pthread_create(&thread, NULL, give_when_asked, &f), ==, 0);
    for (uint32_t i = 1; i <= 3000; i++) {
        atomic_store_explicit(&f.asked, i, memory_order_release);
        while (atomic_load_explicit(&f.given, memory_order_acquire) != i) {
            WEFT_CHECK_OP(weft_park(WEFT_FOREVER, "foreign"), ==, 0);
        }
    }
    pthread_join(thread, NULL);
}

static void a_foreign_thread_wakes_a_task(void **state) {
    storm_run(1, 1000, ask, NULL);
    storm_run(2, 1000, ask, NULL);
}

/* The waker and the timer come at about the same time. */
struct race {
    struct weft_task *_Atomic sleeper;
    _Atomic bool over;
};

static void *wake_now_and_then(void *arg) {
    struct race *r = arg;
    while (!atomic_load_explicit(&r->over, memory_order_relaxed)) {
        weft_unpark(atomic_load_explicit(&r->sleeper, memory_order_acquire));
        weft_sleep(20 * WEFT_US);
    }
    return NULL;
}

static void race_the_timer(void *arg) {
    struct race r = {.sleeper = weft_self()};
    struct weft_task *waker;
    int woken = 0;
    int timed_out = 0;
    (void)arg;
    WEFT_CHECK_OP(weft_spawn(&waker, wake_now_and_then, &r, NULL), ==, 0);
    for (int i = 0; i < 5000; i++) {
        uint64_t deadline = weft_now() + 20 * WEFT_US;
        int result = weft_park(deadline, "race");
        if (result == 0) {
            woken++;
        } else {
            WEFT_CHECK_OP(result, ==, -ETIMEDOUT);
            WEFT_CHECK(weft_now() >= deadline);
            timed_out++;
        }
    }
    atomic_store_explicit(&r.over, true, memory_order_relaxed);
    WEFT_CHECK_OP(weft_join(waker, NULL), ==, 0);
    WEFT_CHECK_OP(woken + timed_out, ==, 5000);
}

static void a_timer_and_a_waker_may_race(void **state) {
    storm_run(1, 1000, race_the_timer, NULL);
    storm_run(2, 1000, race_the_timer, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_turns_and_no_lost_wakeup),
        cmocka_unit_test(nor_with_more_workers_than_cores),
        cmocka_unit_test(every_sleeper_wakes),
        cmocka_unit_test(a_foreign_thread_wakes_a_task),
        cmocka_unit_test(a_timer_and_a_waker_may_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
