"""One call for a WORKSPACE (Bazel < 8). Works for consumers of this repo too."""

load(":aarch64.bzl", "aarch64_cross")
load(":offline.bzl", "offline_rules")
load(":system_libs.bzl", "system_benchmark", "system_cmocka", "system_llhttp", "system_peers")

def weft_deps():
    """All repositories that weft's targets load or link, unless they are there."""
    offline_rules()
    if not native.existing_rule("cmocka"):
        system_cmocka(name = "cmocka")
    if not native.existing_rule("google_benchmark"):
        system_benchmark(name = "google_benchmark")
    if not native.existing_rule("llhttp"):
        system_llhttp(name = "llhttp")
    if not native.existing_rule("aarch64_cross"):
        aarch64_cross(name = "aarch64_cross")
    if not native.existing_rule("peer_ck"):
        system_peers()
