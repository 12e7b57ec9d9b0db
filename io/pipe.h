/* SPDX-License-Identifier: MIT */
/* Pipes between tasks, or to another process: bytes one way. */
#ifndef WEFT_IO_PIPE_H_
#define WEFT_IO_PIPE_H_

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a pipe: what is written to `ends[1]` is read from `ends[0]`, by the
 * calls of weft/io/io.h. Both are non-blocking, close-on-exec and known to the
 * runtime; weft_close() closes each. A reader gets 0 when the last writing end
 * is closed and the pipe is empty, a writer -EPIPE (and no signal) when the
 * last reading end is. Returns 0, -EPERM when no runtime runs, -EMFILE,
 * -ENFILE, -ENOMEM, -ENOSPC; after an error nothing is open. Context: any
 * thread; does not switch. */
int weft_pipe(int ends[2]);

#ifdef __cplusplus
}
#endif

#endif
