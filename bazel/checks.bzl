"""Checks that the compiler inserts, for code that runs without signals.

    load("@weft//bazel:checks.bzl", "WEFT_CHECK_COPTS", "WEFT_CHECK_DEPS")

    cc_library(
        name = "kernel",
        srcs = ["kernel.c"],
        copts = WEFT_CHECK_COPTS,
        deps = WEFT_CHECK_DEPS,
    )

Every block of kernel.c then asks whether a task is to give way, and the task does
so there, on its OS thread, as if a signal had come. See docs/preemption.md for
what it costs. Not for code that is built for a fuzzer or for kcov, which
use the same hook.
"""

# clang leaves out what it can tell from other blocks, unless it is told not to:
# with it the only check in `for (;;) ++*p;`.
_CLANG = "-fsanitize-coverage=edge,trace-pc,no-prune"
_GCC = "-fsanitize-coverage=trace-pc"

WEFT_CHECK_COPTS = select({
    str(Label("//bazel:clang")): [_CLANG],
    "//conditions:default": [_GCC],
})

WEFT_CHECK_DEPS = [str(Label("//sched:checks"))]

# The runtime itself is never built so, whatever --copt says: the hook would
# call itself.
WEFT_NO_CHECK_COPTS = select({
    str(Label("//bazel:clang")): [_CLANG.replace("-f", "-fno-", 1)],
    "//conditions:default": [_GCC.replace("-f", "-fno-", 1)],
})
