/* SPDX-License-Identifier: MIT */
/* sendfile(2) reads the disk in this thread: so each piece of it is made in
 * weft_blocking(), and pieces are small, so that a cancelled task is not late.
 * It knows no MSG_NOSIGNAL, so SIGPIPE is blocked meanwhile; a task that is
 * interrupted in there keeps its thread, and so its mask.
 *
 * Rejected: asking whether the pages are in memory (RWF_NOWAIT is for reads,
 * mincore(2) for mappings, and the answer may be old). */
#include "weft/io/sendfile.h"

#include <sys/syscall.h>

#include "weft/base/syscall.h"
#include "weft/io/operation.h"
#include "weft/sched/task.h"

#define AT_ONCE (256 << 10)

struct piece {
    int to;
    int from;
    int64_t offset; /* the kernel moves it on */
    size_t size;
    long result;
};

static void *send_piece(void *arg) {
    struct piece *p = arg;
    struct weft_io_quiet quiet;
    weft_io_quiet_begin(&quiet);
    p->result = weft_syscall(SYS_sendfile, p->to, p->from, (long)&p->offset,
                             (long)p->size, 0, 0);
    weft_io_quiet_end(&quiet, p->result);
    return NULL;
}

ssize_t weft_sendfile(int to, int from, off_t *offset, size_t size,
                      uint64_t deadline) {
    struct weft_descriptor *d;
    struct piece piece = {.to = to, .from = from, .offset = *offset};
    long result = weft_io_begin(to, WEFT_WRITING, deadline, &d);
    if (result != 0) {
        return result;
    }
    size_t sent = 0;
    while (sent < size) {
        piece.size = size - sent < AT_ONCE ? size - sent : AT_ONCE;
        do {
            weft_blocking(send_piece, &piece);
            result = piece.result;
        } while (weft_io_again(d, WEFT_WRITING, deadline, &result));
        if (result <= 0) {
            break;
        }
        sent += (size_t)result;
    }
    weft_io_end(d, WEFT_WRITING);
    *offset = (off_t)piece.offset;
    return result < 0 ? result : (ssize_t)sent;
}
