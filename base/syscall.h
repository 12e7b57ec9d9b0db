/* SPDX-License-Identifier: MIT */
/* A system call without libc: no errno, no thread-local, no PLT stub, so it may
 * be made while a task is being taken off its thread. */
#ifndef WEFT_BASE_SYSCALL_H_
#define WEFT_BASE_SYSCALL_H_

/* Makes system call `nr`; what comes back is the kernel's own answer, -4095 to
 * -1 being a negated errno. Context: anywhere, signal handlers too. */
long weft_syscall(long nr, long a, long b, long c, long d, long e, long f);

#endif
