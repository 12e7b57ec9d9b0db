/* SPDX-License-Identifier: MIT */
/* One operation on a descriptor, as all calls of io.h are made:
 *
 *     begin                          reference and direction, one CAS
 *     (a read whose last left nothing: wait_ready first)
 *     try; -EINTR: again; -EAGAIN: wait_ready, again
 *     end                            one CAS
 *
 * System calls are made by weft_syscall(), which touches no errno and lies in
 * the runtime's own text: nothing here belongs to a thread, so a task may be
 * interrupted and moved at any line. What libc's wrappers would have told the
 * sanitizers is told by weft_io_gave() and weft_io_got(). */
#ifndef WEFT_IO_OPERATION_H_
#define WEFT_IO_OPERATION_H_

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/base/compiler.h"
#include "weft/sched/poller.h"

/* Finds `fd` and takes its direction `dir` (WEFT_USING: just a reference),
 * waiting for its turn until `deadline`. Returns 0 with `*out` set, or -EBADF,
 * -ETIMEDOUT, -ECANCELED, -ENOMEM, -EPERM. Context: task, may switch; with
 * WEFT_USING any thread, does not switch. */
int weft_io_begin(int fd, enum weft_direction dir, uint64_t deadline,
                  struct weft_descriptor **out);

/* Gives both back. Context: who began; does not switch. */
void weft_io_end(struct weft_descriptor *d, enum weft_direction dir);

/* After a system call said -EAGAIN: waits until another try makes sense.
 * Returns 0, or an error, -EBADF when it is being closed. Context: who began,
 * may switch. */
int weft_io_wait_ready(struct weft_descriptor *d, enum weft_direction dir,
                       uint64_t deadline);

/* Makes the new, non-blocking socket or pipe `fd` known, or closes it. Returns
 * it, -EPERM when no runtime runs, or what weft_poller_add() said.
 * Context: any thread; does not switch. */
int weft_io_hand_out(int fd, enum weft_descriptor_kind kind);

/* The same for both ends of something new, into `ends`: 0, or an error, when
 * neither is open. */
int weft_io_hand_out_both(const int fds[2], enum weft_descriptor_kind kind,
                          int ends[2]);

/* What weft_close() does, and its errors. */
int weft_io_close(int fd);

/* Between the two this thread gets no SIGPIPE; `result` is what the one call
 * between them said. Context: any thread; the caller stays on it. */
struct weft_io_quiet {
    uint64_t before;  /* the thread's mask */
    uint64_t pending; /* what waited already */
};
void weft_io_quiet_begin(struct weft_io_quiet *quiet);
void weft_io_quiet_end(const struct weft_io_quiet *quiet, long result);

/* Before a try to read: where the last read left nothing, waits for more. What
 * it returns is the answer should the try find nothing: 0 (then wait), or why
 * nothing more is waited for; at -EBADF there is no try. Context: who began,
 * may switch. */
int weft_io_wait_news(struct weft_descriptor *d, uint64_t deadline);

/* What to do after a try that returned `result`: true to try again (it waited
 * where that was needed), false when `*result` is the answer. */
static inline bool weft_io_again(struct weft_descriptor *d,
                                 enum weft_direction dir, uint64_t deadline,
                                 long *result) {
    if (WEFT_LIKELY(*result >= 0)) {
        return false;
    }
    if (*result == -EAGAIN) {
        int error = weft_io_wait_ready(d, dir, deadline);
        if (error != 0) {
            *result = error;
            return false;
        }
        return true;
    }
    return *result == -EINTR;
}

/* 1 once the kernel has been found not to know RWF_NOSIGNAL for pipes (before
 * Linux 6.18). Any thread, atomic; a test sets it to take the other way. */
extern _Atomic int weft_io_pipes_signal;

/* The kernel reads `data`, or has written `size` bytes to it. */
#if WEFT_ASAN || WEFT_TSAN
void weft_io_gave(const void *data, size_t size);
void weft_io_got(void *data, size_t size);
#else
static inline void weft_io_gave(const void *data, size_t size) {
    (void)data;
    (void)size;
}
static inline void weft_io_got(void *data, size_t size) {
    (void)data;
    (void)size;
}
#endif

#endif
