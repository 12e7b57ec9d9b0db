"""A test of io on each poller of this system."""

load("//bazel:weft.bzl", "weft_test")

def io_test(name, srcs = None, **kwargs):
    """A weft_test, and <name>_uring that runs the same on io_uring.

    Where the kernel forbids that, or is too old, it runs on epoll once more."""
    weft_test(name = name, srcs = srcs, **kwargs)
    weft_test(
        name = name[:-len("_test")] + "_uring_test",
        srcs = srcs or [name + ".c"],
        env = {"WEFT_POLLER": "uring"},
        **kwargs
    )

def io_tests_on_both(name, deps, copts_on_threads = []):
    """An io_test on the scheduler, and <name>_threads on its stand-in.

    There each task is an OS thread."""
    io_test(
        name = name,
        deps = deps + [":sched_runtime", ":testing"],
    )
    io_test(
        name = name[:-len("_test")] + "_threads_test",
        srcs = [name + ".c"],
        copts = copts_on_threads,
        deps = deps + [":testing", ":threads_runtime"],
    )
