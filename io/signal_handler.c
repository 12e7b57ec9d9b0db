/* SPDX-License-Identifier: MIT */
/* What is done in the handler: nothing but atomics and two system calls.
 *
 * Under ThreadSanitizer it may have interrupted the sanitizer with its locks
 * held, so this file and its target are not instrumented. */
#include "weft/io/signal_handler.h"

#include <sys/syscall.h>

#include "weft/base/compiler.h"
#include "weft/base/syscall.h"

struct weft_signal_route weft_signal_routes[WEFT_SIGNALS];
_Atomic int weft_signal_inside;
_Atomic int weft_signal_owner;

WEFT_TEXT void weft_signal_handle(int number) {
    struct weft_signal_route *r = &weft_signal_routes[number];
    /* Pairs with the store in take_back() and the load in await_handlers(). */
    atomic_fetch_add_explicit(&weft_signal_inside, 1, memory_order_seq_cst);
    int to = atomic_load_explicit(&r->to, memory_order_seq_cst) - 1;
    if (to >= 0 &&
        weft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0) ==
            atomic_load_explicit(&weft_signal_owner, memory_order_relaxed) &&
        atomic_exchange_explicit(&r->waiting, 1, memory_order_relaxed) == 0) {
        char byte = (char)number;
        weft_syscall(SYS_write, to, (long)&byte, 1, 0, 0, 0);
    }
    /* Release: pairs with the load in await_handlers(), an acquire too. */
    atomic_fetch_sub_explicit(&weft_signal_inside, 1, memory_order_release);
}
