/* SPDX-License-Identifier: MIT */
/* The global queue whose pushes take no lock. */
#include "weft/queue/lockfree_global.h"

#define GLOBAL            struct weft_lockfree_global
#define global_init       weft_lockfree_global_init
#define global_push       weft_lockfree_global_push
#define global_push_batch weft_lockfree_global_push_batch
#define global_pop        weft_lockfree_global_pop
#define global_pop_batch  weft_lockfree_global_pop_batch
#define LOOPS             weft_lockfree_global_loops
#define NAME              "lockfree_global"

#include "weft/bench/queue_global_template.h"
