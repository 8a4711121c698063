"""Carries out one scenario in a workspace of its own and checks what is expected."""
import csv
import io
import json
import os
import pathlib
import re
import shutil
import subprocess

from parse import FormatError, command_words, matches
from server import FolderServer
from verifier import REPOSITORY, shared_folder

T0 = "2050-01-02T03:04:05Z"
MANIFESTS = pathlib.Path(__file__).resolve().parent / "manifests"
COMMAND_TIMEOUT = 120


class Failure(Exception):
    pass


class LeftOut(Exception):
    pass


def expect(condition, line, message):
    if not condition:
        raise Failure(f"{line.place}: {message}")


def text_of(block):
    return "".join(line + "\n" for line in block or [])


def same_lines(expected, actual, line, what):
    expect(expected == actual, line, f"{what} differ\nexpected:\n  " + "\n  ".join(expected) + "\nactual:\n  " + "\n  ".join(actual))


def indent(text, by):
    return "".join(" " * by + line + "\n" for line in text.rstrip("\n").split("\n"))


class Runner:
    def __init__(self, scenario, folder, program, batch_rows, verifier):
        self.scenario, self.folder, self.program, self.batch_rows, self.verifier = scenario, folder, program, batch_rows, verifier
        self.now, self.strict, self.partial, self.damaged = T0, True, False, False
        self.done, self.exit_checked, self.last = None, True, None
        self.heads = {}
        self.server = None

    def run(self):
        try:
            self.run_all()
        finally:
            if self.server:
                self.server.stop()

    def run_all(self):
        if not any(line.text == "no workspace" for line in self.scenario.lines):
            self.program_output(["init"])
        for line in self.scenario.lines:
            self.instruction(line)
        self.close_step()
        self.check_datasets()

    # Instructions ---------------------------------------------------------------------------------------------------

    def instruction(self, line):
        word, rest = line.split()
        if word == "$":
            self.close_step()
            return self.command(line, rest)
        name = word.rstrip(":").replace("-", "_")
        handler = getattr(self, "do_" + name, None)
        if handler is None:
            raise FormatError(f"{line.place}: unknown instruction '{word}'")
        return handler(line, rest.rstrip(":").strip() if line.block is not None else rest)

    def do_no(self, line, rest):
        """`no workspace`, `no stderr: TEXT`, `no stdout: TEXT`, `no file NAME`."""
        what, _, text = rest.partition(" ")
        if what == "workspace":
            return
        if what == "file":
            expect(not list(self.folder.glob(text)), line, f"file '{text}' exists")
            return
        stream = {"stderr:": self.done.stderr, "stdout:": self.done.stdout}[what]
        expect(not matches(text, stream), line, f"{what} has '{text}':\n{stream}")

    def do_time(self, line, rest):
        self.close_step()
        self.now = rest

    def do_lenient(self, line, rest):
        """The independent verifier's notes are not failures in this scenario; the rest of the line says why."""
        self.strict = False

    def do_partial(self, line, rest):
        """The failing command before this line may have moved heads."""
        self.partial = True

    def do_file(self, line, rest):
        name = rest.rstrip(":")
        self.close_step()
        if line.text.endswith("empty"):
            return (self.folder / name.removesuffix(": empty")).write_bytes(b"")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.expand(text_of(line.block)), encoding="utf-8")

    def do_remove(self, line, rest):
        self.close_step()
        path = self.folder / rest
        (shutil.rmtree if path.is_dir() else os.unlink)(path)

    def do_damage(self, line, rest):
        """`damage PATTERN [truncate]`: changes a byte in the middle of the only file that matches, or cuts it there."""
        self.close_step()
        pattern, _, how = rest.partition(" ")
        found = list(self.folder.glob(self.expand(pattern)))
        expect(len(found) == 1, line, f"{len(found)} files match")
        content = bytearray(found[0].read_bytes())
        middle = len(content) // 2
        content[middle] ^= 0x55
        found[0].write_bytes(content[:middle] if how == "truncate" else content)
        self.damaged = True

    def do_repeat(self, line, rest):
        """`repeat COUNT FILE:` writes the block COUNT times, `{i}` being 0, 1, 2, ..."""
        count, name = rest.split()
        block = text_of(line.block)
        (self.folder / name).write_text("".join(block.replace("{i}", str(i)) for i in range(int(count))), encoding="utf-8")

    def do_copy(self, line, rest):
        """`copy PATH NAME`: a file or folder of the repository; `shared/...` is the shared folder."""
        source, name = rest.split()
        self.close_step()
        origin = self.origin(source)
        (shutil.copytree if origin.is_dir() else shutil.copy)(origin, self.folder / name)

    def do_adopt(self, line, rest):
        """`adopt PATH`: puts a dataset folder into the workspace under its id."""
        self.close_step()
        origin = self.origin(rest)
        for block in sorted((origin / "blocks").iterdir()):
            decoded = self.program_output(["system", "decode", str(block)])
            if found := re.search(r"kind: Seed\s+datasetId: did:odf:(\w+)", decoded):
                shutil.copytree(origin, self.folder / ".sluice" / "datasets" / found[1])
                self.heads = self.read_heads()
                return
        raise Failure(f"{line.place}: no Seed in '{rest}'")

    def origin(self, name):
        path = shared_folder() / name.removeprefix("shared/") if name.startswith("shared/") else REPOSITORY / name
        if not path.exists() and name.startswith("shared/"):
            raise LeftOut(f"{name} is not there")
        return path

    def do_dataset(self, line, rest):
        """`dataset NAME [eventTimeColumn]:` adds a dataset with the push source of the block, or, as `dataset NAME FIXTURE`, of a file of manifests/."""
        self.close_step()
        words = rest.split()
        if line.block is None:
            manifest = (MANIFESTS / (words[1] + ".yaml")).read_text(encoding="utf-8").replace("NAME", words[0])
        else:
            manifest = snapshot(words[0], self.expand(text_of(line.block)), words[1] if len(words) > 1 else None)
        path = self.folder / (words[0] + ".yaml")
        path.write_text(manifest, encoding="utf-8")
        self.program_output(["add", str(path)])
        self.heads = self.read_heads()

    def do_manifest(self, line, rest):
        """`manifest FILE NAME [eventTimeColumn]:` writes the manifest that `dataset` would add."""
        words = rest.split()
        self.close_step()
        content = snapshot(words[1], self.expand(text_of(line.block)), words[2] if len(words) > 2 else None)
        (self.folder / words[0]).write_text(content, encoding="utf-8")

    def do_together(self, line, rest):
        """Every line of the block is a command; all run at the same time and succeed."""
        self.close_step()
        running = [self.start(command_words(text)) for text in line.block]
        for process, text in zip(running, line.block):
            _, errors = process.communicate(timeout=COMMAND_TIMEOUT)
            expect(process.returncode == 0, line, f"'{text}' ended with {process.returncode}: {errors}")
        self.after_change(line)

    # What is expected of the command before ---------------------------------------------------------------------------

    def do_exit(self, line, rest):
        code = self.done.returncode
        good = code != 0 if rest == "failure" else code == int(rest)
        expect(good, line, f"exit code is {code}\n{self.done.stderr}")
        self.exit_checked = True

    def do_stdout(self, line, rest):
        self.stream(line, rest, self.done.stdout)

    def do_stderr(self, line, rest):
        self.stream(line, rest, self.done.stderr)

    def stream(self, line, rest, text):
        if line.block is not None:
            return same_lines(line.block, text.rstrip("\n").split("\n"), line, "lines")
        return expect(matches(self.expand(rest.removeprefix(": ")), text), line, f"not found in:\n{text}")

    def do_up_to_date(self, line, rest):
        expect("up-to-date" in self.done.stderr, line, f"not up-to-date:\n{self.done.stderr}")
        expect(self.read_heads() == self.before, line, "the head moved")

    def do_rows(self, line, rest):
        """All rows in the columns named by the block's first line; `rows NAME: none`."""
        self.close_step()
        name = (rest.split() or ["d"])[0].rstrip(":")
        if name == "none":
            name = "d"
        header, rows = self.tail(name)
        if line.block is None:
            return expect(not rows, line, f"there are {len(rows)} rows")
        columns = next(csv.reader([line.block[0]]))
        missing = [c for c in columns if c not in header]
        expect(not missing, line, f"no columns {missing} among {header}")
        picked = [render([row[header.index(c)] for c in columns]) for row in rows]
        return same_lines(line.block[1:], picked, line, f"rows of '{name}'")

    def do_columns(self, line, rest):
        """`columns: a,b,...` of dataset d, in order."""
        self.close_step()
        header, _ = self.tail("d")
        same_lines([rest], [",".join(header)], line, "columns")

    def tail(self, name):
        table = list(csv.reader(io.StringIO(self.program_output(["tail", name, "-o", "csv", "-n", "1000000"]))))
        return (table[0], table[1:]) if table else ([], [])

    def do_blocks(self, line, rest):
        """The chain, oldest first; a first line `...` leaves out its beginning; a kind alone leaves out the details."""
        self.close_step()
        name = (rest.split() or ["d"])[0].rstrip(":")
        actual = blocks_of(self.program_output(["log", name, "-o", "yaml", "--limit", "100000"]))
        expected = list(line.block)
        if expected[0] == "...":
            expected = expected[1:]
            actual = actual[-len(expected):]
        same_lines(expected, [a if a in expected else shorten(a, e) for a, e in zip(actual, expected + [""] * len(actual))], line, "blocks")

    def do_rejects(self, line, rest):
        """Every line of the block is found in the line of the file at its place."""
        text = (self.folder / rest.rstrip(":")).read_text(encoding="utf-8").rstrip("\n").split("\n")
        expect(len(text) == len(line.block), line, f"{len(text)} rejects\n" + "\n".join(text))
        for wanted, got in zip(line.block, text):
            expect(matches(wanted, got), line, f"'{wanted}' not in '{got}'")

    # Running ----------------------------------------------------------------------------------------------------------

    def words(self, words):
        if words[0] == "ingest" and self.batch_rows:
            words = words + ["--batch-rows", str(self.batch_rows)]
        return [self.program, "--system-time", self.now] + [self.expand(word) for word in words]

    def expand(self, text):
        """`{HASH:NAME:N}` is the hash of block N of a dataset, `{SLICE:NAME:N}` that of the slice which the block adds;
        `{HERE}` is the scenario's folder, `{URL}` a server's that serves it."""
        if "{URL}" in text:
            self.server = self.server or FolderServer(self.folder)
            text = text.replace("{URL}", self.server.url)
        text = text.replace("{HERE}", str(self.folder))
        return re.sub(r"\{(HASH|SLICE):(\w+):(\d+)\}", lambda m: self.hash_of(m[1] == "SLICE", m[2], int(m[3])), text)

    def start(self, command):
        words, stdin = command
        source = open(self.folder / stdin, "rb") if stdin else subprocess.DEVNULL
        return subprocess.Popen(self.words(words), cwd=self.folder, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, errors="replace")

    def command(self, line, rest):
        self.before = self.read_heads()
        command = command_words(rest)
        process = self.start(command)
        try:
            out, err = process.communicate(timeout=COMMAND_TIMEOUT)
        except subprocess.TimeoutExpired as late:
            process.kill()
            raise Failure(f"{line.place}: ran longer than {COMMAND_TIMEOUT} s") from late
        self.done = subprocess.CompletedProcess(command, process.returncode, out, err)
        self.exit_checked, self.last = False, line

    def close_step(self):
        """A command without `exit` succeeds; one that failed changed nothing; what it changed verifies."""
        if self.last is None:
            return
        line, self.last = self.last, None
        if not self.exit_checked:
            expect(self.done.returncode == 0, line, f"exit code is {self.done.returncode}\n{self.done.stderr}")
        if self.done.returncode != 0 and not self.partial:
            expect(self.read_heads() == self.before, line, "the command failed, yet a head moved")
        self.partial = False
        self.after_change(line)

    def after_change(self, line):
        heads = self.read_heads()
        if heads != self.heads and heads:
            done = subprocess.run(self.words(["verify"]), cwd=self.folder, capture_output=True, text=True, timeout=COMMAND_TIMEOUT)
            expect(done.returncode == 0, line, f"verify: {done.stdout}{done.stderr}")
        self.heads = heads

    def program_output(self, words):
        done = subprocess.run(self.words(words), cwd=self.folder, capture_output=True, text=True, timeout=COMMAND_TIMEOUT)
        if done.returncode != 0:
            raise Failure(f"'{' '.join(words)}' ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def read_heads(self):
        return {p.parent.parent.name: p.read_text() for p in self.folder.glob(".sluice/datasets/*/refs/head")}

    def hash_of(self, of_slice, name, number):
        log = self.program_output(["log", name, "--limit", "100000"])
        block = log[log.index(f"Block #{number}: "):]
        return re.search(r"PhysicalHash: (\w+)" if of_slice else r"Block #\d+: (\w+)", block)[1]

    def check_datasets(self):
        for dataset in sorted(self.folder.glob(".sluice/datasets/*")):
            if self.verifier and not self.damaged and (violations := self.verifier.violations(dataset, self.strict)):
                raise Failure(f"independent verification of {dataset.name}:\n" + "\n".join(violations))


def snapshot(name, source, event_time):
    """A manifest around a source: a polling one where it has `fetch:`, else a push source, for which `sourceName: default` may be left out."""
    polling = re.search(r"^fetch:", source, re.MULTILINE)
    if not polling and "sourceName:" not in source:
        source = "sourceName: default\n" + source
    events = f"    - kind: {'SetPollingSource' if polling else 'AddPushSource'}\n" + indent(source, 6)
    if event_time:
        events += f"    - kind: SetVocab\n      eventTimeColumn: {event_time}\n"
    return f"kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: {name}\n  kind: Root\n  metadata:\n{events}"


def render(values):
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(values)
    return out.getvalue().replace("\n", "\\n")


def blocks_of(log):
    """One line a block, oldest first: `AddData 0..2 watermark=... state=source/kind/value`."""
    lines = []
    for document in log.split("\n---\n"):
        if not document.strip():
            continue
        event = document[document.index("\n  event:"):]
        text = re.search(r"^    kind: (\w+)", event, re.MULTILINE)[1]
        if found := re.search(r"start: (\d+)\n\s+end: (\d+)", event):
            text += f" {found[1]}..{found[2]}"
        if found := re.search(r"newWatermark: (\S+)", event):
            text += f" watermark={found[1]}"
        if found := re.search(r"newSourceState:\n\s+sourceName: (.*)\n\s+kind: (.*)\n\s+value: (.*)", event):
            text += " state=" + "/".join(plain(value) for value in found.groups())
        lines.append(text)
    return lines[::-1]


def plain(value):
    if value.startswith('"'):
        return json.loads(value)
    return value[1:-1].replace("''", "'") if value.startswith("'") else value


def shorten(actual, expected):
    """The block as far as `expected` names details of it."""
    if " " not in expected:
        return actual.split(" ")[0]
    if expected.endswith("*") and actual.startswith(expected[:-1]):
        return expected
    return actual
