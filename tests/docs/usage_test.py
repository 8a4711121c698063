#!/usr/bin/env python3
"""Wrong usage ends with exit code 2 and says what was meant; every command's help has an example.

usage: usage_test.py PROGRAM"""
import re
import subprocess
import sys

PROGRAM = sys.argv[1]

# Command line -> what standard error must contain.
MISTAKES = [
    (["ingets"], "unknown command 'ingets'; did you mean 'ingest'?"),
    (["-q", "verfy"], "unknown command 'verfy'; did you mean 'verify'?"),
    (["frobnicate"], "unknown command 'frobnicate'\nRun 'sluice --help' for the commands."),
    (["system", "pth", "a"], "unknown command 'pth'; did you mean 'path'?"),
    (["source", "lits", "a"], "Run 'sluice source --help' for the commands."),
    ([], "a command is needed after 'sluice': init, new, add,"),
    (["source"], "a command is needed after 'sluice source': list, show, add, trust, disable"),
    (["ingest", "a", "--on-eror", "skip"], "'sluice ingest' has no option '--on-eror'; did you mean '--on-error'?"),
    (["ingest", "a", "b.csv", "--on-eror=skip"], "'sluice ingest' has no option '--on-eror'; did you mean '--on-error'?"),
    (["system", "compact", "a", "--hrd"], "'sluice system compact' has no option '--hrd'; did you mean '--hard'?"),
    (["tail", "a", "--quite"], "'sluice tail' has no option '--quite'; did you mean '--quiet'?"),
    (["tail", "a", "--xylophone"], "'sluice tail' has no option '--xylophone'\n"),
    (["ingest", "a", "--on-error", "sometimes"], "sometimes"),
    (["reset", "a"], "hash is required"),
    (["tail"], "dataset is required"),
]


def run(*words):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=False)


def commands():
    """Every command line that has its own help."""
    def children(*words):
        match = re.search(r"^Subcommands:\n((?:  .*\n?)+)", run(*words, "--help").stdout, re.M)
        return re.findall(r"^  ([a-z][a-z-]*)", match[1], re.M) if match else []
    for name in children():
        yield [name]
        for child in children(name):
            yield [name, child]


def main():
    passed = failed = 0
    for words, expected in MISTAKES:
        done = run(*words)
        good = done.returncode == 2 and expected in done.stderr and done.stdout == ""
        if not good:
            print(f"sluice {' '.join(words)}: exit {done.returncode}, expected 2 and '{expected}', printed: {done.stderr}")
        passed, failed = passed + good, failed + (not good)
    for words in commands():
        done = run(*words, "--help")
        good = done.returncode == 0 and re.search(r"^Example:\n  \S.*sluice|^Example:\n  sluice", done.stdout, re.M)
        if not good:
            print(f"sluice {' '.join(words)} --help: exit {done.returncode}, no example")
        passed, failed = passed + bool(good), failed + (not good)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
