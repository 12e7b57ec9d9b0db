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

# Names that Bazel 4 has built in and later ones load. A name cannot be defined by
# itself, so each goes through a function of another file.
_BUILT_IN = """
def cc_common_of_bazel():
    return cc_common

def cc_info_of_bazel():
    return CcInfo
"""

_CC_COMMON = """
load(":built_in.bzl", "cc_common_of_bazel")
cc_common = cc_common_of_bazel()
"""

_CC_INFO = """
load(":built_in.bzl", "cc_info_of_bazel")
CcInfo = cc_info_of_bazel()
"""

_FIND_TOOLCHAIN = """
load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")
find_cc_toolchain = find_cpp_toolchain
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
        "cc/common/BUILD": "",
        "cc/common/built_in.bzl": _BUILT_IN,
        "cc/common/cc_common.bzl": _CC_COMMON,
        "cc/common/cc_info.bzl": _CC_INFO,
        "cc/defs.bzl": _RULES_CC_DEFS,
        "cc/find_cc_toolchain.bzl": _FIND_TOOLCHAIN,
        "cc/private/toolchain/BUILD": "",
        "cc/private/toolchain/unix_cc_toolchain_config.bzl": _UNIX_CONFIG,
    })
    _maybe("rules_shell", files = {
        "BUILD": "",
        "shell/BUILD": "",
        "shell/sh_binary.bzl": "sh_binary = native.sh_binary\n",
        "shell/sh_test.bzl": "sh_test = native.sh_test\n",
    })
    _maybe("rules_java", files = {"BUILD": "", "java/BUILD": "", "java/defs.bzl": _RULES_JAVA_DEFS})
    _maybe(
        "remote_coverage_tools",
        files = {"BUILD": _COVERAGE_BUILD},
        links = {Label("//bazel:coverage_merge.py"): "merge.py"},
    )
