/* SPDX-License-Identifier: MIT */
/* Everything at once: sixteen kinds of tasks, each of which checks its own
 * results, while the quantum is 50 us. Kinds that libc serialises hold its
 * locks when they are interrupted, others block their thread without telling
 * anybody; who waits for either must get on all the same. Nobody may stand
 * still: in each run every task must have got on before it may end.
 *
 * With --seconds=N (bazel test --test_arg=--seconds=60) the same for longer. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "tests/storm_kinds.h"
#include "weft/base/check.h"
#include "weft/base/print.h"
#include "weft/sched/park.h"

enum {
    QUANTUM_US = 50,
    KINDS = STORM_KINDS,
    MAX_TASKS = 208,
    PATIENCE_MS = 40000
};

static unsigned long seconds; /* of the long form, or 0 */

/* What two neighbours share: even and odd index. */
struct pair {
    int pipe[2];
    struct weft_task *_Atomic task[2];
    _Atomic uint64_t turn;
    _Atomic bool quit;
};

static struct pair pairs[MAX_TASKS / 2];
static _Atomic uint64_t progress[MAX_TASKS];
static _Atomic bool time_is_up;

bool kind_goes_on(unsigned me) {
    STORM_CHECK();
    atomic_fetch_add_explicit(&progress[me], 1, memory_order_relaxed);
    return !atomic_load_explicit(&time_is_up, memory_order_relaxed);
}

void kind_burns(unsigned rounds) {
    for (volatile unsigned i = 0; i < rounds; i++) {
        STORM_CHECK();
    }
}

/* Blocks its thread in read(2) until the writer, a task too, has written. */
static void read_raw(unsigned me) {
    struct pair *p = &pairs[me / 2];
    unsigned char expected = 0;
    for (;;) {
        unsigned char bytes[16];
        ssize_t n = read(p->pipe[0], bytes, sizeof bytes);
        if (n < 0) {
            WEFT_CHECK_OP(errno, ==, EINTR);
            continue;
        }
        for (ssize_t i = 0; i < n; i++) {
            WEFT_CHECK_OP(bytes[i], ==, expected);
            expected++;
        }
        (void)kind_goes_on(me);
        if (n == 0) {
            break;
        }
    }
    close(p->pipe[0]);
}

static void write_raw(unsigned me) {
    struct pair *p = &pairs[me / 2];
    unsigned char next = 0;
    unsigned seed = me;
    while (kind_goes_on(me)) {
        if (write(p->pipe[1], &next, 1) == 1) {
            next++;
        } else {
            WEFT_CHECK_OP(errno, ==, EINTR);
        }
        if (storm_random(&seed) % 4 == 0) {
            WEFT_CHECK_OP(weft_sleep(storm_random(&seed) % 300 * WEFT_US), ==,
                          0);
        }
        kind_burns(500);
    }
    close(p->pipe[1]);
}

static void take_turns(unsigned me) {
    struct pair *p = &pairs[me / 2];
    atomic_store_explicit(&p->task[me % 2], weft_self(), memory_order_release);
    bool quit = false;
    do {
        while (atomic_load_explicit(&p->turn, memory_order_acquire) % 2 !=
               me % 2) {
            if (atomic_load_explicit(&p->quit, memory_order_acquire)) {
                return;
            }
            /* Now and then with a deadline, which may pass in the same moment
             * in which the token comes. */
            int result =
                weft_park(storm_random(&(unsigned){(unsigned)p->turn}) % 4 == 0
                              ? weft_now() + 20 * WEFT_US
                              : WEFT_FOREVER,
                          "turn");
            WEFT_CHECK(result == 0 || result == -ETIMEDOUT);
        }
        quit = !kind_goes_on(me);
        if (quit) {
            atomic_store_explicit(&p->quit, true, memory_order_release);
        } else {
            atomic_fetch_add_explicit(&p->turn, 1, memory_order_release);
        }
        struct weft_task *other =
            atomic_load_explicit(&p->task[!(me % 2)], memory_order_acquire);
        if (other != NULL) {
            weft_unpark(other);
        }
    } while (!quit);
}

static void nap_raw(long ns) {
    struct timespec ts = {.tv_nsec = ns};
    while (nanosleep(&ts, &ts) != 0) {
        WEFT_CHECK_OP(errno, ==, EINTR);
    }
}

