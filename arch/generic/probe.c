/* SPDX-License-Identifier: MIT */
/* See weft/arch/probe.h: on a CPU that is not known here the compiler chooses
 * the registers. */
#include "weft/arch/probe.h"

#include "weft/arch/switch.h"

uint64_t weft_probe_switch(void **save, void *to,
                           const uint64_t in[WEFT_PROBE_WORDS],
                           uint64_t out[WEFT_PROBE_WORDS]) {
    uint64_t a = in[0], b = in[1], c = in[2], d = in[3];
    weft_switch(save, to);
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
    return 4;
}
