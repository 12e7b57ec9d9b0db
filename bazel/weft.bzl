"""Rules of the house: a library, a test and benches, with weft's flags.

Every header is included as weft/<folder>/<file>.h, inside and outside this
repository. Libraries are archives only (linkstatic): the runtime's own code
must lie in one ELF object, so that the bounds of its text section are one
pair of symbols.
"""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")
load(":checks.bzl", "WEFT_NO_CHECK_COPTS")
load(":copts.bzl", "WEFT_COPTS", "WEFT_CXXOPTS", "WEFT_LINKOPTS", "WEFT_TEST_COPTS")

def weft_library(name, srcs = [], hdrs = [], deps = [], copts = [], linkopts = [], **kwargs):
    """A cc_library whose headers are <weft/<package>/...>."""
    cc_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        copts = WEFT_COPTS + WEFT_NO_CHECK_COPTS + copts,
        include_prefix = "weft/" + native.package_name(),
        linkopts = WEFT_LINKOPTS + linkopts,
        linkstatic = True,
        deps = deps,
        **kwargs
    )

def weft_test(name, srcs = None, deps = [], copts = [], size = "small", **kwargs):
    """A cmocka test; the sources default to <name>.c."""
    cc_test(
        name = name,
        srcs = srcs or [name + ".c"],
        copts = WEFT_TEST_COPTS + copts,
        linkopts = WEFT_LINKOPTS,
        linkstatic = True,
        size = size,
        deps = deps + ["@cmocka"],
        **kwargs
    )

def weft_bench(name, srcs = None, deps = [], copts = [], tags = [], **kwargs):
    """A Google Benchmark binary; the sources default to <name>.cc."""
    cc_binary(
        name = name,
        srcs = srcs or [name + ".cc"],
        copts = WEFT_CXXOPTS + copts,
        linkopts = WEFT_LINKOPTS,
        tags = tags + ["benchmark"],
        testonly = True,
        deps = deps + ["@google_benchmark//:benchmark"],
        **kwargs
    )

def weft_c_bench(name, copts = [], **kwargs):
    """A bench that is a C program, <name>.c, and measures by itself."""
    cc_binary(
        name = name,
        srcs = [name + ".c"],
        copts = WEFT_COPTS + copts,
        linkopts = WEFT_LINKOPTS,
        tags = ["benchmark"],
        testonly = True,
        **kwargs
    )
