#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A page for each public header, made of its comments and of docs/api.md.

usage: tools/api_pages.py write HEADER... -- API.md
       tools/api_pages.py check HEADER... -- API.md PAGE...

write: the pages into docs/api of the workspace (`bazel run //docs:api_pages`).
check: they are there, as they would be written, and API.md links to each.

A page has: name, synopsis, what the header's first comment says, each function,
type and macro with its comment, whose sentences "Context: ..." and "Returns ..."
stand apart; and from API.md, of the sections whose synopses have functions of
this header, the errors and the examples. HEADERs are as in api.py.

Read as text: the unit is a comment and the lines below it up to the next empty
one, as our headers are written.
"""
import os
import re
import sys
import textwrap

import api

NOTE = "<!-- Made by `bazel run //docs:api_pages` of the header and api.md. -->"


def page_of(header):
    """weft/sync/mutex.h: sync_mutex.md"""
    return header[len("weft/"):-len(".h")].replace("/", "_") + ".md"


def targets(paths):
    """header: the target to depend on. Of several that have the header, the one
    called as it is, or as its folder."""
    found = {}
    for path in sorted(paths):
        name = api.include_name(path)
        target = re.search(r"_virtual_includes/([^/]*)/", path)
        if not target:  # as it lies in the sources
            continue
        target = target.group(1)
        folder = os.path.dirname(name)[len("weft/"):]
        stem = os.path.basename(name)[:-len(".h")]
        rank = [stem, folder, "weft"].index(target) \
            if target in (stem, folder, "weft") else 3
        label = "//" + folder + (":" + target if target != folder else "")
        found.setdefault(name, []).append((rank, label))
    return {name: min(labels)[1] for name, labels in found.items()}


def blocks(text):
    """(comment, code) of each unit of a header below its include guard."""
    comment, code, depth, out = [], [], 0, []
    inside = False

    def end():
        frame = all(re.match(r'#\s*(include|ifdef __cplusplus|endif|undef)|'
                             r'extern "C" \{$|}$', line) for line in code)
        if comment or not frame:
            out.append(("\n".join(comment), "" if frame else "\n".join(code)))
        comment.clear()
        code.clear()

    for line in text.split("\n"):
        if re.match(r"/\* (SPDX|clang-format)", line) or \
                re.match(r"#(ifndef|define) WEFT_\w+_H_$", line):
            continue
        starts = not inside and depth == 0 and line.startswith("/*")
        if starts and (code or comment):
            end()
        if starts or inside:
            comment.append(line)
            inside = "*/" not in line
        elif not line.strip() and depth == 0 and \
                not (code and code[-1].endswith("\\")):
            end()
        else:
            code.append(line)
            bare = re.sub(r"/\*.*?\*/", "", line)
            if not line.startswith('extern "C"') and \
                    not (depth == 0 and line == "}"):
                depth += bare.count("{") - bare.count("}")
    end()
    return out


def plain(comment):
    """The lines of a comment without its stars."""
    text = re.sub(r"^/\*+ ?|\s*\*/$", "", comment.strip())
    return [re.sub(r"^ ?\* ?", "", line).rstrip() for line in text.split("\n")]


def marked(text):
    """One run of a comment's text, as Markdown."""
    out = ""
    for piece in re.split(r"(`[^`]*`)", text):
        if not piece.startswith("`"):
            piece = re.sub(r"([*<|\\]|\b_|_\b)", r"\\\1", piece)
            piece = re.sub(r"(?<![\w/])((?:struct |enum )?(?:weft|WEFT)_\w+"
                           r"(?:\(\))?|-E[A-Z]{2,}\b)", r"`\1`", piece)
        out += piece
    return out


def wrap(text, indent=""):
    return textwrap.fill(" ".join(text.split()), 88, subsequent_indent=indent,
                         break_long_words=False, break_on_hyphens=False)


