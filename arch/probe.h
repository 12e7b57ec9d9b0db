/* SPDX-License-Identifier: MIT */
/* Tests alone: a switch with known values in every register that it keeps. */
#ifndef WEFT_ARCH_PROBE_H_
#define WEFT_ARCH_PROBE_H_

#include <stdint.h>

#define WEFT_PROBE_WORDS 19

/* Loads in[0], in[1]... into the registers that a callee keeps, calls
 * weft_switch(save, to), and stores what they hold then into out[0]... Returns
 * how many registers this CPU has for it. */
uint64_t weft_probe_switch(void **save, void *to,
                           const uint64_t in[WEFT_PROBE_WORDS],
                           uint64_t out[WEFT_PROBE_WORDS]);

#endif
