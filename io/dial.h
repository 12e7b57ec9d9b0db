/* SPDX-License-Identifier: MIT */
/* A connection to a name: weft/io/resolve.h and weft_connect() in one. */
#ifndef WEFT_IO_DIAL_H_
#define WEFT_IO_DIAL_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Looks `host` and `service` up as weft_resolve() does and connects to one of
 * the addresses, by TCP: the best first, the next when that one refuses or has
 * not answered in its share of the time that is left until `deadline`, up to
 * eight in all. Returns the descriptor, as weft_connect() makes it; the errors
 * of weft_resolve(); -ECANCELED; or, when none of them took the connection,
 * what weft_connect() said of the first. Context: task, may switch. */
int weft_dial(const char *host, const char *service, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif
