"""What the end-to-end tests share: the real program in a scratch workspace, and a closing line `N passed, N failed`.

A test file calls main(__file__, [functions]). A function that returns nothing is one test; one that yields (name, callable)
is a table of tests. The program comes from --sluice or the environment's SLUICE.
"""
import argparse
import hashlib
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.get("SLUICE_SHARED", os.path.join(os.path.dirname(ROOT), "shared"))
DEPS = os.environ.get("SLUICE_DEPS", os.path.expanduser("~/.cache/sluice/deps"))
PRIVATE_PYTHON = os.path.join(DEPS, "python-tests", "bin", "python")
VERIFIER = os.path.join(SHARED, "tools", "odf-verify", "odf_verify.py")

EXIT_FAILURE, EXIT_USAGE, EXIT_BUSY, EXIT_CHANGED, EXIT_CORRUPT, EXIT_SPACE, EXIT_RECORDS = 1, 2, 3, 4, 5, 6, 8
EXIT_INTERRUPTED = 130
TIMEOUT = 60  # of any one command, on a busy machine too: longer is a hang

program = None
left_out = set()


class Done:
    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out[-2000:]!r}\nstderr: {self.err[-4000:].decode(errors='replace')}"


def wait(process, data=None, timeout=TIMEOUT):
    start = time.monotonic()
    try:
        out, err = process.communicate(data, timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"hangs: {process.args} ran longer than {timeout} s; stderr: {err[-2000:]!r}") from None
    return Done(process.returncode, out, err, time.monotonic() - start)


