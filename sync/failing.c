/* SPDX-License-Identifier: MIT */
/* The linker sends all references to malloc() to __wrap_malloc(), and so on;
 * see `failing` in BUILD. */
#include "weft/sync/failing.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

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

static _Atomic long fail_in; /* allocations until one fails; 0: none will */
static _Atomic long allocated;
static _Atomic int mmap_fails;

void weft_test_fail_nth(long nth) {
    atomic_store_explicit(&fail_in, nth, memory_order_relaxed);
}

int weft_test_has_failed(void) {
    return atomic_load_explicit(&fail_in, memory_order_relaxed) <= 0;
}

long weft_test_allocated(void) {
    return atomic_load_explicit(&allocated, memory_order_relaxed);
}

/* Is this the one that fails? */
static bool fails(void) {
    return atomic_load_explicit(&fail_in, memory_order_relaxed) > 0 &&
           atomic_fetch_sub_explicit(&fail_in, 1, memory_order_relaxed) == 1;
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
    if (atomic_load_explicit(&mmap_fails, memory_order_relaxed) != 0) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return __real_mmap(at, size, access, flags, fd, offset);
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
