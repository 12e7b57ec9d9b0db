/* SPDX-License-Identifier: MIT */
/* Interrupted at every instruction, for a while: malloc, errno, a recursive
 * mutex, stdio, the locale, thread-locals, vector registers. One processor, a
 * quantum of 50 us, several jobs of each kind; none may notice.
 *
 * Each of these broke within a tenth of a second when the OS thread was shared
 * with another task while one was interrupted (docs/preemption.md). */
#include <errno.h>
#include <locale.h>
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

#include "toy.h"
#include "weft/base/clock.h"
#include "weft/base/compiler.h"

enum { JOBS = 4 };

static uint64_t storm_end;
static _Atomic uint64_t rounds;
static _Atomic uint64_t errors;

/* Counts a round; false when the storm is over. */
static bool go_on(bool good) {
    atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
    if (!good) {
        atomic_fetch_add_explicit(&errors, 1, memory_order_relaxed);
    }
    toy_check();
    return weft_clock_now() < storm_end;
}

/* Some time in plain code, so that it is interrupted there, too. */
static void dawdle(void) {
    for (int i = 0; i < 200; i++) {
        __asm__ volatile("");
    }
}

static void use_malloc(void *arg) {
    enum { SLOTS = 32 };
    unsigned char *slot[SLOTS] = {NULL};
    size_t size[SLOTS] = {0};
    uint32_t random = (uint32_t)(uintptr_t)&slot | 1;
    bool good = true;
    do {
        random = random * 1664525 + 1013904223;
        unsigned i = (random >> 10) % SLOTS;
        unsigned char mark = (unsigned char)(i + size[i]);
        for (size_t k = 0; k < size[i]; k++) {
            good = good && slot[i][k] == mark;
        }
        free(slot[i]);
        size[i] = (random >> 16) % 700;
        slot[i] = malloc(size[i]);
        memset(slot[i], (int)(i + size[i]), size[i]);
    } while (go_on(good));
    for (int i = 0; i < SLOTS; i++) {
        free(slot[i]);
    }
}

static void use_errno(void *arg) {
    bool bad_descriptor = (uintptr_t)arg % 2;
    bool good;
    do {
        int expected = bad_descriptor ? EBADF : ENOENT;
        int result = bad_descriptor ? close(-1) : unlink("/nowhere/at/all");
        dawdle();
        good = result == -1 && errno == expected;
    } while (go_on(good));
}

static pthread_mutex_t recursive;
static long guarded[2];

static void use_recursive_mutex(void *arg) {
    bool good;
    do {
        good = pthread_mutex_lock(&recursive) == 0;
        guarded[0]++;
        good = good && pthread_mutex_lock(&recursive) == 0;
        dawdle();
        guarded[1]++;
        good = good && guarded[0] == guarded[1];
        good = good && pthread_mutex_unlock(&recursive) == 0;
        good = good && pthread_mutex_unlock(&recursive) == 0;
    } while (go_on(good));
}

static FILE *stream;

static void use_stdio(void *arg) {
    char line[64];
    bool good;
    do {
        flockfile(stream); /* recursive, and its owner is checked */
        rewind(stream);
        good = fprintf(stream, "%d and %s\n", 4711, "words") == 15;
        dawdle();
        rewind(stream);
        good = good && fgets(line, sizeof(line), stream) != NULL &&
               strcmp(line, "4711 and words\n") == 0;
        funlockfile(stream);
    } while (go_on(good));
}

static void use_locale(void *arg) {
    locale_t mine =
        newlocale(LC_ALL_MASK, (uintptr_t)arg % 2 ? "C" : "POSIX", (locale_t)0);
    locale_t before = uselocale(mine);
    do {
        dawdle();
    } while (go_on(uselocale((locale_t)0) == mine));
    uselocale(before);
    freelocale(mine);
}

static _Thread_local volatile long own_count;
static pthread_key_t key;

static void use_thread_locals(void *arg) {
    long count = 0;
    bool good = true;
    own_count = 0;
    do {
        pthread_setspecific(key, &count);
        for (int i = 0; i < 100; i++) {
            own_count = own_count + 1;
        }
        count += 100;
        good = own_count == count && pthread_getspecific(key) == &count;
    } while (go_on(good));
}

/* Sums that only come out if no vector register ever changes underway. */
static void use_vectors(void *arg) {
    enum { N = 256 };
    double value[N];
    double expected = 0;
    double seed = (double)((uintptr_t)arg + 1);
    for (int i = 0; i < N; i++) {
        value[i] = seed * i;
        expected += value[i];
    }
    double sum;
    do {
        double lane[8] = {0};
        for (int i = 0; i < N; i += 8) {
            for (int k = 0; k < 8; k++) {
                lane[k] += value[i + k];
            }
        }
        sum = 0;
        for (int k = 0; k < 8; k++) {
            sum += lane[k];
        }
    } while (go_on(sum == expected)); /* whole numbers: exact in any order */
}

static void storm(void (*const *kinds)(void *), int count, uint64_t length) {
    struct toy_job jobs[8 * JOBS];
    struct toy_result result;
    enum weft_preempt_mode mode = weft_preempt_mode_choose(WEFT_PREEMPT_SIGNAL);
    for (int i = 0; i < count * JOBS; i++) {
        jobs[i] = (struct toy_job){kinds[i % count], (void *)(uintptr_t)i};
    }
    atomic_store_explicit(&rounds, 0, memory_order_relaxed);
    atomic_store_explicit(&errors, 0, memory_order_relaxed);
    storm_end = weft_clock_now() + length;
    toy_run(jobs, count * JOBS, 50 * WEFT_US, mode, &result);
    assert_int_equal(atomic_load_explicit(&errors, memory_order_relaxed), 0);
    assert_in_range(atomic_load_explicit(&rounds, memory_order_relaxed), 1,
                    INTMAX_MAX);
    assert_true(result.switches >= (uint64_t)(count * JOBS));
    if (mode == WEFT_PREEMPT_SIGNAL) {
        assert_true(result.counters.kept > 0);
        print_message(
            "%lu rounds, %lu requests, %lu preempted, %lu put off "
            "in libc\n",
            (unsigned long)rounds, (unsigned long)result.counters.requests,
            (unsigned long)result.counters.kept,
            (unsigned long)result.counters.deferred_libc);
    }
}

#define STORM_OF(test, job)                    \
    static void test(void **state) {           \
        void (*const kinds[])(void *) = {job}; \
        storm(kinds, 1, 200 * WEFT_MS);        \
    }

STORM_OF(an_interrupted_malloc_keeps_its_heap, use_malloc)
STORM_OF(errno_belongs_to_the_task, use_errno)
STORM_OF(a_recursive_mutex_excludes_others, use_recursive_mutex)
STORM_OF(lines_of_a_shared_stream_stay_whole, use_stdio)
STORM_OF(a_locale_stays_with_its_task, use_locale)
STORM_OF(thread_locals_are_ones_own, use_thread_locals)
STORM_OF(vector_registers_survive, use_vectors)

static void all_of_it_at_once(void **state) {
    void (*const kinds[])(void *) = {
        use_malloc, use_errno,         use_recursive_mutex, use_stdio,
        use_locale, use_thread_locals, use_vectors,
    };
    storm(kinds, 7, 700 * WEFT_MS);
}

static int prepare(void **state) {
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    stream = tmpfile();
    return stream == NULL || pthread_mutex_init(&recursive, &kind) != 0 ||
           pthread_key_create(&key, NULL) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interrupted_malloc_keeps_its_heap),
        cmocka_unit_test(errno_belongs_to_the_task),
        cmocka_unit_test(a_recursive_mutex_excludes_others),
        cmocka_unit_test(lines_of_a_shared_stream_stay_whole),
        cmocka_unit_test(a_locale_stays_with_its_task),
        cmocka_unit_test(thread_locals_are_ones_own),
        cmocka_unit_test(vector_registers_survive),
        cmocka_unit_test(all_of_it_at_once),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
