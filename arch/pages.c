/* SPDX-License-Identifier: MIT */
/* See pages.h. One of the few files that read errno: right after the call, by a
 * thread that is not switched in between.
 *
 * MADV_GUARD_INSTALL (Linux 6.13) marks page-table entries, so a million guards
 * are a few VMAs; mprotect() splits one VMA into three, and the kernel allows
 * 65,530 in a process.
 *
 * Pages are dropped with MADV_DONTNEED, not MADV_FREE: the next touch costs 2
 * us instead of 0.4, but the memory is seen to be free at once, by whoever
 * watches the process's size or a cgroup's limit. Rejected: MADV_GUARD_REMOVE
 * when a stack is given back; guards are for ever, since stacks are. */
#define _GNU_SOURCE /* mincore() */
#include "weft/arch/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "weft/base/compiler.h"
#include "weft/base/syscall.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

/* Instead of a descriptor: the calling thread's process (Linux 6.14). A real
 * one would be the parent's still in the child of a fork(). */
#define PIDFD_SELF (-10000)

size_t weft_pages_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

bool weft_pages_have_guards(void) {
    size_t size = weft_pages_size();
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return false;
    }
    bool have = madvise(page, size, MADV_GUARD_INSTALL) == 0;
    if (have) {
        /* The kernel is to write the time there: -EFAULT, if it is one. */
        have = weft_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (long)page, 0,
                            0, 0, 0) == -EFAULT;
    }
    munmap(page, size);
    return have;
}

static uint32_t vmas_allowed(void) {
    char text[32] = {0};
    long allowed = 0;
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, text, sizeof(text) - 1) > 0) {
            allowed = strtol(text, NULL, 10);
        }
        close(fd);
    }
    if (allowed <= 0) {
        allowed = 65530;
    }
    return allowed > INT32_MAX ? INT32_MAX : (uint32_t)allowed;
}

void weft_pages_init(struct weft_pages *pages, bool madvise,
                     uint32_t max_guards) {
    pages->madvise = madvise;
    if (max_guards == 0) {
        max_guards = vmas_allowed() / 16 * 7;
    }
    pages->max_guards = max_guards;
    atomic_init(&pages->guards, 0);
    atomic_init(&pages->fail_in, 0);
    atomic_init(&pages->one_by_one, !madvise);
}

/* Counts down to the call that was told to fail. */
static bool told_to_fail(struct weft_pages *pages) {
    uint32_t in = atomic_load_explicit(&pages->fail_in, memory_order_relaxed);
    while (WEFT_UNLIKELY(in != 0)) {
        if (atomic_compare_exchange_weak_explicit(&pages->fail_in, &in, in - 1,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return in == 1;
        }
    }
    return false;
}

void *weft_pages_map(struct weft_pages *pages, size_t size) {
    if (told_to_fail(pages)) {
        return NULL;
    }
    void *address =
        mmap(NULL, size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (address == MAP_FAILED) {
        return NULL;
    }
    /* A kernel without huge pages says no, and there are none then. */
    madvise(address, size, MADV_NOHUGEPAGE);
    return address;
}

void weft_pages_unmap(void *address, size_t size) {
    munmap(address, size);
}

int weft_pages_guard(struct weft_pages *pages, void *address, size_t size) {
    if (told_to_fail(pages)) {
        return -ENOMEM;
    }
    /* Not where memory is locked (mlockall): there mprotect() has to do. */
    if (pages->madvise && madvise(address, size, MADV_GUARD_INSTALL) == 0) {
        return 0;
    }
    if (atomic_fetch_add_explicit(&pages->guards, 1, memory_order_relaxed) <
            pages->max_guards &&
        mprotect(address, size, PROT_NONE) == 0) {
        return 0;
    }
    atomic_fetch_sub_explicit(&pages->guards, 1, memory_order_relaxed);
    return -ENOMEM;
}

/* One advice for all; how many it was taken for. A call of which nothing comes
 * is the last one: kernels and filters that know it not say so each time. */
static uint32_t advise_each(struct weft_pages *pages, const struct iovec *spans,
                            uint32_t n, int advice) {
    long done = weft_syscall(SYS_process_madvise, PIDFD_SELF, (long)spans, n,
                             advice, 0, 0);
    if (done <= 0) {
        atomic_store_explicit(&pages->one_by_one, true, memory_order_relaxed);
        return 0;
    }
    return (uint32_t)((size_t)done / spans[0].iov_len);
}

bool weft_pages_can_each(struct weft_pages *pages) {
    return !atomic_load_explicit(&pages->one_by_one, memory_order_relaxed) &&
           atomic_load_explicit(&pages->fail_in, memory_order_relaxed) == 0;
}

uint32_t weft_pages_guard_each(struct weft_pages *pages,
                               const struct iovec *spans, uint32_t n) {
    return advise_each(pages, spans, n, MADV_GUARD_INSTALL);
}

void weft_pages_fill_each(struct weft_pages *pages, const struct iovec *spans,
                          uint32_t n) {
    if (n > 0) {
        (void)advise_each(pages, spans, n, MADV_POPULATE_WRITE);
    }
}

bool weft_pages_resident(void *address, size_t size) {
    unsigned char resident[256];
    size_t pages = size / weft_pages_size();
    if (pages > sizeof(resident) || mincore(address, size, resident) != 0) {
        return true;
    }
    for (size_t i = 0; i < pages; i++) {
        if ((resident[i] & 1) != 0) {
            return true;
        }
    }
    return false;
}

void weft_pages_drop(void *address, size_t size) {
    madvise(address, size, MADV_DONTNEED);
}
