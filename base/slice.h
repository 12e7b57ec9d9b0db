/* SPDX-License-Identifier: MIT */
/* How long the kernel lets a thread run before another of its kind may. */
#ifndef WEFT_BASE_SLICE_H_
#define WEFT_BASE_SLICE_H_

#include <stdbool.h>
#include <stdint.h>

/* Asks for slices of `ns` (0.1 to 100 ms; 0: the kernel's own) for the calling
 * thread, of which it keeps as large a share as before. Threads that it creates
 * inherit it. Since Linux 6.12 one with a shorter slice than the others is
 * chosen sooner when it wakes; older kernels take the call and keep their
 * slices. False when it was refused. Context: any thread; no errno. */
bool weft_thread_slice(uint64_t ns);

/* The slices it has, in ns; 0 where that is not known. Context: as above. */
uint64_t weft_thread_slice_is(void);

#endif
