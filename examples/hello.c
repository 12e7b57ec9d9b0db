/* SPDX-License-Identifier: MIT */
/* Guide, step 1: a task, and waiting for its end. */
#include <stdio.h>

#include "weft/weft.h"

static void *greet(void *name) {
    printf("hello, %s\n", (const char *)name);
    return NULL;
}

static void first(void *arg) {
    struct weft_task *task;
    (void)arg;
    if (weft_spawn(&task, greet, "weft", NULL) == 0) {
        weft_join(task, NULL);
    }
    puts("goodbye");
}

int main(void) {
    return weft_run(NULL, first, NULL) == 0 ? 0 : 1;
}
