"""The tarball for users without Bazel (//:dist), and lists of headers.

Bazel 4 has no rule that makes one library of a target and all that it depends on,
so this one does, from the object files. Which names others see is decided here,
not by -fvisibility: a consumer's cc_library is linked as a shared object in tests
and finds weft in the executable, which hidden names would forbid. In the shared
library a version script hides what is not on the list; in the static one all
objects are joined into one, whose other names are then local.

The libraries are built with -c opt and without the command line's own flags,
whatever the build is that asks for them.
"""

load("@rules_cc//cc:find_cc_toolchain.bzl", "find_cc_toolchain")
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")

# What can be used without the scheduler, and has headers of its own; the same list
# by header names is PARTS in tools/api.py.
WEFT_PARTS = [
    "//preempt:alarm",
    "//preempt:gate",
    "//preempt:handover",
    "//preempt:signals",
    "//preempt:thread",
    "//preempt:timer",
    "//queue:block_queue",
    "//queue:global_queue",
    "//queue:local_queue",
    "//queue:lockfree_global",
    "//queue:lockfree_queue",
    "//queue:node",
]

def _plain_impl(_settings, _attr):
    return {
        "//command_line_option:compilation_mode": "opt",
        "//command_line_option:copt": [],
        "//command_line_option:linkopt": [],
    }

_plain = transition(
    implementation = _plain_impl,
    inputs = [],
    outputs = [
        "//command_line_option:compilation_mode",
        "//command_line_option:copt",
        "//command_line_option:linkopt",
    ],
)

def _objects(info):
    objects = []
    for input in info.linking_context.linker_inputs.to_list():
        for library in input.libraries:
            objects += library.pic_objects or library.objects or []
    return depset(objects).to_list()

def _python(ctx, **kwargs):
    ctx.actions.run_shell(
        command = "exec python3 -B \"$@\"",
        tools = ctx.files._tools,
        use_default_shell_env = True,
        **kwargs
    )

def _weft_dist_impl(ctx):
    cc = find_cc_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = cc,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    info = ctx.attr.library[CcInfo]
    objects = _objects(info)
    script = ctx.actions.declare_file(ctx.label.name + ".map")
    names = ctx.actions.declare_file(ctx.label.name + ".names")
    _python(
        ctx,
        inputs = [ctx.file.exported_names],
        outputs = [script, names],
        arguments = [
            ctx.file._dist.path,
            "map",
            ctx.file.exported_names.path,
            script.path,
            names.path,
        ],
        mnemonic = "WeftNames",
    )

    shared = cc_common.link(
        name = "weft_" + ctx.label.name,
        actions = ctx.actions,
        feature_configuration = features,
        cc_toolchain = cc,
        compilation_outputs = cc_common.create_compilation_outputs(
            objects = depset(objects),
            pic_objects = depset(objects),
        ),
        output_type = "dynamic_library",
        link_deps_statically = True,
        additional_inputs = [script],
        user_link_flags = [
            "-pthread",
            "-fuse-ld=bfd",  # gold exports what marks the ends of a section
            "-Wl,--as-needed",
            "-Wl,-soname,libweft.so." + ctx.attr.abi,
            "-Wl,--version-script=" + script.path,
            "-Wl,-Bsymbolic-functions",
            "-Wl,-z,defs",
        ],
    ).library_to_link.resolved_symlink_dynamic_library

    archive = ctx.actions.declare_file(ctx.label.name + "/libweft.a")
    ctx.actions.run_shell(
        command = """
            ld=$1 objcopy=$2 ar=$3 names=$4 out=$5; shift 5
            object=${out%.a}.o
            "$ld" -r -o "$object" "$@" &&
            "$objcopy" --keep-global-symbols="$names" "$object" &&
            rm -f "$out" && "$ar" rcsD "$out" "$object" && rm "$object"
        """,
        arguments = [
            cc.ld_executable,
            cc.objcopy_executable,
            cc.ar_executable,
            names.path,
            archive.path,
        ] + [object.path for object in objects],
        inputs = depset(objects + [names], transitive = [cc.all_files]),
        outputs = [archive],
        mnemonic = "WeftArchive",
    )

    tar = ctx.actions.declare_file(ctx.label.name + ".tar.gz")
    headers = info.compilation_context.headers.to_list()
    _python(
        ctx,
        inputs = headers + [archive, shared, ctx.file.manual, ctx.file.license],
        outputs = [tar],
        arguments = [
            ctx.file._dist.path,
            "tar",
            tar.path,
            archive.path,
            shared.path,
            ctx.file.manual.path,
            ctx.file.license.path,
        ] + [header.path for header in headers],
        mnemonic = "WeftTar",
    )
    return [DefaultInfo(files = depset([tar]), runfiles = ctx.runfiles([tar]))]

weft_dist = rule(
    implementation = _weft_dist_impl,
    attrs = {
        "abi": attr.string(mandatory = True, doc = "MAJOR of the version"),
        "exported_names": attr.label(allow_single_file = True, mandatory = True),
        "library": attr.label(providers = [CcInfo], mandatory = True),
        "license": attr.label(allow_single_file = True, mandatory = True),
        "manual": attr.label(allow_single_file = True, mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
        "_cc_toolchain": attr.label(
            default = "@bazel_tools//tools/cpp:current_cc_toolchain",
        ),
        "_dist": attr.label(default = "//tools:dist.py", allow_single_file = True),
        "_tools": attr.label(default = "//tools:dist_tools"),
    },
    cfg = _plain,
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)

def _weft_compiler_impl(ctx):
    cc = find_cc_toolchain(ctx)
    path = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(path, cc.compiler_executable + "\n")
    return [DefaultInfo(files = depset([path]), runfiles = ctx.runfiles([path]))]

# A file with the path of the C compiler. $(CC) is the host's under
# --config=aarch64.
weft_compiler = rule(
    implementation = _weft_compiler_impl,
    attrs = {
        "_cc_toolchain": attr.label(
            default = "@bazel_tools//tools/cpp:current_cc_toolchain",
        ),
    },
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)

def _weft_headers_impl(ctx):
    infos = [dep[CcInfo].compilation_context.headers for dep in ctx.attr.deps]
    headers = depset(transitive = infos)
    return [DefaultInfo(files = headers, runfiles = ctx.runfiles(transitive_files = headers))]

# All headers that some libraries are used with, as files.
weft_headers = rule(
    implementation = _weft_headers_impl,
    attrs = {"deps": attr.label_list(providers = [CcInfo])},
)
