/* SPDX-License-Identifier: MIT */
/* Inside the runtime and out again: part of core.h, which includes it.
 *
 * Always true: between the two the gate of the thread is closed, so it is not
 * interrupted, and its processor is not taken. */
#ifndef WEFT_SCHED_INSIDE_H_
#define WEFT_SCHED_INSIDE_H_

/* keep.c: the processor was taken while the caller was outside. */
void weft_worker_regain(struct weft_worker *w);

/* The calling thread, or NULL on one that is no worker. */
static WEFT_ALWAYS_INLINE struct weft_worker *weft_worker_self(void) {
    return (struct weft_worker *)weft_thread_self_quickly();
}

/* Closes the gate of `w`, the calling thread. False: the processor was taken,
 * weft_worker_regain() is next. */
static WEFT_ALWAYS_INLINE bool weft_enter_as(struct weft_worker *w) {
    weft_gate_close(&w->thread.gate);
    return atomic_load_explicit(&w->retake, memory_order_relaxed) ==
           WEFT_RETAKE_NONE;
}

/* Closes the gate of the calling thread; NULL on one that is no worker. */
static WEFT_ALWAYS_INLINE struct weft_worker *weft_enter(void) {
    struct weft_worker *w = weft_worker_self();
    if (WEFT_LIKELY(w != NULL) && WEFT_UNLIKELY(!weft_enter_as(w))) {
        weft_worker_regain(w);
    }
    return w;
}

/* keep.c: opens the gate; a preemption that fell due inside takes place now,
 * on this thread (way 2), so the caller's thread-locals stay good. */
void weft_leave_slowly(struct weft_worker *w);

static WEFT_ALWAYS_INLINE void weft_leave(struct weft_worker *w) {
    if (WEFT_UNLIKELY(weft_gate_open(&w->thread.gate))) {
        weft_leave_slowly(w);
    }
}

/* Ends what weft_enter() and weft_runtime_borrow() have begun. */
static inline void weft_leave_borrowed(struct weft_worker *w) {
    if (WEFT_LIKELY(w != NULL)) {
        weft_leave(w);
    } else {
        weft_runtime_return(NULL);
    }
}

/* Is the caller, a worker or NULL, asked to give way, and outside? */
static inline bool weft_asked_outside(struct weft_worker *w) {
    return w != NULL && weft_thread_is_asked(&w->thread) &&
           !weft_gate_is_closed(&w->thread.gate);
}

#endif