/* Sleeps in the kernel without telling, for some quanta. */
static void block_secretly(unsigned me) {
    unsigned seed = me;
    while (kind_goes_on(me)) {
        nap_raw(storm_random(&seed) % 400 * 1000);
        kind_burns(storm_random(&seed) % 3000);
        weft_preempt_disable();
        nap_raw(storm_random(&seed) % 100 * 1000);
        weft_preempt_enable();
    }
}

static void *block_inside(void *ns) {
    nap_raw((long)(uintptr_t)ns);
    if ((uintptr_t)ns % 3 == 0) {
        weft_yield(); /* the runtime called from within */
    }
    return ns;
}

static void block_openly(unsigned me) {
    unsigned seed = me;
    while (kind_goes_on(me)) {
        void *ns = (void *)(uintptr_t)(storm_random(&seed) % 200000);
        kind_burns(storm_random(&seed) % 5000);
        nap_raw(storm_random(&seed) % 2 * 60000);
        WEFT_CHECK_OP(weft_blocking(block_inside, ns), ==, ns);
    }
}

static void *grow(void *depth) {
    struct weft_task *child[2];
    uintptr_t d = (uintptr_t)depth;
    uintptr_t sum = 1;
    if (d == 0) {
        return (void *)sum;
    }
    for (int i = 0; i < 2; i++) {
        WEFT_CHECK_OP(weft_spawn(&child[i], grow, (void *)(d - 1), NULL), ==,
                      0);
    }
    kind_burns(100);
    for (int i = 0; i < 2; i++) {
        void *result;
        WEFT_CHECK_OP(weft_join(child[i], &result), ==, 0);
        sum += (uintptr_t)result;
    }
    return (void *)sum;
}

static void grow_trees(unsigned me) {
    while (kind_goes_on(me)) {
        WEFT_CHECK_OP((uintptr_t)grow((void *)4), ==, 31U);
    }
}

static void change_priority(unsigned me) {
    while (kind_goes_on(me)) {
        for (int i = 0; i < 3; i++) {
            WEFT_CHECK_OP(weft_set_priority((enum weft_priority)i), ==, 0);
            kind_burns(4000);
            weft_yield();
            weft_preempt_disable();
            long tid = syscall(SYS_gettid);
            kind_burns_locked(4000);
            WEFT_CHECK_OP(syscall(SYS_gettid), ==, tid);
            weft_preempt_enable();
        }
    }
}

static void *wait_to_be_cancelled(void *how) {
    int result = 0;
    while (!weft_cancelled()) {
        switch ((uintptr_t)how % 4) {
            case 0:
                result = weft_sleep_until(WEFT_FOREVER);
                break;
            case 1:
                result = weft_park(WEFT_FOREVER, "to be cancelled");
                break;
            case 2:
                result = weft_sleep(30 * WEFT_US);
                break;
            default:
                STORM_CHECK();
        }
        WEFT_CHECK(result == 0 || result == -ECANCELED);
    }
    return how;
}

static void leave_alone(void *arg) {
    kind_burns((unsigned)(uintptr_t)arg);
}

static void cancel_others(unsigned me) {
    unsigned seed = me;
    while (kind_goes_on(me)) {
        struct weft_task *t;
        void *result;
        void *how = (void *)(uintptr_t)storm_random(&seed);
        WEFT_CHECK_OP(weft_spawn(&t, wait_to_be_cancelled, how, NULL), ==, 0);
        WEFT_CHECK_OP(weft_go(leave_alone, (void *)1000), ==, 0);
        if (storm_random(&seed) % 2 == 0) {
            WEFT_CHECK_OP(weft_join_until(t, NULL, weft_now() + 50 * WEFT_US),
                          ==, -ETIMEDOUT);
        }
        WEFT_CHECK_OP(weft_cancel(t), ==, 0);
        if (storm_random(&seed) % 4 == 0) {
            WEFT_CHECK_OP(weft_detach(t), ==, 0);
        } else {
            WEFT_CHECK_OP(weft_join(t, &result), ==, 0);
            WEFT_CHECK_OP(result, ==, how);
        }
    }
}

static void pause_politely(unsigned me) {
    unsigned seed = me;
    while (kind_goes_on(me)) {
        uint64_t until = weft_now() + storm_random(&seed) % 100 * WEFT_US;
        WEFT_CHECK_OP(weft_sleep_until(until), ==, 0);
        WEFT_CHECK(weft_now() >= until);
        for (unsigned i = storm_random(&seed) % 20; i > 0; i--) {
            weft_yield();
        }
    }
}

