#!/usr/bin/env python3
"""Runs the commands that the documents show, and compares what is printed with what the documents say.

usage: console_test.py PROGRAM PAGE|FOLDER...

Of a folder, all pages below it that show commands are taken.

Every ```console block of a page is run in order in one scratch folder: a line `$ command` is given to bash (with the lines
of its here-document), what follows up to the next such line is the expected output, standard error included. A line `...`
stands for any lines. What differs from run to run (hashes, ids, times, sizes, paths) is masked on both sides.

With SLUICE_UPDATE_DOCS=1 outputs that differ are written into the pages instead.
"""
import os
import re
import subprocess
import sys
import tempfile

MASKS = [
    (re.compile(r"\bf(?:1620[0-9a-f]{64}|9680[0-9a-f]{20,})\b"), "<hash>"),
    (re.compile(r"\b(?:did:odf:)?fed01[0-9a-f]{40,}\b"), "<id>"),
    (re.compile(r"\bf[0-9a-f]{60,}\b"), "<bytes>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "<time>"),
    (re.compile(r"/\S*/"), "<folder>/"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:bytes|[KMG]iB)\b"), "<size>"),
    (re.compile(r"(Size: )\d+"), r"\1<size>"),
    (re.compile(r"\b(?:just now|\d+ (?:second|minute)s? ago)\b"), "<ago>"),
    (re.compile(r"─+"), "─"),
    (re.compile(r" +"), " "),
]


def mask(line):
    for pattern, replacement in MASKS:
        line = pattern.sub(replacement, line)
    return line.strip()


class Step:
    """One command of a page: its lines, and where its expected output stands."""

    def __init__(self, command, first, last):
        self.command, self.first, self.last = command, first, last


def steps_of(lines):
    steps, number = [], 0
    while number < len(lines):
        if lines[number].strip() != "```console":
            number += 1
            continue
        number += 1
        while lines[number].strip() != "```":
            if not lines[number].startswith("$ "):
                sys.exit(f"line {number + 1}: a console block starts with a command")
            command = [lines[number][2:]]
            number += 1
            here = re.search(r"<<'(\w+)'", command[0])
            while here and command[-1] != here[1]:
                command.append(lines[number])
                number += 1
            first = number
            while lines[number].strip() != "```" and not lines[number].startswith("$ "):
                number += 1
            steps.append(Step("\n".join(command), first, number))
    return steps


def matches(expected, printed):
    """Whether the printed lines are the expected ones, where `...` stands for any lines."""
    if not expected:
        return not printed
    if expected[0].strip() == "...":
        return any(matches(expected[1:], printed[skip:]) for skip in range(len(printed) + 1))
    return bool(printed) and mask(expected[0]) == mask(printed[0]) and matches(expected[1:], printed[1:])


def run_page(program, path, update):
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    passed = failed = 0
    replaced = []
    with tempfile.TemporaryDirectory() as scratch:
        os.mkdir(os.path.join(scratch, "bin"))
        os.symlink(os.path.abspath(program), os.path.join(scratch, "bin", "sluice"))
        work = os.path.join(scratch, "rivers")
        os.mkdir(work)
        environment = {**os.environ, "PATH": os.path.join(scratch, "bin") + ":" + os.environ["PATH"], "HOME": scratch,
                       "LC_ALL": "C.UTF-8"}
        for step in steps_of(lines):
            done = subprocess.run(["bash", "-c", step.command], cwd=work, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
            printed = done.stdout.decode(errors="replace").rstrip("\n").split("\n") if done.stdout.strip() else []
            if matches(lines[step.first:step.last], printed):
                passed += 1
            elif update:
                shown = [line.replace(scratch, "/srv").rstrip() for line in printed]
                replaced.append((step.first, step.last, shown))
            else:
                failed += 1
                print(f"{path}:{step.first}: '{step.command.splitlines()[0]}' prints something else:")
                print("\n".join("  expected  " + line for line in lines[step.first:step.last]))
                print("\n".join("  printed   " + line for line in printed))
    for first, last, shown in reversed(replaced):
        lines[first:last] = shown
    if replaced:
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        print(f"{path}: {len(replaced)} output(s) written")
    return passed, failed


def pages_of(paths):
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                page = os.path.join(folder, name)
                if name.endswith(".md") and "```console" in open(page, encoding="utf-8").read():
                    yield page


def main():
    program, pages = sys.argv[1], list(pages_of(sys.argv[2:]))
    update = "SLUICE_UPDATE_DOCS" in os.environ
    passed = failed = 0
    for page in pages:
        good, bad = run_page(program, page, update)
        if good + bad == 0 and not update:
            print(f"{page}: no commands found")
            bad = 1
        passed += good
        failed += bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
