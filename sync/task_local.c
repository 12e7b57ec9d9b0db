/* SPDX-License-Identifier: MIT */
/* Task-local storage: a small array of keys and values that the task carries.
 *
 * Always true: only the task itself touches its array; the entries stand in the
 * order in which they got a value, none of them NULL; the task carries nothing
 * until it has set something, and nothing again once all is ended.
 *
 * Looking through some keys is faster than hashing them; who wants hundreds of
 * values keeps a structure under one key.
 *
 * Rejected: numbered keys that are handed out, as pthreads' (a limit, a call
 * that may fail, and a race about who makes the key). */
#include "weft/sync/task_local.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weft/base/compiler.h"
#include "weft/sched/park.h"
#include "weft/sched/task.h"

enum { FIRST_ROOM = 4 };

struct entry {
    const struct weft_task_local *key;
    void *value;
};

struct locals {
    struct weft_carried carried;
    uint32_t count, room;
    struct entry entries[];
};

static struct locals *mine(void) {
    struct weft_carried *carried = weft_carried();
    return carried == NULL ? NULL
                           : weft_container_of(carried, struct locals, carried);
}

static struct entry *find(struct locals *l, const struct weft_task_local *key) {
    for (uint32_t i = 0; l != NULL && i < l->count; i++) {
        if (l->entries[i].key == key) {
            return &l->entries[i];
        }
    }
    return NULL;
}

/* The task has ended. An `end` may set values, which may move the array. */
static void end_all(struct weft_carried *self) {
    struct locals *l = weft_container_of(self, struct locals, carried);
    while (l->count > 0) {
        struct entry last = l->entries[--l->count];
        if (last.key->end != NULL) {
            last.key->end(last.value);
        }
        l = mine();
    }
    (void)weft_carry(NULL);
    free(l);
}

/* Room for one more; NULL when there is no memory. */
static struct locals *grow(struct locals *l) {
    if (l != NULL && l->count < l->room) {
        return l;
    }
    uint32_t room = l == NULL ? FIRST_ROOM : 2 * l->room;
    struct locals *more =
        realloc(l, sizeof *more + room * sizeof more->entries[0]);
    if (more == NULL) {
        return NULL;
    }
    if (l == NULL) {
        *more = (struct locals){.carried = {end_all}};
    }
    more->room = room;
    (void)weft_carry(&more->carried);
    return more;
}

void *weft_task_local_get(const struct weft_task_local *key) {
    struct entry *entry = find(mine(), key);
    return entry == NULL ? NULL : entry->value;
}

int weft_task_local_set(const struct weft_task_local *key, void *value) {
    if (weft_self() == NULL) {
        return -EPERM;
    }
    struct locals *l = mine();
    struct entry *entry = find(l, key);
    if (entry != NULL && value != NULL) {
        entry->value = value;
    } else if (entry != NULL) {
        size_t behind = (size_t)(&l->entries[--l->count] - entry);
        memmove(entry, entry + 1, behind * sizeof *entry);
    } else if (value != NULL) {
        l = grow(l);
        if (l == NULL) {
            return -ENOMEM;
        }
        l->entries[l->count++] = (struct entry){key, value};
    }
    return 0;
}