/* Pairs begin at an even index. */
static void (*const kinds[KINDS])(unsigned) = {
    read_raw,      write_raw,      take_turns,   take_turns,
    use_malloc,    fail_and_look,  print_lines,  lock_twice,
    hold_a_lock,   hold_a_lock,    grow_trees,   change_priority,
    cancel_others, block_secretly, block_openly, pause_politely,
};

static void *take_part(void *index) {
    kinds[(uintptr_t)index % KINDS]((unsigned)(uintptr_t)index);
    return NULL;
}

static unsigned task_count;

/* The first task that has not got on for as long as the patience lasts. */
static void await_progress(void) {
    uint64_t limit = weft_now() + PATIENCE_MS * WEFT_MS;
    for (unsigned i = 0; i < task_count; i++) {
        while (atomic_load_explicit(&progress[i], memory_order_relaxed) < 2) {
            if (weft_now() > limit) {
                weft_dump(STDERR_FILENO);
                weft_fatal("task %u of kind %u does not get on", i, i % KINDS);
            }
            weft_sleep(WEFT_MS);
        }
    }
}

static void run_all(void *ms) {
    static struct weft_task *tasks[MAX_TASKS];
    for (uintptr_t i = 0; i < task_count; i++) {
        char name[16];
        struct weft_task_options options = {.name = name};
        snprintf(name, sizeof name, "kind %u", (unsigned)i % KINDS);
        WEFT_CHECK_OP(weft_spawn(&tasks[i], take_part, (void *)i, &options), ==,
                      0);
    }
    WEFT_CHECK_OP(weft_sleep(*(unsigned *)ms * WEFT_MS), ==, 0);
    await_progress();
    atomic_store_explicit(&time_is_up, true, memory_order_relaxed);
    for (unsigned i = 0; i < task_count; i++) {
        WEFT_CHECK_OP(weft_join(tasks[i], NULL), ==, 0);
    }
}

static void prepare(void) {
    memset(pairs, 0, sizeof pairs);
    memset(progress, 0, sizeof progress);
    for (unsigned i = 0; i < task_count; i++) {
        if (kinds[i % KINDS] == read_raw) {
            assert_int_equal(pipe(pairs[i / 2].pipe), 0);
        }
    }
    libc_kinds_begin((MAX_TASKS / KINDS + 1) / 2);
    atomic_store_explicit(&time_is_up, false, memory_order_relaxed);
}

static void run_once(unsigned workers, unsigned tasks, unsigned ms) {
    task_count = tasks;
    prepare();
    storm_run(workers, QUANTUM_US, run_all, &ms);
    libc_kinds_end();
}

/* For the long form: again and again. */
static void storm(unsigned workers, unsigned tasks) {
    storm_needs_preemption(); /* there are calls that block in secret */
    uint64_t end = weft_now() + seconds * WEFT_S / 6;
    do {
        run_once(workers, tasks, seconds > 0 ? 1000 : 100);
    } while (weft_now() < end);
}

static void sixteen_kinds_on_one_worker(void **state) {
    storm(1, KINDS);
}

static void sixteen_kinds_on_two_workers(void **state) {
    storm(2, KINDS);
}

static void sixteen_kinds_on_four_workers(void **state) {
    storm(4, KINDS);
}

static void two_hundred_tasks_on_one_worker(void **state) {
    storm(1, MAX_TASKS);
}

static void two_hundred_tasks_on_two_workers(void **state) {
    storm(2, MAX_TASKS);
}

static void two_hundred_tasks_on_four_workers(void **state) {
    storm(4, MAX_TASKS);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixteen_kinds_on_one_worker),
        cmocka_unit_test(sixteen_kinds_on_two_workers),
        cmocka_unit_test(sixteen_kinds_on_four_workers),
        cmocka_unit_test(two_hundred_tasks_on_one_worker),
        cmocka_unit_test(two_hundred_tasks_on_two_workers),
        cmocka_unit_test(two_hundred_tasks_on_four_workers),
    };
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--seconds=", 10) == 0) {
            seconds = strtoul(argv[i] + 10, NULL, 10);
        }
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
