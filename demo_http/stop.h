/* SPDX-License-Identifier: MIT */
/* SIGTERM and SIGINT as something a task can wait for.
 *
 * The first signal puts a byte into a pipe, which a task reads like any other
 * descriptor; the second, of either kind, ends the process at once with 128
 * plus its number, whatever the runtime is doing. */
#ifndef WEFT_DEMO_HTTP_STOP_H_
#define WEFT_DEMO_HTTP_STOP_H_

/* Blocks both signals in the calling thread, and so in all threads that it
 * starts from here on, and starts one that waits for them. Returns 0 or a
 * negative errno value. Context: the first thread, once, before weft_run(). */
int http_stop_install(void);

/* Waits for the first signal and returns its number, or a negative errno value.
 * Context: task, may switch; one task at a time. */
int http_stop_wait(void);

#endif