def markdown(lines):
    """A comment's lines, as Markdown: paragraphs, lists, drawings."""
    parts = []  # (kind, lines)
    for line in lines:
        kind, last = "text", parts[-1][0] if parts else ""
        columns = re.search(r"\S {3,}\S", line)
        item = re.match(r" {0,3}(-|\d+\.) ", line) and not columns
        if not line.strip():
            parts.append(("gap", []))
            continue
        if item:
            parts.append(("item", [line.strip()]))
            continue
        if line.startswith("  ") and last == "item" and not columns:
            kind = "item"
        elif line.startswith("   ") or columns:
            kind = "code"
        if kind == "code" and last == "gap" and len(parts) > 1 and \
                parts[-2][0] == "code":
            parts.pop()  # an empty line in a drawing
            parts[-1][1].extend(["", line])
        elif kind == last:
            parts[-1][1].append(line.strip() if kind == "item" else line)
        else:
            parts.append((kind, [line]))
    out = []
    for kind, part in parts:
        if kind == "code":
            out.append("```text\n%s\n```" % textwrap.dedent("\n".join(part)))
        elif kind == "item":
            if out and out[-1].startswith(("- ", "1. ")):
                out[-1] += "\n" + marked_item(part)
            else:
                out.append(marked_item(part))
        elif kind == "text":
            out.append(wrap(marked(" ".join(part))))
    return "\n\n".join(out)


def marked_item(lines):
    mark, text = " ".join(lines).split(" ", 1)
    mark = "- " if mark == "-" else "1. "
    return wrap(mark + marked(text), " " * len(mark))


def prose(comment):
    """A declaration's comment: what it does; context and returns apart."""
    text = "\n".join(plain(comment))
    apart = []
    for title, pattern in (("Context", r"\bContext:\s+(.*?\.)(?=\s|$)"),
                           ("Returns", r"(?:^|(?<=\.\s))Returns (.*?\.)(?=\s|$)")):
        found = re.search(pattern, text, flags=re.S)
        if found:
            text = (text[:found.start()].rstrip() + " " +
                    text[found.end():].lstrip(" ")).strip()
            what = " ".join(found.group(1).split())
            apart.append(wrap("**%s.** %s" % (
                title, marked(what[0].upper() + what[1:]))))
    text = markdown([line.rstrip() for line in text.strip().split("\n")])
    return "\n\n".join(part for part in [text] + apart if part)


def prototype(declaration):
    head = re.sub(r"\b(static|inline|WEFT_ALWAYS_INLINE|WEFT_NOINLINE)\s+", "",
                  declaration.text)
    return head.rstrip(" ;") + ";"


def wrapped(line):
    """A prototype in lines of 80 columns at most."""
    out, rest = [], line
    indent = " " * (line.index("(") + 1) if "(" in line else "    "
    while len(rest) > 80:
        at = rest.rfind(", ", 0, 80)
        if at < 0:
            break
        out.append(rest[:at + 1])
        rest = indent + rest[at + 2:]
    return "\n".join(out + [rest])


def titles(code):
    """What a unit declares: (its names as a title, its functions, whether that
    is all)."""
    declared = [d for d in api.declarations(code) if d.name not in api.NOT_CALLED]
    functions = [d for d in declared if d.function]
    names = [d.name for d in declared]
    if not names:
        names = re.findall(r"^(?:typedef )?((?:struct|enum|union) weft_\w+)"
                           r"(?= \{|;)", code, flags=re.M) + \
            re.findall(r"^#\s*define (\w+)", code, flags=re.M) + \
            re.findall(r"^typedef .*?\(?\*?(weft_\w+)\)?\(", code, flags=re.M) + \
            re.findall(r"^enum \{ (WEFT_\w+)", code, flags=re.M)
    return (", ".join(dict.fromkeys(names)), functions,
            functions and functions == declared)


def shown(code):
    """A type or macro, without the inside of functions and long macros."""
    code = re.sub(r"^(#\s*define \w+(?:\([^)]*\))?)[ \t]*\\\n(?:.*\\\n)+.*$",
                  r"\1 ...", code, flags=re.M)
    return "\n".join(re.sub(r"\s+\\$", "", line) for line in code.split("\n"))


