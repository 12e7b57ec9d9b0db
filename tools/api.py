#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the public headers declare, beside what docs/api.md says of it.

usage: tools/api.py check HEADER... -- API.md EXPORTED_NAMES [OTHER.md...]
       tools/api.py list HEADER...

HEADERs are files as Bazel lays them out, .../_virtual_includes/.../weft/...; what
is not public is passed over.

check: each function of the headers has a synopsis in API.md; each synopsis is of
a function that one of them declares; what the headers declare that weft.h
includes is in EXPORTED_NAMES, the names that the shared library exports, and
nothing else is; what C++ may include has extern "C"; what the other pages call
name() or struct name exists. What breaks this is printed, and the exit code is 1.

list: 'header name' of each function, inline ones marked with 'inline'.

Read as text: one declaration is a run of text up to its ; or {, which holds for
headers formatted as ours are. What a macro makes is not seen.
"""
import re
import sys


# What programs include; it brings the rest.
FACE = ("weft/weft.h",)

# What can be taken from Bazel without the scheduler, and is documented too.
PARTS = ("weft/preempt/alarm.h", "weft/preempt/gate.h",
         "weft/preempt/thread.h", "weft/preempt/signals.h",
         "weft/preempt/handover.h", "weft/preempt/timer.h", "weft/queue/node.h",
         "weft/queue/lockfree_queue.h", "weft/queue/local_queue.h",
         "weft/queue/block_queue.h", "weft/queue/global_queue.h",
         "weft/queue/lockfree_global.h")

# Headers that users' code is compiled with but does not call.
INSIDE = ("weft/sync/wait_list.h", "weft/base/lock.h", "weft/base/atomic.h",
          "weft/base/compiler.h", "weft/preempt/asked.h")

# The same for single names: what inline functions and the runtime call.
NOT_CALLED = ("weft_asked", "weft_check_slowly", "weft_local_count",
              "weft_local_push_slow", "weft_thread_ask", "weft_thread_is_asked")


class Declaration:
    """A function or variable that a header declares."""

    def __init__(self, name, text, inline, function):
        self.name = name
        self.text = text
        self.inline = inline
        self.function = function


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def without_directives(text):
    text = re.sub(r"\\\n", " ", text)
    return re.sub(r"^[ \t]*#.*$", "", text, flags=re.M)


def statements(text):
    """The top-level statements of C text; bodies in braces become {}."""
    text = re.sub(r'extern\s+"C"\s*\{', "", text)
    depth = 0
    now = ""
    for char in text:
        if char == "{":
            depth += 1
            if depth == 1:
                now += "{}"
        elif char == "}":
            depth -= 1
            if depth < 0:  # the end of extern "C"
                depth, now = 0, ""
            elif depth == 0 and re.search(r"\)\s*\{\}$", now):
                yield now.strip()  # a function with a body
                now = ""
        elif depth == 0:
            if char == ";":
                yield now.strip()
                now = ""
            else:
                now += char


def declarations(text):
    """All that C text declares under weft's name, in its order."""
    found = []
    for statement in statements(without_directives(without_comments(text))):
        statement = re.sub(r"__attribute__\s*\(\(.*?\)\)|WEFT_PRINTF\(.*?\)", "",
                           statement)
        one_line = " ".join(statement.split())
        head = one_line.split("{}")[0]
        function = re.match(r"[\w\s*]*?\b(\w+)\s*\(", head)
        variable = re.match(r"extern\s[\w\s*]*?\b(weft_\w+)$", one_line)
        if function and not re.match(r"typedef|_Static_assert", head):
            found.append(Declaration(function.group(1), head.strip(),
                                     "inline" in head.upper().lower(), True))
        elif variable:
            found.append(Declaration(variable.group(1), one_line, False, False))
    return [d for d in found if d.name.startswith("weft_")]


def include_name(path):
    """weft/... as an #include says it."""
    return re.sub(r"^(.*/)?_virtual_includes/[^/]*/", "", path)


def included(text):
    return re.findall(r'^\s*#\s*include "(weft/[^"]+)"', text, flags=re.M)


def closure(headers, start=FACE):
    """The names of all headers that `start` includes, by way of others too.
    `headers` maps names to texts."""
    seen, todo = [], list(start)
    while todo:
        name = todo.pop(0)
        if name not in seen:
            seen.append(name)
            todo += included(headers[name])
    return seen


def fenced(markdown):
    """The C texts of a page."""
    return re.findall(r"^```c\n(.*?)^```$", markdown, flags=re.S | re.M)


def synopses(markdown):
    """The names of all functions that the page's C texts declare, but do not
    define: the synopses."""
    return {d.name for text in fenced(markdown) for d in declarations(text)
            if "(" in d.text}


def exported_names(text):
    """The list: one a line, # begins a comment."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def check(headers, markdown, exported):
    wrong = []
    told = synopses(markdown)
    ships = closure(headers)
    public = [h for face in FACE for h in included(headers[face])] + list(FACE)
    declared, shipped = {}, set()
    for name in ships + list(PARTS):
        for d in declarations(headers[name]):
            declared[d.name] = name
            if name in ships and not d.inline:
                shipped.add(d.name)
            if name in public and not d.inline and d.name not in exported:
                wrong.append("%s: %s is not in bazel/exported_names"
                             % (name, d.name))
            if not (d.name in told or d.name in NOT_CALLED or name in INSIDE):
                wrong.append("%s: %s() has no synopsis in docs/api.md"
                             % (name, d.name))
    for name in ships:
        if name not in INSIDE and 'extern "C"' not in headers[name] and \
                not all(d.inline for d in declarations(headers[name])):
            wrong.append('%s: no extern "C"' % name)
    for name in sorted(told - set(declared)):
        wrong.append("docs/api.md: no header declares %s()" % name)
    for name in exported:
        if name not in shipped:
            wrong.append("bazel/exported_names: %s is in no header that weft.h "
                         "includes" % name)
        elif not (name in told or name in NOT_CALLED):
            wrong.append("bazel/exported_names: %s is not in docs/api.md" % name)
    if exported != sorted(set(exported)):
        wrong.append("bazel/exported_names: not in order")
    return wrong


def mentions(headers, path, text):
    """What a page speaks of and no header has."""
    known = {d.name for h in headers.values() for d in declarations(h)}
    all_text = "\n".join(headers.values())
    return ["%s: there is no %s()" % (path, name)
            for name in re.findall(r"\b(weft_\w+)\(", text)
            if name not in known] + \
           ["%s: there is no struct %s" % (path, name)
            for name in re.findall(r"`struct (weft_\w+)", text)
            if not re.search(r"struct %s\b" % name, all_text)]


def main(arguments):
    command, arguments = arguments[0], arguments[1:]
    rest = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, rest = arguments[:at], arguments[at + 1:]
    headers = {}
    for path in arguments:
        with open(path) as file:
            headers[include_name(path)] = file.read()
    if command == "list":
        for name, text in headers.items():
            for d in declarations(text):
                print(name, d.name, "inline" if d.inline else "")
        return 0
    markdown, exported, *others = (open(path).read() for path in rest)
    wrong = check(headers, markdown, exported_names(exported))
    for path, text in zip(rest[2:], others):
        wrong += mentions(headers, path, text)
    for line in sorted(set(wrong)):
        print("api:", line)
    print("api: %d wrong" % len(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("check", "list"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
