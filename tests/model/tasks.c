/* SPDX-License-Identifier: MIT */
/* Tasks without a scheduler: see tasks.h. */
#include "tasks.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "model.h"
#include "weft/base/clock.h"
#include "weft/base/lock.h"
#include "weft/sched/park.h"
#include "weft/sched/task.h"

struct weft_task {
    _Alignas(16) _Atomic uint32_t token; /* mutexes need the low bits */
};

static struct weft_task tasks[1 + MODEL_THREADS]; /* the first: set_up() */
static uint64_t looks[1 + MODEL_THREADS];         /* at the clock */
static uint64_t clock_start, clock_step;

void tasks_reset(uint64_t start, uint64_t step) {
    memset(tasks, 0, sizeof(tasks));
    model_label(tasks, sizeof(tasks), "a token");
    memset(looks, 0, sizeof(looks));
    clock_start = start;
    clock_step = step;
}

struct weft_task *tasks_of(int thread) {
    return &tasks[1 + thread];
}

int model_clock_gettime(clockid_t clock, struct timespec *now);
int model_clock_gettime(clockid_t clock, struct timespec *now) {
    (void)clock;
    uint64_t passed = ++looks[1 + model_self()] * clock_step;
    *now = (struct timespec){.tv_nsec = (long)(clock_start + passed)};
    return 0;
}

struct weft_task *weft_self(void) {
    return &tasks[1 + model_self()];
}

const char *weft_task_name(const struct weft_task *task) {
    static const char *const names[] = {"none", "0", "1", "2", "3"};
    return names[task - tasks];
}

static int park(uint64_t deadline) {
    _Atomic uint32_t *token = &weft_self()->token;
    while (atomic_exchange_explicit(token, 0, memory_order_acquire) == 0) {
        if (model_futex_wait((const volatile void *)token, 0,
                             deadline != WEFT_FOREVER) == -ETIMEDOUT) {
            return -ETIMEDOUT;
        }
    }
    return 0;
}

int weft_park(uint64_t deadline, const char *why) {
    (void)why;
    return park(deadline);
}

int weft_park_uncancellable(uint64_t deadline, const char *why) {
    (void)why;
    return park(deadline);
}

void weft_unpark(struct weft_task *task) {
    /* Not an exchange: its result is not used, so clang would make it a store,
     * which does not go on with the release of another that gave the token. */
    atomic_fetch_or_explicit(&task->token, 1, memory_order_release);
    model_futex_wake((const volatile void *)&task->token, 1);
}

int weft_park_and_leave(uint64_t deadline, const char *why) {
    (void)why;
    return park(deadline);
}

int weft_unpark_and_leave(struct weft_task *task) {
    weft_unpark(task);
    return 0;
}

void weft_unpark_many(struct weft_task **them, int count) {
    for (int i = 0; i < count; i++) {
        weft_unpark(them[i]);
    }
}

struct weft_task *weft_runtime_enter(void) {
    return weft_self();
}

void weft_runtime_pause(void) {
}

/* sched/park_inside.h, where it is never called here. */
struct weft_task *weft_runtime_enter_slowly(void);

struct weft_task *weft_runtime_enter_slowly(void) {
    return weft_self();
}

void weft_runtime_leave(void) {
}

void weft_check_slowly(void) {
}

void weft_lock_wait(struct weft_lock *lock) {
    if (model_self() < 0) {
        return; /* in set_up(): a run that failed has left it locked */
    }
    do {
        model_await((const volatile uint32_t *)&lock->word, 0);
    } while (!weft_lock_try(lock));
}

void weft_lock_wake(struct weft_lock *lock) {
    (void)lock;
}
