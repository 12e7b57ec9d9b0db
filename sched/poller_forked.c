/* SPDX-License-Identifier: MIT */
/* The poller in the child of a fork(): a backend that has no kernel's object.
 *
 * The child's descriptors are copies, but what they are registered with is one
 * and the same for both: an epoll or a ring is an open file. Whatever the child
 * takes out of it the parent hears no more of; so it takes out nothing. */
#include <errno.h>

#include "poller_backend.h"

static int never_add(struct weft_poller *poller, int fd, uint64_t key,
                     enum weft_descriptor_kind kind) {
    (void)poller, (void)fd, (void)key, (void)kind;
    return -EPERM;
}

static void never_remove(struct weft_poller *poller, int fd, uint64_t key) {
    (void)poller, (void)fd, (void)key;
}

static int never_wait(struct weft_poller *poller, uint64_t deadline,
                      struct weft_poller_event *events, int room) {
    (void)poller, (void)deadline, (void)events, (void)room;
    return 0;
}

static void never(struct weft_poller *poller) {
    (void)poller;
}

static const struct weft_poller_backend parents = {
    .kind = WEFT_POLLER_EPOLL,
    .fini = never,
    .add = never_add,
    .remove = never_remove,
    .wait = never_wait,
    .kick = never,
};

void weft_poller_forked(struct weft_poller *poller) {
    poller->backend = &parents;
}
