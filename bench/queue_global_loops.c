/* SPDX-License-Identifier: MIT */
/* The global queue under its lock. */
#include "weft/queue/global_queue.h"

#define GLOBAL            struct weft_global
#define global_init       weft_global_init
#define global_push       weft_global_push
#define global_push_batch weft_global_push_batch
#define global_pop        weft_global_pop
#define global_pop_batch  weft_global_pop_batch
#define LOOPS             weft_global_loops
#define NAME              "global"

#include "weft/bench/queue_global_template.h"
