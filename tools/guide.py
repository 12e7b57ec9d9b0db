#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is the code in docs/guide.md still that of the programs it speaks of?

usage: tools/guide.py GUIDE.md FILE.c...

Each C text must stand, line by line, in the file that was last linked before it;
each file must be linked. What breaks this is printed, and the exit code is 1.
"""
import os
import re
import sys


def main(guide_path, *paths):
    with open(guide_path) as file:
        guide = file.read()
    files = {}
    for path in paths:
        with open(path) as file:
            files[os.path.basename(path)] = file.read()
    name, count, linked, wrong = None, 0, set(), []
    for match in re.finditer(r"\]\(\.\./examples/(\w+\.c)\)|^```c\n(.*?)^```$",
                             guide, flags=re.S | re.M):
        if match.group(1):
            name = match.group(1)
            linked.add(name)
            continue
        count += 1
        if match.group(2) not in files.get(name, ""):
            wrong.append("%s no longer has\n%s" % (name, match.group(2)))
    wrong += ["%s is not in the guide" % n for n in sorted(set(files) - linked)]
    for text in wrong:
        print("guide:", text)
    print("guide: %d files, %d texts, %d wrong" % (len(files), count, len(wrong)))
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
