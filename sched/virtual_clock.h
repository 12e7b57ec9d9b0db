/* SPDX-License-Identifier: MIT */
/* A clock for tests: an hour of waiting in no time, and nobody late.
 *
 *     static const struct weft_config config = {.clock = WEFT_CLOCK_VIRTUAL};
 *     weft_run(&config, test, NULL);
 *
 * With it weft_now() stands still while any task can run. When all tasks wait
 * it jumps to the next deadline, and who waits for that goes on. So a sleeper
 * wakes at its deadline exactly, never late, whatever the machine is doing, and
 * tasks of different deadlines run one after the other; those of one and the
 * same are made ready together, who began to wait first before the others. On
 * one worker a test therefore goes the same way each time. It starts at a day,
 * 86,400 s.
 *
 * The rules:
 *   - All that tasks wait for reads it: sleeps, deadlines of any call, tickers.
 *     A task that spins until a time comes spins for ever: the clock stands.
 *   - A call that blocks (weft_blocking(), files, names, any that the monitor
 *     has found) holds the clock: it stands until the call is over. Deadlines
 *     do not pass meanwhile.
 *   - A task that waits for a descriptor does not hold it. Before it jumps, the
 *     clock looks at the descriptors: what lies ready there comes first. For
 *     pipes and Unix sockets between tasks that is all there is to it; over
 *     loopback, too, as long as the kernel delivers at once, which it does not
 *     promise. What another process sends may come later than any deadline,
 *     since those pass in no time: hold the clock where that matters.
 *   - A thread that is not weft's has the real clock: weft_now() is
 *     CLOCK_MONOTONIC there, and its deadlines are. The clock does not know
 *     what it is about to do; whoever waits for such a thread holds the clock.
 *   - Quanta, the grace time at the end, and the patience of who waits for a
 *     mutex are real: they are about the machine.
 *
 * After Tokio's time::pause() and Go's testing/synctest. */
#ifndef WEFT_SCHED_VIRTUAL_CLOCK_H_
#define WEFT_SCHED_VIRTUAL_CLOCK_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Between the two the clock does not jump. They nest, and need not be called by
 * the same thread: a task holds it, gives work to a thread of the program's,
 * and that one releases it when the answer has been sent. A release too many
 * stops the program. With the real clock they do nothing.
 * Context: any thread, also before and after weft_run(); do not switch. */
void weft_clock_hold(void);
void weft_clock_release(void);

/* Moves the clock on by `ns` at once, also while it is held: as if the program
 * had been stopped for that long. All whose time comes by that are made ready,
 * in order, and will find that they are late. (To let them run each at its
 * time, weft_sleep() for as long.) Returns 0; -EPERM when no runtime runs;
 * -EINVAL when its clock is the real one. Context: any thread; does not switch.
 */
int weft_clock_advance(uint64_t ns);

#ifdef __cplusplus
}
#endif

#endif