class Workspace:
    """A scratch workspace, removed at the end."""

    def __init__(self, init=True, folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix="sluice-e2e-")
        self.home = os.path.join(self.folder, ".sluice")
        if init:
            self.run("init")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *args, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": self.folder,
                   **options}
        return subprocess.Popen([program, *map(str, args)], **options)

    def run(self, *args, code=0, data=None, timeout=TIMEOUT, **options):
        """Runs a command and checks its exit code (one, several, or None: anything but a crash)."""
        if data is not None:
            options["stdin"] = subprocess.PIPE
        done = wait(self.start(*args, **options), data, timeout)
        allowed = range(0, 128) if code is None else code if isinstance(code, (set, tuple, list)) else (code,)
        assert done.code in allowed, f"sluice {' '.join(map(str, args))}: expected exit {code}: {done}"
        return done

    def kill_after(self, seconds, *args, stdin=None):
        """Runs a command and kills it after so long. True when the kill met it alive."""
        with open(stdin or os.devnull, "rb") as source:
            process = self.start(*args, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            err = process.stderr.read()
            process.stderr.close()
            process.wait()
        assert process.returncode in (0, -signal.SIGKILL), f"sluice {args}: exit {process.returncode}: {err.decode(errors='replace')}"
        return process.returncode != 0

    def write(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def add(self, name, merge, *, read="NdJson", fields=None, options="", extra=""):
        text = manifest(name, merge, read=read, fields=fields, options=options, extra=extra)
        return self.run("add", self.write(name + ".yaml", text))

    def path(self, dataset):
        return self.run("system", "path", dataset).out.decode().strip()

    def head(self, dataset):
        return self.run("head", dataset).out.decode().strip()

    def rows(self, dataset):
        name = dataset.replace('"', '""')
        if b"not yet available" in self.run("inspect", "schema", dataset).err:
            return []  # nothing was ever ingested: there is no table
        out = self.run("sql", "-o", "ndjson", "-c", f'select * from "{name}" order by "offset"', timeout=60).out
        return [json.loads(line) for line in out.splitlines()]

    def state(self, dataset, source="default"):
        """The value of the source's state, or None."""
        out = self.run("source", "show", dataset, source).out.decode()
        for line in out.splitlines():
            if line.startswith("# State: ") and " = " in line:
                return line.split(" = ", 1)[1].rsplit(" (block", 1)[0]
        return None

    def data_blocks(self, dataset):
        """Blocks that brought rows, newest first, as the first offset of each."""
        log = self.run("log", dataset, "--limit", 1_000_000).out.decode()
        return [int(line.split(":")[1]) for line in log.splitlines() if line.strip().startswith("Offset.Start:")]

    def check_sound(self, *datasets):
        """Verified by the program, and by the independent verifier where there is one."""
        self.run("verify", *datasets, timeout=60)
        if not os.path.exists(VERIFIER):
            left_out.add("independent verification: no ../shared/tools/odf-verify")
            return
        for dataset in datasets:
            done = subprocess.run([PRIVATE_PYTHON, VERIFIER, "--json", self.path(dataset)], capture_output=True, timeout=120,
                                  check=False)
            assert done.returncode == 0, f"independent verifier: {done.stdout.decode()[-3000:]}{done.stderr.decode()[-2000:]}"

    def leftovers(self):
        """Temporary files anywhere in the workspace."""
        found = []
        for folder, _, names in os.walk(self.home):
            for name in names:
                if name.startswith(".pending-") or folder.startswith(os.path.join(self.home, "tmp")) or "/index/load-" in folder:
                    found.append(os.path.relpath(os.path.join(folder, name), self.home))
        return found

    def check_clean(self):
        self.run("list")  # any command finds what a killed one left
        assert not self.leftovers(), f"leftovers: {self.leftovers()}"


FIELDS = [("event_time", "Timestamp"), ("k", "Int64"), ("v", "String")]


def manifest(name, merge, *, read="NdJson", fields=None, options="", extra=""):
    lines = "\n".join(f"            - {{name: {n}, type: {t}}}" for n, t in (fields or FIELDS))
    schema = f"\n        schema:\n          fields:\n{lines}" if fields != [] else ""
    return f"""kind: DatasetSnapshot
version: 1
content:
  name: {name}
  kind: Root
  metadata:
    - kind: AddPushSource
      sourceName: default
      read:
        kind: {read}{options}{schema}
      merge: {merge}
{extra}"""


APPEND, LEDGER = "{kind: Append}", "{kind: Ledger, primaryKey: [k]}"
SNAPSHOT, UPSERT = "{kind: Snapshot, primaryKey: [k]}", "{kind: UpsertStream, primaryKey: [k]}"


def record(k, v="x", second=0):
    return json.dumps({"event_time": f"2024-01-01T00:00:{second:02d}Z", "k": k, "v": str(v)}) + "\n"


def records(keys, v="x"):
    return "".join(record(k, v) for k in keys).encode()


def live(rows):
    """What the rows of a corrected dataset come to: key -> value. Each -R and -C must repeat the row it takes back."""
    state = {}
    for row in rows:
        if row["op"] in (1, 2):
            assert state.get(row["k"]) == row["v"], f"takes back what is not there: {row}, have {state.get(row['k'])}"
            del state[row["k"]]
        else:
            assert row["k"] not in state, f"added twice: {row}"
            state[row["k"]] = row["v"]
    return state


def fingerprint(folder):
    """Names, kinds, sizes and contents of everything in a folder."""
    digest = hashlib.sha256()
    for path, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names) + [f + "/" for f in folders]:
            full = os.path.join(path, name)
            digest.update(os.path.relpath(full, folder).encode() + b"\0")
            if not name.endswith("/"):
                with open(full, "rb") as file:
                    digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def in_parallel(calls):
    results = [None] * len(calls)

    def work(i):
        try:
            results[i] = calls[i]()
        except BaseException as error:  # handed on to the caller
            results[i] = error

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def main(tests):
    global program
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", default=os.environ.get("SLUICE", os.path.join(ROOT, "build", "sluice")))
    parser.add_argument("--only", default="", help="run the tests whose name holds this")
    args = parser.parse_args()
    program = os.path.abspath(args.sluice)
    passed = failed = 0

    def attempt(name, call):
        nonlocal passed, failed
        if args.only and args.only not in name:
            return
        start = time.monotonic()
        try:
            call()
        except Exception:
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
        else:
            passed += 1
            print(f"ok     {name} {time.monotonic() - start:.1f} s", flush=True)

    for test in tests:
        if inspect.isgeneratorfunction(test):
            for name, call in test():
                attempt(f"{test.__name__}: {name}", call)
        else:
            attempt(test.__name__, test)
    for line in sorted(left_out):
        print("left out: " + line)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)
