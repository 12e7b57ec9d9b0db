/* SPDX-License-Identifier: MIT */
/* Atomic words in headers that C++ may include, too: C11's for C, std::atomic
 * for C++ (17 and later), which gcc and clang lay out alike. The functions have
 * the same names in both; here, as in C++23's <stdatomic.h>, they have them
 * without std:: as well, as far as weft's headers use them. */
#ifndef WEFT_BASE_ATOMIC_H_
#define WEFT_BASE_ATOMIC_H_

#ifdef __cplusplus
#include <atomic>

#define WEFT_ATOMIC(type) std::atomic<type>

/* Names only, nothing rests on an order here. */
using std::memory_order_acq_rel;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
using std::memory_order_seq_cst;

using std::atomic_compare_exchange_strong_explicit;
using std::atomic_compare_exchange_weak_explicit;
using std::atomic_exchange_explicit;
using std::atomic_fetch_add_explicit;
using std::atomic_fetch_sub_explicit;
using std::atomic_init;
using std::atomic_load_explicit;
using std::atomic_signal_fence;
using std::atomic_store_explicit;
using std::atomic_thread_fence;
#else
#include <stdatomic.h>

#define WEFT_ATOMIC(type) _Atomic(type)
#endif

#endif
