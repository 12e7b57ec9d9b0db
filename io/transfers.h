/* SPDX-License-Identifier: MIT */
/* All calls that move bytes, as a table for tests: what holds for one of them
 * in waiting holds for all. */
#ifndef WEFT_IO_TRANSFERS_H_
#define WEFT_IO_TRANSFERS_H_

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct io_transfer {
    const char *name;
    ssize_t (*call)(int fd, uint64_t deadline); /* one call of it */
    int type;   /* of a pair of sockets, of which `fd` is the first */
    bool sends; /* so it waits while they are full, else while empty */
};
extern const struct io_transfer io_transfers[];
extern const int io_transfer_count;

/* Makes the next one on `ends[0]` wait, and lets the one that waits go on: it
 * sends or gets something. Context: task. */
void io_transfer_prepare(const struct io_transfer *transfer, const int ends[2]);
void io_transfer_let_go(const struct io_transfer *transfer, const int ends[2]);

/* Until there is no more room, or nothing is left. Context: task. */
void io_transfer_fill(int fd);
void io_transfer_drain(int fd);

#endif
