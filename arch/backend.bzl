"""The build setting //arch:backend."""

def _impl(ctx):
    value = ctx.build_setting_value
    if value not in ctx.attr.values:
        fail("%s is one of %s, not %r" % (ctx.label, ", ".join(ctx.attr.values), value))
    return []

# A string from a list, set as --//arch:backend=VALUE.
choice_flag = rule(
    implementation = _impl,
    attrs = {"values": attr.string_list(mandatory = True)},
    build_setting = config.string(flag = True),
)
