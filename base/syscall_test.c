/* SPDX-License-Identifier: MIT */
/* All six arguments reach the kernel, its answer comes back as it is, and errno
 * is nobody's business. */
#define _GNU_SOURCE
#include "weft/base/syscall.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static void six_arguments_arrive_in_their_places(void **state) {
    long page = sysconf(_SC_PAGESIZE);
    int fd = memfd_create("pages", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 3 * page), 0);
    assert_int_equal(pwrite(fd, "second", 6, page), 6);
    assert_int_equal(pwrite(fd, "third", 5, 2 * page), 5);

    /* mmap: where, how long, how, which, and from where. */
    void *want = mmap(NULL, (size_t)(4 * page), PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(want, MAP_FAILED);
    char *got = (char *)weft_syscall(SYS_mmap, (long)want, 2 * page, PROT_READ,
                                     MAP_SHARED | MAP_FIXED, fd, page);
    assert_ptr_equal(got, want);
    assert_memory_equal(got, "second", 6);
    assert_memory_equal(got + page, "third", 5);
    assert_int_equal(munmap(want, (size_t)(4 * page)), 0);
    close(fd);
}

static void an_error_is_a_negative_number_and_errno_stays(void **state) {
    errno = ENOTTY;
    assert_int_equal(weft_syscall(SYS_close, -1, 0, 0, 0, 0, 0), -EBADF);
    assert_int_equal(weft_syscall(SYS_read, -1, 0, 0, 0, 0, 0), -EBADF);
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(weft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0), getpid());
    assert_int_equal(errno, ENOTTY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(six_arguments_arrive_in_their_places),
        cmocka_unit_test(an_error_is_a_negative_number_and_errno_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
