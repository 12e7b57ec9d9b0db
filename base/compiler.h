/* SPDX-License-Identifier: MIT */
/* What the compiler is told: hints, sections, sanitizers. No code. */
#ifndef WEFT_BASE_COMPILER_H_
#define WEFT_BASE_COMPILER_H_

#include <stddef.h>

#define WEFT_LIKELY(x)     __builtin_expect(!!(x), 1)
#define WEFT_UNLIKELY(x)   __builtin_expect(!!(x), 0)
#define WEFT_NOINLINE      __attribute__((noinline))
#define WEFT_ALWAYS_INLINE inline __attribute__((always_inline))
#define WEFT_PRINTF(f, a)  __attribute__((format(printf, f, a)))

/* Two writers that share a line of this many bytes slow each other. */
#define WEFT_CACHE_LINE    64
#define WEFT_CACHE_ALIGNED __attribute__((aligned(WEFT_CACHE_LINE)))

/* Puts a function into the runtime's own text. A task that is interrupted there
 * is never preempted on the spot (see weft/preempt/signals.h). */
#define WEFT_TEXT __attribute__((section("weft_text")))

/* The structure of type `type` whose member `member` is at `ptr`. */
#define weft_container_of(ptr, type, member) \
    ((type *)((char *)(ptr)-offsetof(type, member)))

/* Known already where the compiler's hooks are not a sanitizer's (tests/model).
 */
#ifdef WEFT_ASAN
#elif defined(__SANITIZE_ADDRESS__)
#define WEFT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#endif
#ifndef WEFT_ASAN
#define WEFT_ASAN 0
#endif

#ifdef WEFT_TSAN
#elif defined(__SANITIZE_THREAD__)
#define WEFT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#endif
#endif
#ifndef WEFT_TSAN
#define WEFT_TSAN 0
#endif

/* For code that runs in a signal handler, which may interrupt the sanitizer's
 * own run-time library. */
#if WEFT_TSAN
#define WEFT_NO_TSAN __attribute__((no_sanitize_thread))
#else
#define WEFT_NO_TSAN
#endif

#endif
