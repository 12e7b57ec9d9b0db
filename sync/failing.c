/* SPDX-License-Identifier: MIT */
/* The linker sends all references to malloc() to __wrap_malloc(), and so on;
 * see `failing` in BUILD. */
#include "weft/sync/failing.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#include "weft/sched/task.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *old);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *old);
void *__real_mmap(void *at, size_t size, int access, int flags, int fd,
                  off_t offset);
void *__wrap_mmap(void *at, size_t size, int access, int flags, int fd,
                  off_t offset);

int __real_posix_memalign(void **out, size_t align, size_t size);
int __wrap_posix_memalign(void **out, size_t align, size_t size);
int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*fn)(void *), void *arg);

static _Atomic long fail_in; /* allocations until one fails; 0: none will */
static _Atomic int which;    /* of them count: WHICH_... */
static _Atomic long allocated, aligned, mapped;
static _Atomic int mmap_fails;

enum { WHICH_MALLOC, WHICH_ANY, WHICH_TASKS };

static void fail_nth(int of, long nth) {
    atomic_store_explicit(&which, of, memory_order_relaxed);
    atomic_store_explicit(&fail_in, nth, memory_order_relaxed);
}

void weft_test_fail_nth(long nth) {
    fail_nth(WHICH_MALLOC, nth);
}

void weft_test_fail_nth_of_any(long nth) {
    fail_nth(WHICH_ANY, nth);
}

void weft_test_fail_nth_of_tasks(long nth) {
    fail_nth(WHICH_TASKS, nth);
}

int weft_test_has_failed(void) {
    return atomic_load_explicit(&fail_in, memory_order_relaxed) <= 0;
}

long weft_test_mapped(void) {
    return atomic_load_explicit(&mapped, memory_order_relaxed);
}

long weft_test_aligned(void) {
    return atomic_load_explicit(&aligned, memory_order_relaxed);
}

long weft_test_allocated(void) {
    return atomic_load_explicit(&allocated, memory_order_relaxed);
}

/* Is this the one that fails? */
static bool fails(void) {
    return atomic_load_explicit(&fail_in, memory_order_relaxed) > 0 &&
           (atomic_load_explicit(&which, memory_order_relaxed) != WHICH_TASKS ||
            weft_self() != NULL) &&
           atomic_fetch_sub_explicit(&fail_in, 1, memory_order_relaxed) == 1;
}

/* The same for what is not a malloc(). */
static bool any_fails(void) {
    return atomic_load_explicit(&which, memory_order_relaxed) != WHICH_MALLOC &&
           fails();
}

static void *counted(void *memory) {
    if (memory != NULL) {
        atomic_fetch_add_explicit(&allocated, 1, memory_order_relaxed);
    }
    return memory;
}

void weft_test_fail_mmap(int fails_now) {
    atomic_store_explicit(&mmap_fails, fails_now, memory_order_relaxed);
}

void *__wrap_mmap(void *at, size_t size, int access, int flags, int fd,
                  off_t offset) {
    if (atomic_load_explicit(&mmap_fails, memory_order_relaxed) != 0 ||
        any_fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *memory = __real_mmap(at, size, access, flags, fd, offset);
    if (memory != MAP_FAILED) {
        atomic_fetch_add_explicit(&mapped, (long)size, memory_order_relaxed);
    }
    return memory;
}

int __wrap_munmap(void *at, size_t size) {
    atomic_fetch_sub_explicit(&mapped, (long)size, memory_order_relaxed);
    return __real_munmap(at, size);
}

int __wrap_posix_memalign(void **out, size_t align, size_t size) {
    int error = any_fails() ? ENOMEM : __real_posix_memalign(out, align, size);
    if (error == 0) {
        atomic_fetch_add_explicit(&aligned, 1, memory_order_relaxed);
    }
    return error;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*fn)(void *), void *arg) {
    return any_fails() ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size) {
    if (fails()) {
        return NULL;
    }
    void *memory = __real_realloc(old, size);
    return old == NULL ? counted(memory) : memory;
}

void __wrap_free(void *old) {
    if (old != NULL) {
        atomic_fetch_sub_explicit(&allocated, 1, memory_order_relaxed);
    }
    __real_free(old);
}
