/* SPDX-License-Identifier: MIT */
/* scrub_x86_64.S, for C and for itself. */
#ifndef WEFT_PREEMPT_SCRUB_H_
#define WEFT_PREEMPT_SCRUB_H_

#define WEFT_SCRUB_SSE    0
#define WEFT_SCRUB_AVX    1
#define WEFT_SCRUB_AVX512 2

#ifndef __ASSEMBLER__
/* Which vector registers the CPU and the system have. */
extern int weft_scrub_level;

/* Zeroes all registers that a call need not keep, but the stack pointer. */
void weft_scrub_registers(void);
#endif
#endif
