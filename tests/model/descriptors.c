/* SPDX-License-Identifier: MIT */
/* A poller in the checker: see descriptors.h. */
#include "descriptors.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel.h"
#include "model.h"
#include "tasks.h"
#include "weft/base/check.h"
#include "weft/base/clock.h"
#include "weft/io/operation.h"
#include "weft/io/turn.h"
#include "weft/sched/park.h"

static _Alignas(64) char table[WEFT_POLLER_CHUNKS * sizeof(void *)];
static struct weft_descriptor chunks[2][WEFT_POLLER_CHUNK];
static _Atomic unsigned chunks_taken;
struct weft_poller descriptors_poller;

void *model_mmap(void *at, size_t size, int protection, int flags, int fd,
                 off_t offset);
void *model_mmap(void *at, size_t size, int protection, int flags, int fd,
                 off_t offset) {
    (void)at, (void)protection, (void)flags, (void)fd, (void)offset;
    if (size == sizeof(table)) {
        return table;
    }
    WEFT_CHECK_OP(size, ==, sizeof(chunks[0]));
    unsigned taken =
        atomic_fetch_add_explicit(&chunks_taken, 1, memory_order_relaxed);
    WEFT_CHECK_OP(taken, <, 2u);
    /* The zeros are written here, for the checker to see. */
    volatile uint64_t *zeros = (volatile void *)chunks[taken];
    for (size_t i = 0; i < KERNEL_NUMBERS * sizeof(chunks[0][0]) / 8; i++) {
        zeros[i] = 0;
    }
    return chunks[taken];
}

int model_munmap(void *at, size_t size);
int model_munmap(void *at, size_t size) {
    (void)size;
    WEFT_CHECK(at == chunks[0] || at == chunks[1]);
    return 0;
}

static void name_record(struct weft_descriptor *d) {
    model_name(&d->state, sizeof(d->state), "state");
    model_name(d->slot, sizeof(d->slot), "slot");
    model_name(&d->ended, sizeof(d->ended), "ended");
}

/* A turn that a run left behind when it failed: no later one may find it. */
static void drop_turns(void) {
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < KERNEL_NUMBERS; j++) {
            weft_turn_send_away(&chunks[i][j]);
        }
    }
}

void descriptors_reset(void) {
    struct weft_poller *poller = &descriptors_poller;
    tasks_reset(WEFT_MS, 0);
    drop_turns();
    tasks_reset(WEFT_MS, 0);
    kernel_reset();
    memset(table, 0, sizeof(void *));
    for (int i = 0; i < 2; i++) {
        memset(chunks[i], 0, KERNEL_NUMBERS * sizeof(chunks[i][0]));
        for (int j = 0; j < KERNEL_NUMBERS; j++) {
            name_record(&chunks[i][j]);
        }
    }
    atomic_init(&chunks_taken, 0);
    weft_poller_retire(poller);
    WEFT_CHECK_OP(weft_poller_init(poller, WEFT_POLLER_EPOLL), ==, 0);
    model_name(table, sizeof(void *), "chunk");
    model_name(&poller->kicked, sizeof(poller->kicked), "kicked");
    model_label(poller, sizeof(*poller), "the poller");
    model_label(chunks, sizeof(chunks), "a record");
}

void descriptors_reset_to_one(void) {
    descriptors_reset();
    WEFT_CHECK(kernel_open(0, 0));
    WEFT_CHECK_OP(weft_io_hand_out(0, WEFT_DESCRIPTOR_TCP), ==, 0);
}

static void look(uint64_t deadline) {
    void *waiters[DESCRIPTORS_BATCH];
    int count = weft_poller_wait(&descriptors_poller, deadline, waiters,
                                 DESCRIPTORS_BATCH);
    for (int i = 0; i < count; i++) {
        weft_unpark(waiters[i]);
    }
}

void descriptors_poll(void) {
    for (;;) {
        look(WEFT_FOREVER);
    }
}

void descriptors_look(void) {
    look(0);
}
