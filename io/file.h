/* SPDX-License-Identifier: MIT */
/* Regular files for tasks. A disk's answer cannot be waited for in the poller,
 * so each call is made with the processor given up: other tasks run meanwhile,
 * and one OS thread is held.
 *
 * There are no deadlines, since the kernel does not end a disk's work early,
 * and a cancelled task gets what it asked for, too. Files are plain descriptors
 * that weft need not know; what open(2) gave is as good as what
 * weft_file_open() gives. All return negative errno values, never -EINTR.
 *
 * Context of all: task, may switch; on another thread they block that thread.
 */
#ifndef WEFT_IO_FILE_H_
#define WEFT_IO_FILE_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* open(2) with O_CLOEXEC. Returns the descriptor, -ENOENT, -EACCES, -EEXIST,
 * -EMFILE and others of open(2). */
int weft_file_open(const char *path, int flags, mode_t mode);

/* Reads up to `size` bytes from the file's place, which moves on;
 * weft_file_pread() from `offset`, and the place stays. Returns their number,
 * less than `size` only at the end of the file (0: it was there already) or
 * after a part was read and then an error came; -EBADF, -EIO, -EISDIR, -EINVAL
 * and others of read(2). */
ssize_t weft_file_read(int fd, void *data, size_t size);
ssize_t weft_file_pread(int fd, void *data, size_t size, off_t offset);

/* Writes all `size` bytes at the file's place, or from `offset` on. Returns
 * `size`, or, when the disk is full or fails half way, how many were written;
 * -ENOSPC, -EFBIG, -EDQUOT, -EBADF, -EIO and others of write(2) when none. */
ssize_t weft_file_write(int fd, const void *data, size_t size);
ssize_t weft_file_pwrite(int fd, const void *data, size_t size, off_t offset);

/* Has the disk keep what was written, fsync(2). Returns 0, -EIO, -ENOSPC,
 * -EBADF, -EINVAL for what is no file. */
int weft_file_sync(int fd);

/* Closes it; the number is gone after an error, too. Returns 0, -EBADF, -EIO.
 */
int weft_file_close(int fd);

#ifdef __cplusplus
}
#endif

#endif
