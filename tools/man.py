#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Man pages from docs/api.md: pages(text, version) -> {file name: its text}.

Each section of the page (## ...) that has a synopsis becomes a page of section 3,
called as its first function; the other functions point to it. 'Conventions'
becomes weft(7). Of Markdown it knows what api.md uses: paragraphs, lists, tables,
`code`, **bold**, *emphasis*, links, C texts. Dates are left out, so that the same
text makes the same pages.
"""
import re

import api


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def inline(text):
    """One run of Markdown text as roff."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    pieces = re.split(r"(`[^`]*`|\*\*.+?\*\*|(?<!\w)\*[^*\s][^*]*\*(?!\w))", text)
    out = ""
    for piece in pieces:
        if piece.startswith("**"):
            out += "\\fB" + inline(piece[2:-2]) + "\\fR"
        elif piece.startswith("`") and len(piece) > 1:
            out += "\\fB" + escape(piece[1:-1]) + "\\fR"
        elif piece.startswith("*") and len(piece) > 2:
            out += "\\fI" + escape(piece[1:-1]) + "\\fR"
        else:
            out += escape(piece)
    return out


def heading(text):
    return ".SH " + text.upper().replace('"', "") + "\n"


def table(lines):
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in lines]
    rows = [row for row in rows if not all(re.match(r"^:?-+:?$", c) for c in row)]
    out = ""
    for row in rows[1:]:
        rest = [c for c in row[1:] if c]
        out += ".TP\n%s\n%s\n" % (inline(row[0]), inline("; ".join(rest)))
    return out


def code(text):
    lines = [line if line else " " for line in text.rstrip("\n").split("\n")]
    return ".PP\n.in +4n\n.nf\n" + escape("\n".join(lines)) + "\n.fi\n.in\n"


def blocks(text):
    """(kind, text) of each paragraph, C text, table and list item."""
    for part in re.split(r"^(```c\n.*?^```$)", text, flags=re.S | re.M):
        if part.startswith("```c"):
            yield "code", part[5:-3]
            continue
        for paragraph in re.split(r"\n\s*\n", part):
            paragraph = paragraph.strip("\n")
            if paragraph.startswith("|"):
                yield "table", paragraph
            elif paragraph.startswith("- "):
                for item in re.split(r"^- ", paragraph, flags=re.M)[1:]:
                    yield "item", item
            elif paragraph.strip():
                yield "text", paragraph


def body(text):
    """A section without its title and synopsis."""
    out, example = "", False
    for kind, part in blocks(text):
        if kind == "code":
            out += ("" if example else heading("example")) + code(part)
            example = True
            continue
        if kind == "table":
            out += table(part.split("\n"))
            continue
        part = " ".join(part.split())
        if kind == "item":
            out += ".IP \\(bu 2\n" + inline(part) + "\n"
            continue
        title = re.match(r"\*\*(Description|Context|Contexts|Returns|Errors|Times"
                         r"|Cancelling|Headers and targets)\.?\*\*\s*", part)
        if title:
            rest = part[title.end():]
            out += heading(title.group(1))
            out += inline(rest) + "\n"
        else:
            out += ".PP\n" + inline(part) + "\n"
    return out


def page(name, section, version, what, synopsis, rest):
    out = '.TH %s %s "" "weft %s" "weft"\n' % (name.upper(), section, version)
    out += heading("name") + what + "\n"
    if synopsis:
        out += heading("synopsis") + synopsis
    return out + rest


def title_of(names, sentence):
    return ", ".join(names) + " \\- " + inline(sentence)


def function_pages(text, version, shipped):
    """{file: text} of one section of api.md; {} without a synopsis of weft.h's."""
    title, _, text = text.partition("\n")
    first_c = re.search(r"^```c\n(.*?)^```\n", text, flags=re.S | re.M)
    if not first_c:
        return {}
    names = [d.name for d in api.declarations(first_c.group(1))
             if d.function and d.name in shipped]
    if not names:
        return {}
    intro = " ".join(text[:first_c.start()].split())
    header = re.search(r"`(weft/[\w/]+\.h)`", intro)
    sentence = intro.split(". ")[0].rstrip(".")
    include = header.group(1) if header else "weft/weft.h"
    lines = re.sub(r"^#include.*\n", "", first_c.group(1), flags=re.M)
    synopsis = code('#include "%s"\n\n%s' % (include, lines.strip("\n")))
    pages = {names[0] + ".3": page(
        names[0], 3, version, title_of(names, sentence), synopsis,
        body(text[first_c.end():]) + heading("see also") + ".BR weft (7)\n")}
    for name in names[1:]:
        pages[name + ".3"] = ".so man3/%s.3\n" % names[0]
    return pages


def pages(text, version, shipped):
    """All man pages of api.md's text, for functions that are in `shipped`."""
    found, sections = {}, re.split(r"^## ", text, flags=re.M)[1:]
    for section in sections:
        if section.startswith("Conventions\n"):
            conventions = section.partition("\n")[2].split("```c")[0]
        else:
            found.update(function_pages(section, version, shipped))
    list_of = ", ".join("\\fB%s\\fR(3)" % escape(name[:-2])
                        for name in sorted(found))
    found["weft.7"] = page(
        "weft", 7, version, "weft \\- preemptible green threads for C",
        code('#include "weft/weft.h"\n\ncc $(pkg-config --cflags weft) ... '
             "$(pkg-config --libs weft)"),
        body(conventions) + heading("see also") + list_of + "\n")
    return found
