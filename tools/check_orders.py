#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/memory_orders.md beside the code that it speaks of.

Each function with an order above relaxed is named there; each name in `quotes`
there is one of the code; and where a file stands behind a name, the name is in
that file. Each break of this is printed, and the exit code is 1.

What the page says of a pair is not checked: that the partner is the right one
is for the reader, and for tests/model.
"""
import glob
import os
import re
import sys

os.chdir(os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))
PAGE = "docs/memory_orders.md"
LAYERS = "base arch queue preempt sched sync io demo_http".split()
# Wrappers of the orders themselves, and stand-ins for what ships, in tests.
NOT_OURS = re.compile(r"_test\.c$|testing|base/atomic\.h|io/\w+_runtime\.c")
# Orders that hand nothing to anybody else: the page has no line for them.
ALONE = {"weft_relax"}

ORDER = re.compile(r"memory_order_(acquire|release|acq_rel|seq_cst)")
WORD = re.compile(r"[A-Za-z_]\w*")


def sources(layers):
    for layer in layers:
        for ending in "ch":
            for path in glob.glob(f"{layer}/**/*.{ending}", recursive=True):
                with open(path) as file:
                    yield path, file.read()


def without_comments(text):
    """The same lines, without what they say to readers."""
    return re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()),
                  text, flags=re.S)


def orders(text):
    """(line, function) of each order above relaxed."""
    function = None
    head = ""  # of a definition, joined, until its brace
    for number, line in enumerate(without_comments(text).split("\n"), 1):
        if line and not line[0].isspace() and line[0] not in "#}/{":
            head = line
        elif head:
            head += line
        if head and line.rstrip(" \\").endswith("{"):
            head = re.sub(r"__attribute__\(\(.*?\)\)", "", head)
            name = re.search(r"(\w+)\(", head)
            if name and not head.startswith(("enum", "struct {", "typedef")):
                function = name.group(1)
            head = ""
        if ORDER.search(line) and "signal_fence" not in line:
            yield number, function


def main():
    wrong = []
    count = 0
    with open(PAGE) as file:
        page = file.read()
    named = set(WORD.findall(page))
    for path, text in sources(LAYERS):
        if NOT_OURS.search(path):
            continue
        for number, function in orders(text):
            count += 1
            if function not in named and function not in ALONE:
                wrong.append(f"{path}:{number}: {function}() is not in {PAGE}")
    code = dict(sources(LAYERS + ["tests"]))
    words = set(WORD.findall(" ".join(code.values())))
    for quoted in re.findall(r"`([^`]+)`", page):
        for word in set(WORD.findall(quoted)) - words:
            if "/" not in quoted and not quoted.endswith(".md"):
                wrong.append(f"{PAGE}: nothing is called {word}")
    for name, there in re.findall(r"`(\w+)` \(`([\w.]+\.[ch])`", page):
        if not any(os.path.basename(path) == there and
                   re.search(rf"\b{name}\b", text)
                   for path, text in code.items()):
            wrong.append(f"{PAGE}: {name} is not in {there}")
    for line in wrong:
        print("check_orders:", line)
    print(f"check_orders: {count} orders, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
