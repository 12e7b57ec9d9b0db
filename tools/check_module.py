#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""MODULE.bazel, which Bazel 4 does not read, beside what it does read.

What can be known without bzlmod: every repository that a BUILD or .bzl file names
is in MODULE.bazel, and only those; an extension makes what use_repo() wants;
weft_deps() makes the same repositories for a WORKSPACE; examples/consumer wants
the version that there is, and of the same rules; what .bcr says of this
repository is true. Each break of this is printed, and the exit code is 1.
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..")
# Bazel's own, and what stands for weft in examples.
BUILT_IN = {"bazel_tools", "weft", "local_config_platform"}
# Of WORKSPACE alone: reports of coverage. Bazel 7 brings its own merger.
WORKSPACE_ONLY = {"remote_coverage_tools"}


def read(path):
    with open(os.path.join(HERE, path)) as file:
        return file.read()


class Extension:
    """What use_extension() returned: its function in which file."""

    def __init__(self, file, name, dev_dependency=False):
        self.file, self.name, self.dev = file, name, dev_dependency


class Module:
    """A MODULE.bazel, which is Python enough to be run as such."""

    def __init__(self, path):
        self.deps, self.repos, self.wrong = {}, {}, []
        exec(read(path), {
            "module": self.module, "bazel_dep": self.dep,
            "use_extension": Extension, "use_repo": self.use,
            "local_path_override": lambda module_name, path: None})

    def module(self, name, version=""):
        self.name, self.version = name, version

    def dep(self, name, version, dev_dependency=False):
        self.deps[name] = version

    def use(self, extension, *repos):
        for repo in repos:
            self.repos[repo] = extension


def sources():
    found = subprocess.run(
        ["find", ".", "(", "-name", ".git", "-o", "-name", "bazel-*", "-o", "-path",
         "./examples/consumer", ")", "-prune", "-o", "-type", "f", "(", "-name",
         "BUILD", "-o", "-name", "*.bzl", ")", "-print"],
        cwd=HERE, stdout=subprocess.PIPE, universal_newlines=True, check=True)
    return [path[2:] for path in found.stdout.split()]


def named(text):
    """Repositories that a file names, but for comments."""
    text = re.sub(r'^""".*?"""', "", text, flags=re.S)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    return set(re.findall(r'["=]@(\w+)(?:"|//)', text))


def made_by(text, function):
    """Repositories that a function of a .bzl file, or what it calls, makes."""
    body = re.search(r"^def %s\(.*?(?=^\S|\Z)" % function, text, re.S | re.M)
    if not body:
        return set()
    body = body.group(0)
    made = set(re.findall(r'(?:name = |\b_maybe\(\s*)"(\w+)"', body))
    for table in re.findall(r"in (\w+)\.items\(\)", body):
        table = re.search(r"^%s = \{(.*?)^\}" % table, text, re.S | re.M)
        made |= set(re.findall(r'^    "(\w+)":', table.group(1), re.M))
    for call in set(re.findall(r"^ +(\w+)\(\)$", body, re.M)):
        for path in ("bazel/system_libs.bzl", "bazel/offline.bzl"):
            made |= made_by(read(path), call)
    return made


def check():
    wrong = []
    module = Module("MODULE.bazel")
    consumer = Module("examples/consumer/MODULE.bazel")
    known = set(module.deps) | set(module.repos)
    used = set()
    for path in sources() + [".bazelrc"]:
        here = named(read(path)) - BUILT_IN
        used |= here
        for name in sorted(here - known - WORKSPACE_ONLY):
            wrong.append("%s: @%s is not in MODULE.bazel" % (path, name))
    for name in sorted(known - used):
        wrong.append("MODULE.bazel: nothing names @%s" % name)
    for repo, extension in module.repos.items():
        text = read(extension.file.replace("//", "").replace(":", "/"))
        implementation = re.search(
            r"^%s = module_extension\(implementation = (\w+)\)" % extension.name,
            text, re.M)
        if not implementation or \
                repo not in made_by(text, implementation.group(1)):
            wrong.append("%s: %s does not make @%s"
                         % (extension.file, extension.name, repo))
    made = made_by(read("bazel/deps.bzl"), "weft_deps")
    for name in sorted(known - made - {"platforms"}):  # built in
        wrong.append("bazel/deps.bzl: weft_deps() does not make @%s" % name)
    version = re.search(r'#define WEFT_VERSION "([^"]+)"',
                        read("version.h")).group(1)
    if module.version != version:
        wrong.append("MODULE.bazel: version %s, not %s" % (module.version, version))
    for name, wanted in consumer.deps.items():
        there = module.version if name == module.name else module.deps.get(name)
        if wanted != there:
            wrong.append("examples/consumer/MODULE.bazel: %s %s, not %s"
                         % (name, wanted, there))
    for path in (".bcr/metadata.template.json", ".bcr/source.template.json"):
        keys = set(json.loads(read(path)))
        want = {"homepage", "maintainers", "repository", "versions",
                "yanked_versions"} if "metadata" in path else \
            {"integrity", "strip_prefix", "url"}
        if keys != want:
            wrong.append("%s: has %s" % (path, ", ".join(sorted(keys))))
    place = re.search(r"module_path: (\S+)", read(".bcr/presubmit.yml")).group(1)
    if not os.path.exists(os.path.join(HERE, place, "MODULE.bazel")):
        wrong.append(".bcr/presubmit.yml: no module in %s" % place)
    return wrong


def main():
    wrong = check()
    for line in wrong:
        print("check_module:", line)
    print("check_module: %d wrong" % len(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
