/* SPDX-License-Identifier: MIT */
/* All vector, mask and x87 registers of an x86-64 processor, full of a task's
 * own numbers while it is interrupted; and sums by its wider vectors. What the
 * processor lacks is not to be had. */
#include "tests/storm/vectors.h"

enum { TURNS = 3000 };

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2");
}

static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw");
}

VECTOR_KERNEL(sum_32, 32, __attribute__((target("avx2"))))
VECTOR_KERNEL(sum_64, 64, __attribute__((target("avx512f"))))

static void sum_by_32(struct storm_task *self) {
    check_sums(self, sum_32);
}

static void sum_by_64(struct storm_task *self) {
    check_sums(self, sum_64);
}

STORM_KIND(vectors_32, sum_by_32, has_avx2, NULL);
STORM_KIND(vectors_64, sum_by_64, has_avx512, NULL);

/* --- registers
 * ---------------------------------------------------------------- */

#define FIRST_16 "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"
#define LAST_16  "16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"

/* For each register \n of the list. */
#define EACH(list, instruction) ".irp n," list "\n" instruction "\n.endr\n"

#define WAIT "1: dec %0\njnz 1b\n"

#define CLOBBERS_16                                                         \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc", \
        "memory"

#define CLOBBERS_32                                                    \
    CLOBBERS_16, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", \
        "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", \
        "xmm29", "xmm30", "xmm31"

#define CLOBBERS_MASKS "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"

static void hold_sse(const void *in, void *out) {
    uint64_t turns = TURNS;
    __asm__ volatile(EACH(FIRST_16, "movups 16*\\n(%1), %%xmm\\n")
                         WAIT EACH(FIRST_16, "movups %%xmm\\n, 16*\\n(%2)")
                     : "+r"(turns)
                     : "r"(in), "r"(out)
                     : CLOBBERS_16);
}

__attribute__((target("avx2"))) static void hold_avx(const void *in,
                                                     void *out) {
    uint64_t turns = TURNS;
    __asm__ volatile(
        EACH(FIRST_16, "vmovdqu 32*\\n(%1), %%ymm\\n")
            WAIT EACH(FIRST_16, "vmovdqu %%ymm\\n, 32*\\n(%2)") "vzeroupper\n"
        : "+r"(turns)
        : "r"(in), "r"(out)
        : CLOBBERS_16);
}

__attribute__((target("avx512f,avx512bw"))) static void hold_avx512(
    const void *in, void *out) {
    uint64_t turns = TURNS;
    __asm__ volatile(
        EACH(FIRST_16 "," LAST_16, "vmovdqu64 64*\\n(%1), %%zmm\\n")
            EACH("0,1,2,3,4,5,6,7", "kmovq 2048+8*\\n(%1), %%k\\n")
                WAIT EACH("0,1,2,3,4,5,6,7", "kmovq %%k\\n, 2048+8*\\n(%2)")
                    EACH(FIRST_16 "," LAST_16,
                         "vmovdqu64 %%zmm\\n, 64*\\n(%2)") "vzeroupper\n"
        : "+r"(turns)
        : "r"(in), "r"(out)
        : CLOBBERS_32, CLOBBERS_MASKS);
}

enum { BYTES = 32 * 64 + 8 * 8 };

static void hold(struct storm_task *self, void (*fn)(const void *, void *),
                 size_t size) {
    uint32_t in[BYTES / 4], out[BYTES / 4] = {0};
    for (size_t i = 0; i < BYTES / 4; i++) {
        in[i] = storm_random(self);
    }
    fn(in, out);
    WEFT_CHECK_OP(memcmp(in, out, size), ==, 0);
}

static void keep_sse(struct storm_task *self) {
    hold(self, hold_sse, (size_t)16 * 16);
}

static void keep_avx(struct storm_task *self) {
    hold(self, hold_avx, (size_t)16 * 32);
}

static void keep_avx512(struct storm_task *self) {
    hold(self, hold_avx512, BYTES);
}

STORM_KIND(registers_sse, keep_sse, NULL, NULL);
STORM_KIND(registers_avx, keep_avx, has_avx2, NULL);
STORM_KIND(registers_avx512, keep_avx512, has_avx512, NULL);

/* Four numbers on the x87's stack. */
static void keep_x87(struct storm_task *self) {
    long double in[4], out[4];
    uint64_t turns = TURNS;
    for (int i = 0; i < 4; i++) {
        in[i] = (long double)storm_random(self) / 3;
    }
    __asm__ volatile("fldt 0(%1)\nfldt 16(%1)\nfldt 32(%1)\nfldt 48(%1)\n" WAIT
                     "fstpt 48(%2)\nfstpt 32(%2)\nfstpt 16(%2)\nfstpt 0(%2)\n"
                     : "+r"(turns)
                     : "r"(in), "r"(out)
                     : "st", "st(1)", "st(2)", "st(3)", "cc", "memory");
    for (int i = 0; i < 4; i++) {
        WEFT_CHECK(in[i] == out[i]);
    }
}

STORM_KIND(registers_x87, keep_x87, NULL, NULL);
