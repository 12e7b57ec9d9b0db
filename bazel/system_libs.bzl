"""System C libraries as external repositories; nothing is downloaded."""

def _find(rctx, what, apt, paths):
    for p in paths:
        if rctx.path(p).exists:
            return p
    fail("\n\n  %s not found (looked at: %s).\n  On Debian/Ubuntu: apt-get install %s\n" % (what, ", ".join(paths), apt))

def _cmocka_impl(rctx):
    _find(rctx, "cmocka.h", "libcmocka-dev", ["/usr/include/cmocka.h", "/usr/local/include/cmocka.h"])
    rctx.file("BUILD", """
load("@rules_cc//cc:defs.bzl", "cc_library")
cc_library(
    name = "cmocka",
    linkopts = ["-lcmocka"],
    visibility = ["//visibility:public"],
)
""")

system_cmocka = repository_rule(implementation = _cmocka_impl, local = True)

def _benchmark_impl(rctx):
    _find(rctx, "benchmark/benchmark.h", "libbenchmark-dev", ["/usr/include/benchmark/benchmark.h", "/usr/local/include/benchmark/benchmark.h"])
    rctx.file("BUILD", """
load("@rules_cc//cc:defs.bzl", "cc_library")
package(default_visibility = ["//visibility:public"])
cc_library(name = "benchmark", linkopts = ["-lbenchmark", "-lpthread"])
cc_library(name = "benchmark_main", linkopts = ["-lbenchmark_main"], deps = [":benchmark"])
""")

system_benchmark = repository_rule(implementation = _benchmark_impl, local = True)

def _llhttp_impl(rctx):
    src = _find(rctx, "llhttp C sources", "node-llhttp", ["/usr/share/llhttp/llhttp.c"])
    hdr = _find(rctx, "llhttp.h", "node-llhttp", ["/usr/share/include/llhttp/llhttp.h"])
    src_dir = src[:src.rfind("/")]
    for f in ["api.c", "http.c", "llhttp.c"]:
        rctx.symlink(src_dir + "/" + f, "src/" + f)
    rctx.symlink(hdr, "include/llhttp.h")
    rctx.file("BUILD", """
load("@rules_cc//cc:defs.bzl", "cc_library")
cc_library(
    name = "llhttp",
    srcs = glob(["src/*.c"]),
    hdrs = ["include/llhttp.h"],
    copts = ["-w"],
    includes = ["include"],
    visibility = ["//visibility:public"],
)
""")

system_llhttp = repository_rule(implementation = _llhttp_impl, local = True)

def _package_impl(rctx):
    _find(rctx, rctx.attr.header, rctx.attr.apt, [
        "/usr/include/" + rctx.attr.header,
        "/usr/local/include/" + rctx.attr.header,
    ])
    rctx.file("BUILD", """
load("@rules_cc//cc:defs.bzl", "cc_library")
cc_library(
    name = "%s",
    linkopts = %s,
    visibility = ["//visibility:public"],
)
""" % (rctx.name.split("~")[-1].split("+")[-1], rctx.attr.linkopts))

# A library of Debian's that only a bench needs: @<name>//:<name>. Looked for
# when something is built that wants it.
system_package = repository_rule(
    implementation = _package_impl,
    local = True,
    attrs = {
        "apt": attr.string(mandatory = True),
        "header": attr.string(mandatory = True),
        "linkopts": attr.string_list(),
    },
)

# Peers of //bench:queue_peers_bench.
PEER_PACKAGES = {
    "peer_boost": ("libboost-dev", "boost/lockfree/queue.hpp", []),
    "peer_ck": ("libck-dev", "ck_ring.h", ["-lck"]),
    "peer_moodycamel": ("libconcurrentqueue-dev", "concurrentqueue/concurrentqueue.h", []),
    "peer_tbb": ("libtbb-dev", "tbb/concurrent_queue.h", ["-ltbb"]),
}

def system_peers():
    for name, (apt, header, linkopts) in PEER_PACKAGES.items():
        system_package(name = name, apt = apt, header = header, linkopts = linkopts)
