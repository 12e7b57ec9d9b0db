"""bzlmod module extensions over the same repository rules (Bazel 7+; Bazel 4 never loads this file)."""

load(":aarch64.bzl", "aarch64_cross")
load(":system_libs.bzl", "system_cmocka", "system_llhttp", "system_peers")

def _system_libs_impl(_mctx):
    system_llhttp(name = "llhttp")

def _system_dev_libs_impl(_mctx):
    system_cmocka(name = "cmocka")
    aarch64_cross(name = "aarch64_cross")
    system_peers()

system_libs = module_extension(implementation = _system_libs_impl)
system_dev_libs = module_extension(implementation = _system_dev_libs_impl)
