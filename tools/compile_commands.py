#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes compile_commands.json at the workspace root from `bazel aquery`.

usage: tools/compile_commands.py [bazel flags, e.g. --config=aarch64]
"""
import json, os, subprocess, sys

def bazel(*args):
    return subprocess.run(("bazel",) + args, check=True, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL).stdout

flags = sys.argv[1:]
root = bazel("info", "workspace").strip()
base = bazel("info", "output_base").strip()
doc = json.loads(bazel("aquery", *flags, "--output=jsonproto", 'mnemonic("CppCompile", //...)'))
seen, out = set(), []
for a in doc["actions"]:
    args = a["arguments"]
    if "-c" not in args:
        continue
    src = args[args.index("-c") + 1]
    if src in seen or src.startswith("external/"):
        continue
    seen.add(src)
    args = [x.replace("external/", base + "/external/", 1) if x.startswith("external/") else x
            for x in args if x not in ("-fno-canonical-system-headers", "-pass-exit-codes")]
    out.append({"directory": root, "file": src, "arguments": args})
with open(os.path.join(root, "compile_commands.json"), "w") as f:
    json.dump(sorted(out, key=lambda e: e["file"]), f, indent=1)
print("%d entries" % len(out))
