/* SPDX-License-Identifier: MIT */
/* Time is a uint64_t of nanoseconds on CLOCK_MONOTONIC. A deadline is a point
 * on it; WEFT_FOREVER is later than all of them. */
#ifndef WEFT_BASE_CLOCK_H_
#define WEFT_BASE_CLOCK_H_

#include <stdint.h>
#include <time.h>

#define WEFT_FOREVER UINT64_MAX

#define WEFT_US 1000ULL
#define WEFT_MS 1000000ULL
#define WEFT_S  1000000000ULL

static inline uint64_t weft_timespec_ns(const struct timespec *ts) {
    return (uint64_t)ts->tv_sec * WEFT_S + (uint64_t)ts->tv_nsec;
}

static inline struct timespec weft_ns_timespec(uint64_t ns) {
    struct timespec ts; /* filled as C++ can, too */
    ts.tv_sec = (time_t)(ns / WEFT_S);
    ts.tv_nsec = (long)(ns % WEFT_S);
    return ts;
}

/* Now. Context: anywhere, signal handlers too. */
static inline uint64_t weft_clock_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return weft_timespec_ns(&ts);
}

/* `ns` from `now`, or WEFT_FOREVER where that does not fit. */
static inline uint64_t weft_clock_after(uint64_t now, uint64_t ns) {
    return ns > WEFT_FOREVER - now ? WEFT_FOREVER : now + ns;
}

#endif
