/* SPDX-License-Identifier: MIT */
/* An interrupted call of libc keeps its meaning: each kind of task checks its
 * own results while 16 of them are interrupted every 50 us on two workers. */
#include <errno.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/storm.h"
#include "weft/base/check.h"

enum { TASKS = 16, MS = 400, QUANTUM_US = 50 };

static void storm(void *(*fn)(void *)) {
    assert_int_not_equal(storm_tasks(2, QUANTUM_US, TASKS, MS, fn), 0);
}

static void *use_malloc(void *index) {
    uint64_t rounds = 0;
    unsigned seed = (unsigned)(uintptr_t)index + 1;
    while (!storm_over()) {
        unsigned char *blocks[8];
        size_t sizes[8];
        for (int i = 0; i < 8; i++) {
            seed = seed * 1103515245U + 12345U;
            sizes[i] = 1 + (seed >> 8) % 3000;
            blocks[i] = malloc(sizes[i]);
            memset(blocks[i], (int)(uintptr_t)index, sizes[i]);
        }
        for (int i = 0; i < 8; i++) {
            size_t more = sizes[i] * 2;
            blocks[i] = realloc(blocks[i], more);
            for (size_t j = 0; j < sizes[i]; j++) {
                WEFT_CHECK_OP(blocks[i][j], ==, (unsigned char)(uintptr_t)index);
            }
            free(blocks[i]);
        }
        rounds++;
    }
    return (void *)(uintptr_t)rounds;
}

static void malloc_survives(void **state) {
    storm(use_malloc);
}

/* Not inlined: a compiler may keep the address of errno across calls, and
 * storm_over() may come back on another thread. */
static __attribute__((noinline)) void fail_once(bool badly) {
    errno = 0;
    if (badly) {
        WEFT_CHECK_OP(close(-1), ==, -1);
        WEFT_CHECK_OP(errno, ==, EBADF);
    } else {
        WEFT_CHECK_OP(chdir("/no such directory"), ==, -1);
        WEFT_CHECK_OP(errno, ==, ENOENT);
    }
}

static void *fail_and_look(void *index) {
    uint64_t rounds = 0;
    while (!storm_over()) {
        for (int i = 0; i < 100; i++) {
            fail_once((uintptr_t)index % 2);
            rounds++;
        }
    }
    return (void *)(uintptr_t)rounds;
}

static void errno_belongs_to_the_task(void **state) {
    storm(fail_and_look);
}

static FILE *shared;

static void *print_lines(void *index) {
    uint64_t rounds = 0;
    while (!storm_over()) {
        fprintf(shared, "<%06d:%s>\n", (int)(uintptr_t)index, "0123456789abcde");
        rounds++;
    }
    return (void *)(uintptr_t)rounds;
}

static void lines_of_a_shared_file_are_whole(void **state) {
    char line[64];
    uint64_t lines = 0;
    shared = tmpfile();
    assert_non_null(shared);
    uint64_t written = storm_tasks(2, QUANTUM_US, TASKS, MS, print_lines);
    rewind(shared);
    while (fgets(line, sizeof line, shared) != NULL) {
        int index;
        char text[32];
        assert_int_equal(strlen(line), 25);
        assert_int_equal(sscanf(line, "<%06d:%15s>", &index, text), 2);
        assert_string_equal(text, "0123456789abcde");
        lines++;
    }
    assert_int_equal(lines, written);
    fclose(shared);
}

static pthread_mutex_t recursive;
static uint64_t guarded[2];

static void *lock_twice(void *index) {
    uint64_t rounds = 0;
    (void)index;
    while (!storm_over()) {
        WEFT_CHECK_OP(pthread_mutex_lock(&recursive), ==, 0);
        guarded[0]++;
        WEFT_CHECK_OP(pthread_mutex_lock(&recursive), ==, 0);
        guarded[1]++;
        WEFT_CHECK_OP(guarded[0], ==, guarded[1]);
        WEFT_CHECK_OP(pthread_mutex_unlock(&recursive), ==, 0);
        WEFT_CHECK_OP(pthread_mutex_unlock(&recursive), ==, 0);
        rounds++;
    }
    return (void *)(uintptr_t)rounds;
}

static void a_recursive_mutex_excludes(void **state) {
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &attr);
    guarded[0] = guarded[1] = 0;
    uint64_t rounds = storm_tasks(2, QUANTUM_US, TASKS, MS, lock_twice);
    assert_int_equal(guarded[0], rounds);
    pthread_mutex_destroy(&recursive);
}

static void *look_up(void *index) {
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    uint64_t rounds = 0;
    (void)index;
    while (!storm_over()) {
        struct addrinfo *found;
        WEFT_CHECK_OP(getaddrinfo("127.0.0.1", "80", &hints, &found), ==, 0);
        WEFT_CHECK_OP(found->ai_family, ==, 2);
        freeaddrinfo(found);
        rounds++;
    }
    return (void *)(uintptr_t)rounds;
}

static void getaddrinfo_survives(void **state) {
    storm(look_up);
}

static void *format_and_parse(void *index) {
    uint64_t rounds = 0;
    double d = (double)(uintptr_t)index + 0.125;
    while (!storm_over()) {
        char text[64];
        snprintf(text, sizeof text, "%.3f %d", d, (int)rounds);
        WEFT_CHECK(strtod(text, NULL) == d);
        rounds++;
    }
    return (void *)(uintptr_t)rounds;
}

static void numbers_are_formatted_and_parsed(void **state) {
    storm(format_and_parse);
}

static pthread_key_t key;
static _Thread_local uint64_t mine;

/* Between two calls that may switch, a task is alone on its thread. */
static __attribute__((noinline)) void use_thread_locals_once(void *index) {
    mine = (uintptr_t)index;
    pthread_setspecific(key, index);
    for (volatile int i = 0; i < 1000; i++) {
    }
    WEFT_CHECK_OP(mine, ==, (uintptr_t)index);
    WEFT_CHECK_OP(pthread_getspecific(key), ==, index);
}

static void *use_thread_locals(void *index) {
    uint64_t rounds = 0;
    while (!storm_over()) {
        use_thread_locals_once(index);
        rounds++;
    }
    return (void *)(uintptr_t)rounds;
}

static void thread_locals_hold_between_switches(void **state) {
    assert_int_equal(pthread_key_create(&key, NULL), 0);
    storm(use_thread_locals);
    pthread_key_delete(key);
}

static void *use_all(void *index) {
    static void *(*const kinds[])(void *) = {
        use_malloc, fail_and_look, print_lines,      lock_twice,
        look_up,    use_malloc,    format_and_parse, use_thread_locals,
    };
    return kinds[(uintptr_t)index % (sizeof kinds / sizeof kinds[0])](index);
}

static void all_of_them_together(void **state) {
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &attr);
    guarded[0] = guarded[1] = 0;
    shared = tmpfile();
    assert_int_equal(pthread_key_create(&key, NULL), 0);
    storm(use_all);
    pthread_key_delete(key);
    fclose(shared);
    pthread_mutex_destroy(&recursive);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malloc_survives),
        cmocka_unit_test(errno_belongs_to_the_task),
        cmocka_unit_test(lines_of_a_shared_file_are_whole),
        cmocka_unit_test(a_recursive_mutex_excludes),
        cmocka_unit_test(getaddrinfo_survives),
        cmocka_unit_test(numbers_are_formatted_and_parsed),
        cmocka_unit_test(thread_locals_hold_between_switches),
        cmocka_unit_test(all_of_them_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
