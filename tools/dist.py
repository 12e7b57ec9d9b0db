#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What bazel/dist.bzl does with text and files, in two steps.

usage: tools/dist.py map EXPORTED_NAMES OUT.map OUT.list
       tools/dist.py tar OUT.tar.gz LIBRARY.a LIBRARY.so API.md LICENSE HEADER...

map: the list of names as a version script for the linker and as a list for
objcopy. tar: the archive, the same bytes for the same input: sorted, without
times and owners.
"""
import gzip
import io
import re
import sys
import tarfile

import api
import man

PC = """prefix=${pcfiledir}/../..
includedir=${prefix}/include
libdir=${prefix}/lib

Name: weft
Description: Preemptible green threads
Version: %s
Cflags: -I${includedir} -pthread
Libs: -L${libdir} -lweft -pthread
"""


def read(path, mode="r"):
    with open(path, mode) as file:
        return file.read()


def version_of(headers):
    return re.search(r'#define WEFT_VERSION "([^"]+)"',
                     headers["weft/version.h"]).group(1)


def make_map(names_path, map_path, list_path):
    names = api.exported_names(read(names_path))
    with open(map_path, "w") as out:
        out.write("{\n    global:\n%s    local:\n        *;\n};\n"
                  % "".join("        %s;\n" % name for name in names))
    with open(list_path, "w") as out:
        out.write("".join(name + "\n" for name in names))


def make_tar(out_path, archive, shared, markdown, license_path, *header_paths):
    headers = {api.include_name(p): read(p) for p in header_paths}
    ships = api.closure(headers)
    version = version_of(headers)
    major = version.split(".")[0]
    functions = {d.name for name in ships for d in api.declarations(headers[name])
                 if d.function}
    files = {  # path -> bytes, or the path that a symbolic link names
        "LICENSE": read(license_path, "rb"),
        "lib/libweft.a": read(archive, "rb"),
        "lib/libweft.so": "libweft.so." + major,
        "lib/libweft.so." + major: "libweft.so." + version,
        "lib/libweft.so." + version: read(shared, "rb"),
        "lib/pkgconfig/weft.pc": (PC % version).encode(),
    }
    for name in ships:
        files["include/" + name] = headers[name].encode()
    for name, text in man.pages(read(markdown), version, functions).items():
        files["share/man/man%s/%s" % (name[-1], name)] = text.encode()
    with open(out_path, "wb") as raw, \
            gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(files):
            info = tarfile.TarInfo("weft-%s/%s" % (version, path))
            content = files[path]
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.mode = 0o755 if ".so" in path else 0o644
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("map", "tar"):
        sys.exit(__doc__)
    {"map": make_map, "tar": make_tar}[sys.argv[1]](*sys.argv[2:])
