/* SPDX-License-Identifier: MIT */
/* No way 3: a CPU whose frames nobody has written down, or a build without
 * signals. Nothing may be moved, so nothing else here is ever needed. */
#include "migrate.h"
#include "weft/base/check.h"
#include "weft/base/compiler.h"

void weft_migrate_prepare(void) {
}

void weft_migrate_thread_init(struct weft_migrate_thread *self) {
    *self =
        (struct weft_migrate_thread){.exceptions = weft_exceptions_of_thread()};
}

WEFT_TEXT bool weft_migrate_allowed(const struct weft_migrate_thread *self,
                                    const struct weft_interrupt *interrupt,
                                    const struct weft_migrate_stack *stack) {
    (void)self;
    (void)interrupt;
    (void)stack;
    return false;
}

void weft_migrate_leave(const struct weft_migrate_thread *self,
                        struct weft_interrupt *interrupt,
                        struct weft_migrate_luggage *luggage) {
    (void)self;
    (void)interrupt;
    (void)luggage;
    weft_fatal("weft_migrate_leave() where nothing may be moved");
}

void weft_migrate_arrive(struct weft_thread *thread,
                         const struct weft_migrate_thread *self,
                         struct weft_interrupt *interrupt,
                         const struct weft_migrate_luggage *luggage) {
    (void)thread;
    (void)self;
    (void)interrupt;
    (void)luggage;
    weft_fatal("weft_migrate_arrive() where nothing may be moved");
}

void weft_migrate_scrub(void) {
}
