/* SPDX-License-Identifier: MIT */
/* The lock-free ring alone, of four slots: the owner pushes and pops in one
 * thread, and what a thief steals is the older half. */
#include <stdio.h>

#include "weft/queue/lockfree_queue.h"

WEFT_LOCKFREE_QUEUE_DEFINE(ring, 4)

struct item {
    struct weft_node node;
    int number;
};

static int number_of(struct weft_node *node) {
    return node ? weft_container_of(node, struct item, node)->number : 0;
}

int main(void) {
    static struct ring mine, thief;
    struct item items[4] = {
        {.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    uint32_t stolen = 0;
    ring_init(&mine);
    ring_init(&thief);
    for (int i = 0; i < 4; i++) {
        if (!ring_push(&mine, &items[i].node)) {
            return 1;
        }
    }
    int first = number_of(ring_steal_into(&thief, &mine, &stolen));
    int second = number_of(ring_pop(&thief));
    int third = number_of(ring_pop(&mine));
    printf("%d and %d were stolen, %d was not\n", first, second, third);
    return first == 1 && second == 2 && third == 3 && stolen == 2 ? 0 : 1;
}
