/* SPDX-License-Identifier: MIT */
/* What the compiler calls under -fsanitize=thread, answered by the model.
 *
 * gcc and clang agree on these names and on the numbers of the orders
 * (__ATOMIC_RELAXED and so on). Nothing of the thread sanitizer's own library
 * may be linked in: these targets are built in no sanitizer's configuration. */
#include <string.h>

#include "inside.h"

#define HOOK(type, name, ...)        \
    type __tsan_##name(__VA_ARGS__); \
    type __tsan_##name(__VA_ARGS__)

HOOK(void, init, void) {
}
HOOK(void, func_entry, void *pc) {
    (void)pc;
}
HOOK(void, func_exit, void) {
}

#define PLAIN(n)                                    \
    HOOK(void, read##n, void *at) {                 \
        model_access(at, n, ACCESS_READ);           \
    }                                               \
    HOOK(void, write##n, void *at) {                \
        model_access(at, n, ACCESS_WRITE);          \
    }                                               \
    HOOK(void, unaligned_read##n, void *at) {       \
        model_access(at, n, ACCESS_READ);           \
    }                                               \
    HOOK(void, unaligned_write##n, void *at) {      \
        model_access(at, n, ACCESS_WRITE);          \
    }                                               \
    HOOK(void, read_write##n, void *at) {           \
        model_access(at, n, ACCESS_WRITE);          \
    }                                               \
    HOOK(void, unaligned_read_write##n, void *at) { \
        model_access(at, n, ACCESS_WRITE);          \
    }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

HOOK(void, read_range, void *at, size_t size) {
    model_access(at, size, ACCESS_READ);
}
HOOK(void, write_range, void *at, size_t size) {
    model_access(at, size, ACCESS_WRITE);
}
HOOK(void *, memcpy, void *to, const void *from, size_t size) {
    model_access(from, size, ACCESS_READ);
    model_access(to, size, ACCESS_WRITE);
    return memcpy(to, from, size);
}
HOOK(void *, memmove, void *to, const void *from, size_t size) {
    model_access(from, size, ACCESS_READ);
    model_access(to, size, ACCESS_WRITE);
    return memmove(to, from, size);
}
HOOK(void *, memset, void *to, int byte, size_t size) {
    model_access(to, size, ACCESS_WRITE);
    return memset(to, byte, size);
}

static uint64_t change_exchange(uint64_t old, uint64_t by) {
    (void)old;
    return by;
}
static uint64_t change_fetch_add(uint64_t old, uint64_t by) {
    return old + by;
}
static uint64_t change_fetch_sub(uint64_t old, uint64_t by) {
    return old - by;
}
static uint64_t change_fetch_and(uint64_t old, uint64_t by) {
    return old & by;
}
static uint64_t change_fetch_or(uint64_t old, uint64_t by) {
    return old | by;
}
static uint64_t change_fetch_xor(uint64_t old, uint64_t by) {
    return old ^ by;
}

#define CHANGE(bits, name)                                                   \
    HOOK(uint##bits##_t, atomic##bits##_##name, volatile void *at,           \
         uint##bits##_t by, int order) {                                     \
        return (uint##bits##_t)model_rmw(at, bits / 8, order, change_##name, \
                                         by);                                \
    }

#define COMPARE(bits, name, weak)                                              \
    HOOK(int, atomic##bits##_compare_exchange_##name, volatile void *at,       \
         void *expected, uint##bits##_t desired, int order, int failure) {     \
        uint64_t seen = 0;                                                     \
        memcpy(&seen, expected, bits / 8);                                     \
        bool done =                                                            \
            model_compare(at, bits / 8, &seen, desired, order, failure, weak); \
        if (!done) {                                                           \
            memcpy(expected, &seen, bits / 8);                                 \
        }                                                                      \
        return done;                                                           \
    }

#define ATOMIC(bits)                                                          \
    HOOK(uint##bits##_t, atomic##bits##_load, const volatile void *at,        \
         int order) {                                                         \
        return (uint##bits##_t)model_load(at, bits / 8, order);               \
    }                                                                         \
    HOOK(void, atomic##bits##_store, volatile void *at, uint##bits##_t value, \
         int order) {                                                         \
        model_store(at, bits / 8, value, order);                              \
    }                                                                         \
    CHANGE(bits, exchange)                                                    \
    CHANGE(bits, fetch_add)                                                   \
    CHANGE(bits, fetch_sub)                                                   \
    CHANGE(bits, fetch_and)                                                   \
    CHANGE(bits, fetch_or)                                                    \
    CHANGE(bits, fetch_xor)                                                   \
    COMPARE(bits, strong, false)                                              \
    COMPARE(bits, weak, true)                                                 \
    HOOK(uint##bits##_t, atomic##bits##_compare_exchange_val,                 \
         volatile void *at, uint##bits##_t expected, uint##bits##_t desired,  \
         int order, int failure) {                                            \
        uint64_t seen = expected;                                             \
        (void)model_compare(at, bits / 8, &seen, desired, order, failure,     \
                            false);                                           \
        return (uint##bits##_t)seen;                                          \
    }
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

HOOK(void, atomic_thread_fence, int order) {
    model_fence(order);
}
HOOK(void, atomic_signal_fence, int order) {
    (void)order;
}
