/* SPDX-License-Identifier: MIT */
/* All vector registers of an ARM64 processor (NEON), full of a task's own
 * numbers while it is interrupted. */
#include "tests/storm/vectors.h"

enum { TURNS = 3000, BYTES = 32 * 16 };

#define ALL_32                                                             \
    "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25," \
    "26,27,28,29,30,31"

/* For each register \n. */
#define EACH(instruction) ".irp n," ALL_32 "\n" instruction "\n.endr\n"

static void keep_neon(struct storm_task *self) {
    uint32_t in[BYTES / 4], out[BYTES / 4] = {0};
    uint64_t turns = TURNS;
    for (size_t i = 0; i < BYTES / 4; i++) {
        in[i] = storm_random(self);
    }
    __asm__ volatile(
        EACH("ldr q\\n, [%1, #16*\\n]") "1: subs %0, %0, #1\nb.ne 1b\n" EACH(
            "str q\\n, [%2, #16*\\n]")
        : "+r"(turns)
        : "r"(in), "r"(out)
        : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
          "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20",
          "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
          "v31", "cc", "memory");
    WEFT_CHECK_OP(memcmp(in, out, sizeof in), ==, 0);
}

STORM_KIND(registers_neon, keep_neon, NULL, NULL);
