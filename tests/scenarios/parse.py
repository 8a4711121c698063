"""Reads scenario files (*.test); the format is described in README.md."""
import re
import shlex


class FormatError(Exception):
    pass


class Line:
    """One instruction: its words, where it stands, and the block indented below it (None when there is none)."""

    def __init__(self, text, place):
        self.text, self.place, self.block = text, place, None

    def split(self):
        word, _, rest = self.text.partition(" ")
        return word, rest.strip()


class Step:
    """One command with what is expected of it; a step without a command only prepares or checks."""

    def __init__(self, line=None):
        self.line, self.checks = line, []


class Scenario:
    def __init__(self, title, path, number):
        self.title, self.path, self.number, self.lines = title, path, number, []

    @property
    def name(self):
        return f"{self.path.stem}:{self.number}: {self.title}"


def read_scenarios(path):
    scenarios, last = [], None
    for number, raw in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        place = f"{path.name}:{number}"
        if raw.startswith("=== "):
            scenarios.append(Scenario(raw[4:].strip(), path, number))
            last = None
        elif raw.startswith("  "):
            if last is None or not last.text.endswith(":"):
                raise FormatError(f"{place}: a block without a line that ends in ':'")
            last.block = (last.block or []) + [raw[2:]]
        elif not raw.strip():
            # An empty line belongs to a block only when more of it follows; trailing ones are cut below.
            if last is not None and last.block is not None:
                last.block.append("")
        elif not raw.startswith("#"):
            if not scenarios:
                raise FormatError(f"{place}: before the first '=== TITLE'")
            last = Line(raw.strip(), place)
            scenarios[-1].lines.append(last)
    for scenario in scenarios:
        for line in scenario.lines:
            while line.block and line.block[-1] == "":
                line.block.pop()
    return scenarios


def command_words(text):
    """(words, file for standard input or None) of `$ ARGS... [< FILE]`."""
    words = shlex.split(text)
    if len(words) > 2 and words[-2] == "<":
        return words[:-2], words[-1]
    return words, None


def matches(expected, text):
    """`/REGEX/` is looked for as a regular expression, anything else as it stands."""
    if len(expected) > 2 and expected.startswith("/") and expected.endswith("/"):
        return re.search(expected[1:-1], text, re.MULTILINE) is not None
    return expected in text
