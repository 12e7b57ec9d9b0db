"""Libraries and tests that the model checker looks into."""

load("@rules_cc//cc:defs.bzl", "cc_library")
load("//bazel:copts.bzl", "WEFT_TEST_COPTS")
load("//bazel:weft.bzl", "weft_test")

# The compiler turns memory accesses into calls of hooks.c. The code under test
# is to be that of a plain build, so it is not told; calls that the hooks need
# not see are left out.
WEFT_MODEL_COPTS = [
    "-fsanitize=thread",
    "-DWEFT_TSAN=0",
    "-DWEFT_ASAN=0",
    "-DWEFT_RECORD_APART=0",  # tasks in arrays
    "-O1",
    # A fence is "not supported" by the sanitizer; here it is a call as others.
    "-Wno-tsan",
    "-Wno-unknown-warning-option",
]

# A sanitizer's configuration has hooks of its own.
WEFT_MODEL_COMPATIBLE = select({
    "//tests/model:with_asan": ["//tests/model:nowhere"],
    "//tests/model:with_tsan": ["//tests/model:nowhere"],
    "//conditions:default": [],
})

def weft_model_library(name, srcs, deps = [], copts = [], **kwargs):
    """Files that ship, compiled for the checker."""
    cc_library(
        name = name,
        testonly = True,
        srcs = srcs,
        copts = WEFT_TEST_COPTS + WEFT_MODEL_COPTS + copts,
        linkstatic = True,
        target_compatible_with = WEFT_MODEL_COMPATIBLE,
        deps = deps,
        **kwargs
    )

def weft_model_test(name, deps, copts = [], **kwargs):
    """<name>.c, scenarios and their tests, which are looked into as well."""
    weft_test(
        name = name,
        copts = WEFT_MODEL_COPTS + copts,
        tags = ["no-qemu"],  # slow there, and the model knows no CPU
        target_compatible_with = WEFT_MODEL_COMPATIBLE,
        deps = [":checker"] + deps,
        **kwargs
    )
