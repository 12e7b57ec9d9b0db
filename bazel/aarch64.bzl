"""Debian's aarch64 cross gcc as a Bazel C/C++ toolchain."""

_TRIPLE = "aarch64-linux-gnu"

_BUILD = """
load("@rules_cc//cc/private/toolchain:unix_cc_toolchain_config.bzl", "cc_toolchain_config")
load("@rules_cc//cc:defs.bzl", "cc_toolchain")

filegroup(name = "empty")

toolchain(
    name = "toolchain",
    exec_compatible_with = ["@platforms//cpu:x86_64", "@platforms//os:linux"],
    target_compatible_with = ["@platforms//cpu:aarch64", "@platforms//os:linux"],
    toolchain = ":cc",
    toolchain_type = "@bazel_tools//tools/cpp:toolchain_type",
)

cc_toolchain(
    name = "cc",
    all_files = ":empty",
    ar_files = ":empty",
    as_files = ":empty",
    compiler_files = ":empty",
    dwp_files = ":empty",
    linker_files = ":empty",
    objcopy_files = ":empty",
    strip_files = ":empty",
    supports_param_files = 1,
    toolchain_config = ":config",
)

cc_toolchain_config(
    name = "config",
    abi_libc_version = "local",
    abi_version = "local",
    compile_flags = ["-fstack-protector", "-Wall", "-fno-omit-frame-pointer"],
    compiler = "gcc",
    coverage_compile_flags = ["--coverage"],
    coverage_link_flags = ["--coverage"],
    cpu = "aarch64",
    cxx_builtin_include_directories = %s,
    cxx_flags = ["-std=c++14"],
    dbg_compile_flags = ["-g"],
    host_system_name = "local",
    link_flags = ["-Wl,-z,relro,-z,now", "-pass-exit-codes"],
    link_libs = ["-lstdc++", "-lm"],
    opt_compile_flags = ["-g0", "-O2", "-DNDEBUG", "-ffunction-sections", "-fdata-sections"],
    opt_link_flags = ["-Wl,--gc-sections"],
    target_libc = "glibc",
    target_system_name = "aarch64-linux-gnu",
    tool_paths = %s,
    toolchain_identifier = "aarch64-linux-gnu",
    unfiltered_compile_flags = [
        "-fno-canonical-system-headers",
        "-Wno-builtin-macro-redefined",
        "-D__DATE__=\\"redacted\\"",
        "-D__TIMESTAMP__=\\"redacted\\"",
        "-D__TIME__=\\"redacted\\"",
    ],
)
"""

def _include_dirs(rctx, gcc, lang):
    res = rctx.execute([gcc, "-E", "-x" + lang, "/dev/null", "-v"])
    lines = res.stderr.split("\n")
    start = lines.index("#include <...> search starts here:")
    end = lines.index("End of search list.")
    return [str(rctx.path(line.strip()).realpath) for line in lines[start + 1:end]]

def _impl(rctx):
    gcc = rctx.which(_TRIPLE + "-gcc")
    if gcc == None:
        fail("\n\n  %s-gcc not found.\n  On Debian/Ubuntu: apt-get install g++-aarch64-linux-gnu\n" % _TRIPLE)
    dirs = []
    for lang in ["c", "c++"]:
        for d in _include_dirs(rctx, gcc, lang):
            if d not in dirs:
                dirs.append(d)
    tools = {}
    for t in ["ar", "cpp", "dwp", "gcc", "gcov", "ld", "nm", "objcopy", "objdump", "strip"]:
        tools[t] = str(rctx.which("%s-%s" % (_TRIPLE, t)) or "/bin/false")
    tools["llvm-cov"] = "/bin/false"
    rctx.file("BUILD", _BUILD % (repr(dirs), repr(tools)))

aarch64_cross = repository_rule(implementation = _impl, local = True, environ = ["PATH"])
