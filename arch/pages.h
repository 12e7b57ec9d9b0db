/* SPDX-License-Identifier: MIT */
/* Memory from the kernel, for stacks: mapping, guards, and giving pages back
 * while the address stays. Any of them can be told to fail.
 *
 * Context of all: any thread; they are system calls. Sizes and addresses are
 * multiples of weft_pages_size() unless said otherwise. */
#ifndef WEFT_ARCH_PAGES_H_
#define WEFT_ARCH_PAGES_H_

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct weft_pages {
    bool madvise;        /* guards by MADV_GUARD_INSTALL; fixed after init */
    uint32_t max_guards; /* by mprotect at most; fixed after init */
    _Atomic uint32_t guards;  /* by mprotect so far; any thread, atomic */
    _Atomic uint32_t fail_in; /* the call that fails, 0 none; any, atomic */
    _Atomic bool one_by_one;  /* the kernel does not do several at one go */
};

/* Bytes of a page. */
size_t weft_pages_size(void);

/* Does the kernel know MADV_GUARD_INSTALL, and is what it installs a guard?
 * (Emulators say yes to any advice and do nothing.) */
bool weft_pages_have_guards(void);

/* Chooses the way of guarding; max_guards 0 is seven sixteenths of
 * vm.max_map_count: a guard by mprotect costs two VMAs, and the process needs
 * some for itself. */
void weft_pages_init(struct weft_pages *pages, bool madvise,
                     uint32_t max_guards);

/* Maps `size` bytes (rounded up to pages) of zeroes, not reserved, never of
 * huge pages. NULL: -ENOMEM. */
void *weft_pages_map(struct weft_pages *pages, size_t size);
void weft_pages_unmap(void *address, size_t size);

/* Makes [address, address + size) fault for ever. Returns 0 or -ENOMEM. */
int weft_pages_guard(struct weft_pages *pages, void *address, size_t size);

/* Can the two below be called? Not while one is told to fail. */
bool weft_pages_can_each(struct weft_pages *pages);

/* Guards `n` spans of one size by one call: those before the first that failed.
 * How many. */
uint32_t weft_pages_guard_each(struct weft_pages *pages,
                               const struct iovec *spans, uint32_t n);

/* Sees to it that the pages of these spans, of one size, are in memory. A hint:
 * what fails is there when it is touched. */
void weft_pages_fill_each(struct weft_pages *pages, const struct iovec *spans,
                          uint32_t n);

/* Is any of these pages in memory? True also when nobody can tell cheaply. A
 * page that was swapped out is not. */
bool weft_pages_resident(void *address, size_t size);

/* The bytes become zeroes and the memory free. A hint: it cannot fail. */
void weft_pages_drop(void *address, size_t size);

#endif