def sections(markdown_text):
    """(title, text, names in the synopsis) of each section of api.md."""
    for section in re.split(r"^## ", markdown_text, flags=re.M)[1:]:
        title, _, text = section.partition("\n")
        yield title, text, api.synopses(text)


def anchor(title):
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def told(markdown_text, header, names):
    """Of api.md: the errors, the examples and the links for a header."""
    errors, examples, links = [], [], []
    for title, text, has in sections(markdown_text):
        if not (has & names if names else header in text.split("```c")[0]):
            continue
        links.append("[%s](../api.md#%s)" % (title, anchor(title)))
        errors += [wrap("**%s.** %s" % (
            title, re.sub(r"^\*\*Errors\.?\*\* ", "", e)))
                   for e in re.findall(r"^\*\*Errors\b.*?(?=\n\n)", text,
                                       flags=re.S | re.M)]
        examples += [c for c in api.fenced(text)
                     if not re.match(r"#include", c) and
                     not api.synopses("```c\n%s```" % c) & has]
    if not examples:  # one of another section that calls them
        called = r"\b(%s)\(" % "|".join(sorted(names) or [header])
        examples = [c for c in api.fenced(markdown_text)
                    if re.search(called, c) and "\n}" in c][:1]
    return errors, examples, links


def page(header, text, target, markdown_text):
    units = blocks(text)
    about = plain(units[0][0])
    synopsis, body, names = [], [], set()
    for comment, code in units[1:] if not units[0][1] else units:
        title, functions, alone = titles(code)
        if not title:
            if comment and not code.strip() and "---" not in comment:
                body.append(prose(comment))
            continue
        names |= {f.name for f in functions}
        synopsis += [wrapped(prototype(f)) for f in functions]
        body.append("### %s" % title)
        if not alone:
            body.append("```c\n%s\n```" % shown(code).strip("\n"))
        body.append(prose(comment) if comment else "")
    errors, examples, links = told(markdown_text, header, names)
    where = '```c\n#include "%s"\n' % header
    parts = [NOTE, "# " + header, markdown(about), "## Synopsis",
             "Target `%s`." % target,
             where + ("\n" + "\n".join(synopsis) + "\n" if synopsis else "") +
             "```", "## Description"] + body
    if errors:
        parts += ["## Errors"] + errors
    if examples:
        parts += ["## Example"] + ["```c\n%s```" % c for c in examples]
    if links:
        parts += ["## See also", ", ".join(links) + ", [the index](../api.md)."]
    return "\n\n".join(part for part in parts if part) + "\n"


def pages(paths, markdown_text):
    """file name: text, of each public header that declares something."""
    headers = {}
    for path in paths:
        with open(path) as file:
            headers[api.include_name(path)] = file.read()
    where = targets(paths)
    return {page_of(name): page(name, headers[name], where[name], markdown_text)
            for name in api.closure(headers) + list(api.PARTS)
            if name not in api.INSIDE and name != "weft/weft.h"}


def main(arguments):
    at = arguments.index("--")
    headers, (index, *committed) = arguments[1:at], arguments[at + 1:]
    with open(index) as file:
        markdown_text = file.read()
    made = pages(headers, markdown_text)
    if arguments[0] == "write":
        folder = os.path.join(os.environ["BUILD_WORKSPACE_DIRECTORY"],
                              "docs/api")
        os.makedirs(folder, exist_ok=True)
        for name in set(os.listdir(folder)) - set(made):
            os.remove(os.path.join(folder, name))
        for name, text in made.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        return 0
    wrong, there = [], {}
    for path in committed:
        with open(path) as file:
            there[os.path.basename(path)] = file.read()
    for name in sorted(set(made) | set(there)):
        if made.get(name) != there.get(name):
            wrong.append("docs/api/%s: bazel run //docs:api_pages" % name)
        if "(api/%s)" % name not in markdown_text:
            wrong.append("docs/api.md: no link to api/%s" % name)
    for line in wrong:
        print("api_pages:", line)
    print("api_pages: %d pages, %d wrong" % (len(made), len(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("write", "check"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
