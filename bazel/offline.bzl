"""Stand-ins for the repositories Bazel 4's built-in WORKSPACE suffix would download.

Never used under bzlmod: there @rules_cc is the real one from the registry.
"""

_RULES_CC_DEFS = """
cc_binary = native.cc_binary
cc_import = native.cc_import
cc_library = native.cc_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
"""

_RULES_JAVA_DEFS = """
java_import = native.java_import
java_runtime = native.java_runtime
java_toolchain = native.java_toolchain
"""

_COVERAGE_BUILD = """
package(default_visibility = ["//visibility:public"])
sh_binary(name = "lcov_merger", srcs = ["merge.py"])
alias(name = "coverage_report_generator", actual = ":lcov_merger")
"""

# The path the real rules_cc (0.0.17 and later) has it at.
_UNIX_CONFIG = """
load("@bazel_tools//tools/cpp:unix_cc_toolchain_config.bzl", _config = "cc_toolchain_config")
cc_toolchain_config = _config
"""

def _files_repo_impl(rctx):
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name)
    for path, text in rctx.attr.files.items():
        rctx.file(path, text, executable = False)
    for label, path in rctx.attr.links.items():
        rctx.symlink(label, path)

files_repo = repository_rule(
    implementation = _files_repo_impl,
    attrs = {
        "files": attr.string_dict(),
        "links": attr.label_keyed_string_dict(allow_files = True),
    },
    local = True,
)

def _maybe(name, **kwargs):
    if not native.existing_rule(name):
        files_repo(name = name, **kwargs)

def offline_rules():
    _maybe("rules_cc", files = {
        "BUILD": "",
        "cc/BUILD": "",
        "cc/defs.bzl": _RULES_CC_DEFS,
        "cc/private/toolchain/BUILD": "",
        "cc/private/toolchain/unix_cc_toolchain_config.bzl": _UNIX_CONFIG,
    })
    _maybe("rules_java", files = {"BUILD": "", "java/BUILD": "", "java/defs.bzl": _RULES_JAVA_DEFS})
    _maybe(
        "remote_coverage_tools",
        files = {"BUILD": _COVERAGE_BUILD},
        links = {Label("//bazel:coverage_merge.py"): "merge.py"},
    )
