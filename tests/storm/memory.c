/* SPDX-License-Identifier: MIT */
/* The heap: blocks of a task's own, and blocks that go from task to task. */
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/storm/kind.h"
#include "weft/base/check.h"

enum { BLOCKS = 8, SLOTS = 32 };

static void fill(unsigned char *block, size_t size, unsigned char mark) {
    WEFT_CHECK_OP(block, !=, NULL);
    WEFT_CHECK(malloc_usable_size(block) >= size);
    memset(block, mark, size);
}

static void check(const unsigned char *block, size_t size, unsigned char mark) {
    for (size_t i = 0; i < size; i++) {
        WEFT_CHECK_OP(block[i], ==, mark);
    }
}

static unsigned char *get(struct storm_task *self, size_t size) {
    void *block = NULL;
    size_t align = sizeof(void *) << storm_random(self) % 8;
    switch (storm_random(self) % 4) {
        case 0:
            block = calloc(size, 1);
            check(block, size, 0);
            break;
        case 1:
            WEFT_CHECK_OP(posix_memalign(&block, align, size), ==, 0);
            WEFT_CHECK_OP((uintptr_t)block % align, ==, 0U);
            break;
        case 2:
            block = aligned_alloc(align, (size + align - 1) / align * align);
            WEFT_CHECK_OP((uintptr_t)block % align, ==, 0U);
            break;
        default:
            block = malloc(size);
            break;
    }
    return block;
}

static void use_blocks(struct storm_task *self) {
    unsigned char mark = (unsigned char)self->index;
    unsigned char *blocks[BLOCKS];
    size_t sizes[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        sizes[i] = 1 + storm_random(self) % 3000;
        blocks[i] = get(self, sizes[i]);
        fill(blocks[i], sizes[i], mark);
    }
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = 1 + storm_random(self) % 6000;
        unsigned char *block = reallocarray(blocks[i], size, 1);
        WEFT_CHECK_OP(block, !=, NULL);
        check(block, size < sizes[i] ? size : sizes[i], mark);
        free(block);
    }
}

STORM_KIND(malloc, use_blocks, NULL, NULL);

/* Who finds a block looks at it and frees it. */
struct parcel {
    uint32_t size;
    unsigned char mark;
    unsigned char bytes[];
};

static _Atomic(struct parcel *) slots[SLOTS];

static void open_parcel(struct parcel *parcel) {
    if (parcel != NULL) {
        check(parcel->bytes, parcel->size, parcel->mark);
        free(parcel);
    }
}

static void pass_on(struct storm_task *self) {
    uint32_t size = storm_random(self) % 2000;
    struct parcel *parcel = malloc(sizeof *parcel + size);
    WEFT_CHECK_OP(parcel, !=, NULL);
    parcel->size = size;
    parcel->mark = (unsigned char)size;
    memset(parcel->bytes, parcel->mark, size);
    open_parcel(atomic_exchange_explicit(&slots[storm_random(self) % SLOTS],
                                         parcel, memory_order_acq_rel));
}

static void open_all(uint64_t rounds) {
    (void)rounds;
    for (int i = 0; i < SLOTS; i++) {
        open_parcel(
            atomic_exchange_explicit(&slots[i], NULL, memory_order_acquire));
    }
}

STORM_KIND(free_elsewhere, pass_on, NULL, open_all);
