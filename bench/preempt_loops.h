/* SPDX-License-Identifier: MIT */
/* What interrupting costs, in C. Each function times `count` rounds. */
#ifndef WEFT_BENCH_PREEMPT_LOOPS_H_
#define WEFT_BENCH_PREEMPT_LOOPS_H_

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct preempt_latency {
    double send_ns; /* the request itself, on the sender, mean */
    double p50_ns;  /* from before the request to the handler's hook */
    double p99_ns;
    double max_ns;
};

/* ns for closing and opening a gate. */
double preempt_gate(uint64_t count);

/* ns for a call of weft_thread_self(). */
double preempt_self(uint64_t count);

/* ns for a request to oneself: system call, frame, handler, return. Deferred
 * in the handler, so nothing else is in it. */
double preempt_self_signal(uint64_t count);

/* Requests to a thread that spins on another CPU. False: no second CPU. */
bool preempt_request(uint64_t count, struct preempt_latency *out);

/* The whole of a preemption by way 2: two threads spin on one CPU and share a
 * processor; from before the request for the one that runs, made on another
 * CPU, until the other one is back in its loop. False: no second CPU. */
bool preempt_switch(uint64_t count, struct preempt_latency *out);

/* ns of one way of a hand-over between two threads on one CPU, or on two. A
 * negative number: no second CPU. */
double preempt_handover(uint64_t count, bool same_cpu);

/* ns of a kick that finds another not yet consumed; of a tick whose time has
 * come already; and of a kick, the wake-up, the tick, and back to sleep, with
 * both threads on one CPU. */
double preempt_kick(uint64_t count);
double preempt_tick(uint64_t count);
double preempt_wakeup(uint64_t count);

#ifdef __cplusplus
}
#endif

#endif
