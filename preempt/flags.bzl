"""A yes-or-no setting for the command line, without bazel_skylib."""

def _bool_setting_impl(_ctx):
    return []

bool_setting = rule(
    implementation = _bool_setting_impl,
    build_setting = config.bool(flag = True),
    doc = "True or False, for config_setting's flag_values.",
)
