/* SPDX-License-Identifier: MIT */
/* What must have happened before what: races, and loads that come too late.
 *
 * Data races: two accesses to one byte by different threads, one of them a
 * write, not both atomic, and neither happened before the other.
 *
 * For each 8 bytes the last accesses are kept, each with its bytes and with the
 * clock of its thread: it happened before the present one if the present
 * thread's view has that much of the other's clock. Accesses by the code under
 * test alone are seen; memcpy() of a size that the compiler does not know and
 * the library's own code are not.
 *
 * An access that is forgotten because there is no room for it may hide a race,
 * never make one up.
 *
 * Loads that come too late: memory.c lets no load see a store that is executed
 * after it. C11 does, unless the load happened before the store. Where a word
 * is watched (model_watch()) and a thread writes to it that has heard of the
 * load, through whatever values of whatever order, but has not synchronized
 * with it, the load could have returned what is written now, and that is the
 * failure. (Where it has not heard of it, another run has the store first.) */
#include <string.h>

#include "inside.h"

enum {
    CELLS = 1 << 14,
    KEPT = 10,
};

struct record {
    uint8_t bytes; /* which of the eight */
    uint8_t thread;
    uint16_t access; /* no padding: records are compared as bytes */
    uint16_t clock;
};

static struct cell {
    uintptr_t word;
    unsigned run;         /* the cell is empty in any other */
    unsigned count, next; /* of the records; and which goes when it is full */
    struct record *last;  /* the newest */
    struct record kept[KEPT];
} cells[CELLS];
static unsigned run = 1;

enum { WATCHED = 16, LOADS = 1024 };

static struct {
    uintptr_t start;
    size_t size;
} watched[WATCHED];
static unsigned watched_count;

static struct load {
    uintptr_t at;
    int thread;
    int stored; /* as which of the word's values; -1: a load */
    uint16_t clock, heard;
} loads[LOADS];
static unsigned load_count;

/* How far a thread, or a value, has heard of each thread, in stores. */
static uint16_t heard[MODEL_THREADS][MODEL_THREADS];
static uint16_t told[MODEL_MESSAGES][MODEL_THREADS];

void model_race_reset(void) {
    run++;
    watched_count = load_count = 0;
    for (int i = 0; i < MODEL_THREADS; i++) {
        for (int j = 0; j < MODEL_THREADS; j++) {
            heard[i][j] = i == j;
        }
    }
}

void model_watch(const volatile void *start, size_t size) {
    if (watched_count == WATCHED) {
        model_fail("too many watched words");
    }
    watched[watched_count].start = (uintptr_t)start;
    watched[watched_count++].size = size;
}

static bool is_watched(const volatile void *at) {
    for (unsigned i = 0; i < watched_count; i++) {
        if ((uintptr_t)at - watched[i].start < watched[i].size) {
            return true;
        }
    }
    return false;
}

void model_first_value(unsigned message) {
    memset(told[message], 0, sizeof(told[message]));
}

static void add_use(const volatile void *at, int stored) {
    if (load_count < LOADS) {
        loads[load_count++] = (struct load){
            .at = (uintptr_t)at,
            .thread = model_current,
            .stored = stored,
            .clock = model_view_of(model_current)->clock[model_current],
            .heard = heard[model_current][model_current],
        };
    }
}

void model_hear(const volatile void *at, unsigned message) {
    for (int i = 0; i < MODEL_THREADS; i++) {
        if (told[message][i] > heard[model_current][i]) {
            heard[model_current][i] = told[message][i];
        }
    }
    if (is_watched(at)) {
        add_use(at, -1);
    }
}

void model_tell(const volatile void *at, unsigned message, int nth, int seen) {
    const struct model_view *view = model_view_of(model_current);
    uint16_t *mine = heard[model_current];
    bool look = is_watched(at);
    for (unsigned i = 0; look && i < load_count; i++) {
        const struct load *load = &loads[i];
        if (load->at == (uintptr_t)at && load->thread != model_current &&
            load->heard <= mine[load->thread] &&
            load->clock > view->clock[load->thread] &&
            (load->stored < 0 || load->stored > seen)) {
            model_fail(
                "%s is written after a %s by thread %d that has not "
                "happened before",
                model_name_of(at), load->stored < 0 ? "load" : "store",
                load->thread);
        }
    }
    if (look) {
        add_use(at, nth);
    }
    memcpy(told[message], mine, sizeof(told[message]));
    mine[model_current]++;
}

static struct cell *cell_of(uintptr_t word) {
    for (uintptr_t i = word * 0x9e3779b97f4a7c15u >> 50;; i++) {
        struct cell *cell = &cells[i % CELLS];
        if (cell->run != run) {
            cell->word = word;
            cell->run = run;
            cell->count = cell->next = 0;
            cell->last = NULL;
        }
        if (cell->word == word) {
            return cell;
        }
    }
}

static bool conflict(const struct record *old, uint8_t bytes,
                     enum model_access access, const struct model_view *view) {
    return (old->bytes & bytes) != 0 && old->thread != model_current &&
           !(old->access == ACCESS_READ && access == ACCESS_READ) &&
           !(old->access == ACCESS_ATOMIC && access == ACCESS_ATOMIC) &&
           old->clock > view->clock[old->thread];
}

static void access_word(uintptr_t word, uint8_t bytes,
                        enum model_access access) {
    static const char *const names[] = {"read", "write", "atomic operation"};
    struct cell *cell = cell_of(word);
    const struct model_view *view = model_view_of(model_current);
    struct record now = {
        .bytes = bytes,
        .thread = (uint8_t)model_current,
        .access = (uint16_t)access,
        .clock = view->clock[model_current],
    };
    struct record *mine = NULL;
    if (cell->last != NULL && memcmp(cell->last, &now, sizeof(now)) == 0) {
        return; /* nobody has been here meanwhile */
    }
    for (unsigned i = 0; i < cell->count; i++) {
        struct record *old = &cell->kept[i];
        if (conflict(old, bytes, access, view)) {
            model_fail(
                "data race at %s: a %s, and a %s of thread %d that did "
                "not happen before it",
                model_name_of(
                    (void *)((word << 3) + (unsigned)__builtin_ctz(bytes))),
                names[access], names[old->access], old->thread);
        }
        if (old->thread == model_current && old->access == access &&
            old->bytes == bytes) {
            mine = old;
        }
    }
    if (mine == NULL) {
        mine = cell->count < KEPT ? &cell->kept[cell->count++]
                                  : &cell->kept[cell->next++ % KEPT];
    }
    *mine = now;
    cell->last = mine;
}

void model_access(const volatile void *at, size_t size,
                  enum model_access access) {
    uintptr_t from = (uintptr_t)at, end = from + size;
    if (model_current < 0) {
        return;
    }
    while (from < end) {
        uintptr_t word = from >> 3, first = from & 7;
        uintptr_t last = end - (word << 3);
        unsigned bytes = 0xffu << first;
        if (last < 8) {
            bytes &= (1u << last) - 1;
        }
        access_word(word, (uint8_t)bytes, access);
        from = (word + 1) << 3;
    }
}
