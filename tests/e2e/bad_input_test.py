#!/usr/bin/env python3
"""Bad input of every kind: a clear error, a non-zero exit, and the dataset exactly as before; never a crash, never a hang."""
import atexit
import ctypes
import os
import shutil
import threading

from harness import (APPEND, EXIT_CORRUPT, EXIT_RECORDS, EXIT_USAGE, LEDGER, Workspace, fingerprint, main, manifest, record,
                     records)

pristine = None


def copy():
    """A workspace with one dataset per format, three records in each."""
    global pristine
    if pristine is None:
        pristine = Workspace()
        atexit.register(shutil.rmtree, pristine.folder, True)
        pristine.add("nd", LEDGER)
        pristine.add("csv", APPEND, read="Csv", options="\n        header: true")
        pristine.add("js", APPEND, read="Json")
        pristine.add("pq", APPEND, read="Parquet", fields=[])
        good = [("event_time", "k", "v"), *((f"2024-01-01T00:00:0{k}Z", k, "x") for k in range(3))]
        pristine.run("ingest", "nd", "--stdin", data=records(range(3)))
        pristine.run("ingest", "csv", pristine.write("good.csv", "".join(f"{a},{b},{c}\n" for a, b, c in good)))
        pristine.run("ingest", "js", pristine.write("good.json", "[" + ",".join(record(k).strip() for k in range(3)) + "]"))
        parquet = os.path.join(pristine.folder, "good.parquet")
        pristine.run("sql", "-c", 'select event_time, k, v from "nd" order by "offset"', "--output-path", parquet)
        pristine.run("ingest", "pq", parquet)
        pristine.check_sound()
    ws = Workspace(init=False)
    shutil.copytree(pristine.folder, ws.folder, dirs_exist_ok=True)
    return ws


def refused(ws, *command, says=(), code=None, data=None, whole="datasets"):
    """The command fails, says these words, and leaves all datasets byte for byte."""
    before = fingerprint(os.path.join(ws.home, whole))
    done = ws.run(*command, code=code, data=data)
    assert done.code != 0, f"accepted: {command}: {done}"
    message = done.err.decode(errors="replace")
    for word in says:
        assert word in message, f"the message does not name {word!r}: {done}"
    assert "Error" in message, done
    assert fingerprint(os.path.join(ws.home, whole)) == before, f"the dataset has changed: {done}"
    assert not ws.leftovers(), ws.leftovers()
    return done


MANIFEST = manifest("fresh", LEDGER)
MANIFESTS = {
    "syntax": (MANIFEST.replace("metadata:", "metadata: ["), ["m.yaml"]),
    "tab for indentation": (MANIFEST.replace("  name: fresh", "\tname: fresh"), ["m.yaml", "4"]),
    "unknown field, near name": (MANIFEST.replace("primaryKey", "primryKey"), ["m.yaml", "primryKey", "primaryKey"]),
    "unknown kind": (MANIFEST.replace("kind: NdJson", "kind: NdJsn"), ["m.yaml", "NdJsn", "NdJson"]),
    "unknown strategy": (MANIFEST.replace("kind: Ledger", "kind: Leger"), ["m.yaml", "Leger", "Ledger"]),
    "unknown type": (MANIFEST.replace("Int64", "Int65"), ["m.yaml", "Int65"]),
    "wrong type": (MANIFEST.replace("[k]", "{a: b}"), ["m.yaml", "primaryKey"]),
    "missing field": (MANIFEST.replace("primaryKey: [k]", ""), ["m.yaml", "primaryKey"]),
    "empty key": (MANIFEST.replace("[k]", "[]"), ["primaryKey"]),
    "key column that is not there": (MANIFEST.replace("[k]", "[kk]"), ["kk"]),
    "other version": (MANIFEST.replace("version: 1", "version: 99"), ["m.yaml", "99"]),
    "bad name": (MANIFEST.replace("name: fresh", "name: 'a b/c/d'"), ["a b/c/d"]),
    "deep nesting, flow": ("[" * 100_000, ["m.yaml"]),
    "deep nesting, block": ("".join(" " * i + "a:\n" for i in range(3000)), ["m.yaml"]),
    "alias bomb": ("a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)), ["m.yaml"]),
    "alias to itself": ("a: &a [*a]\n", ["m.yaml"]),
    "binary": (bytes(range(256)) * 64, ["m.yaml"]),
    "zeros": (b"\0" * 5000, ["m.yaml"]),
    "not UTF-8": (MANIFEST.replace("fresh", "fr\u00e9sh").encode("latin-1"), ["m.yaml"]),
    "empty": ("", []),
    "a list": ("- a\n- b\n", ["m.yaml"]),
    "an event alone": ("kind: MetadataEvent\nversion: 1\ncontent: {kind: SetInfo, description: x}\n", ["m.yaml", "DatasetSnapshot"]),
    "unknown option value": (MANIFEST.replace("kind: NdJson", "kind: NdJson\n        encoding: nonsense"), ["nonsense"]),
    "unknown function": (MANIFEST.replace("      merge:", "      preprocess: {kind: Sql, engine: datafusion, query: "
                                          "'select nosuch(k) as k, event_time, v from input'}\n      merge:"), ["nosuch"]),
}


def manifests():
    for name, (text, says) in MANIFESTS.items():
        def case(text=text, says=says):
            with copy() as ws:
                if text == "":
                    before = fingerprint(os.path.join(ws.home, "datasets"))
                    ws.run("add", ws.write("m.yaml", text), code=None)
                    assert fingerprint(os.path.join(ws.home, "datasets")) == before
                else:
                    refused(ws, "add", ws.write("m.yaml", text), says=says, whole="")
        yield name, case
    yield "missing file", lambda: with_copy(lambda ws: refused(ws, "add", "gone.yaml", says=["gone.yaml"]))
    yield "a folder", lambda: with_copy(lambda ws: refused(ws, "add", ws.folder, says=[ws.folder], code=EXIT_USAGE))

    def clashing(ws):
        """Of two manifests with one name both are named."""
        text = "kind: DatasetSnapshot\nversion: 1\ncontent: {name: %s, kind: Root, metadata: []}\n"
        os.makedirs(os.path.join(ws.folder, "more"))
        for path, name in (("more/one.yaml", "twin"), ("more/two.yaml", "other"), ("more/three.yaml", "Twin")):
            ws.write(path, text % name)
        refused(ws, "add", "-r", "more", says=["'twin' is given twice", "one.yaml", "three.yaml", "nothing was added"])
        both = (text % "twin") + "---\n" + (text % "twin")
        refused(ws, "add", "--stdin", data=both.encode(), says=["'twin' is given twice in 'standard input'"])

    yield "two manifests with one name", lambda: with_copy(clashing)


def with_copy(call):
    with copy() as ws:
        call(ws)


def line(k, v="x"):
    return f"2024-01-01T00:00:05Z,{k},{v}\n"


HEADER = "event_time,k,v\n"
CSV = {
    "wrong type": (HEADER + line(1) + line("abc"), ["bad", "3", "k", "abc"]),
    "number out of range": (HEADER + line("99999999999999999999"), ["bad", "2", "k", "99999999999999999999"]),
    "bad time": (HEADER + "yesterday,1,x\n", ["bad", "2", "event_time", "yesterday"]),
    "missing column": ("event_time,v\n2024-01-01T00:00:00Z,x\n", ["bad", "k"]),
    "too few fields": (HEADER + line(1) + "2024-01-01T00:00:00Z,2\n", ["bad", "3"]),
    "too many fields": (HEADER + line(1) + line(2, "x,y"), ["bad", "3"]),
    "bad UTF-8": (HEADER.encode() + line(1).encode() + b"2024-01-01T00:00:00Z,2,\xff\xfe\n", ["bad", "3", "v"]),
    "unterminated quote": (HEADER + line(1) + line(2, '"never closed') + line(3), ["bad", "3", "quot"]),
    "missing value": (HEADER + line(""), ["bad", "2", "k"]),
    "binary": (os.urandom(20_000), ["bad"]),
    "a gzip header": (b"\x1f\x8b\x08\x00" + b"\0" * 100 + b"\nmore", ["bad"]),
    "zeros": (b"\0" * 4096 + b"\nmore", ["bad"]),
}
GOOD = record(7)
NDJSON = {
    "syntax": (GOOD + "{oops\n" + GOOD, ["bad", "2"]),
    "wrong type": (GOOD + record(1).replace("1,", '"abc",', 1).replace('"k": 1', '"k": "abc"'), ["bad", "2", "k", "abc"]),
    "number out of range": (record(2**70), ["bad", "1", "k", str(2**70)]),
    "missing field": (GOOD + '{"event_time":"2024-01-01T00:00:00Z","v":"x"}\n', ["bad", "2", "k"]),
    "null in the key": (record("null").replace('"null"', "null"), ["bad", "1", "k"]),
    "bad time": (GOOD.replace("2024-01-01", "2024-13-41"), ["bad", "1", "event_time", "2024-13-41"]),
    "not an object": (GOOD + "[1,2]\n", ["bad", "2"]),
    "cut off": (GOOD + GOOD[:20], ["bad", "2"]),
    "bad UTF-8": (GOOD.encode() + record(8, "X").encode().replace(b"X", b"\xff"), ["bad", "2"]),
    "deep nesting": (GOOD + '{"v":' + "[" * 200_000 + "\n", ["bad", "2"]),
    "binary": (os.urandom(20_000), ["bad"]),
}
JSON = {
    "cut off": ("[" + GOOD.strip() + ",", ["bad"]),
    "wrong type": ("[" + GOOD.strip() + ',{"event_time":"2024-01-01T00:00:00Z","k":"abc","v":"x"}]', ["bad", "2", "k", "abc"]),
    "missing field": ('[{"event_time":"2024-01-01T00:00:00Z","v":"x"}]', ["bad", "1", "k"]),
    "two documents": ("[" + GOOD.strip() + "][]", ["bad"]),
    "not a list of objects": ("[1,2,3]", ["bad", "1"]),
    "a number": ("7", ["bad"]),
    "deep nesting": ("[" * 200_000, ["bad"]),
    "binary": (os.urandom(20_000), ["bad"]),
}


def inputs():
    for dataset, cases in (("csv", CSV), ("nd", NDJSON), ("js", JSON)):
        for name, (content, says) in cases.items():
            def case(dataset=dataset, content=content, says=says):
                with copy() as ws:
                    path = ws.write("bad", content)
                    refused(ws, "ingest", dataset, path, says=says)
                    with open(path, "rb") as stream:
                        refused(ws, "ingest", dataset, "--stdin", says=[w for w in says if w != "bad"], data=stream.read())
                    ws.run("verify", dataset)
            yield f"{dataset}: {name}", case


def parquet_inputs():
    def altered(change):
        def case():
            with copy() as ws:
                with open(os.path.join(ws.folder, "good.parquet"), "rb") as file:
                    content = file.read()
                refused(ws, "ingest", "pq", ws.write("bad.parquet", change(content)), says=["bad.parquet"])
        return case

    yield "cut in half", altered(lambda c: c[:len(c) // 2])
    yield "last byte gone", altered(lambda c: c[:-1])
    yield "first half gone", altered(lambda c: c[len(c) // 2:])
    yield "footer length", altered(lambda c: c[:-8] + b"\xff\xff\xff\x7f" + c[-4:])
    yield "garbage", altered(lambda c: os.urandom(len(c)))
    yield "garbage between the magic words", altered(lambda c: c[:4] + os.urandom(len(c) - 12) + c[-8:])
    yield "a page", altered(lambda c: c[:4] + bytes([c[4] ^ 0xFF]) + c[5:])
    yield "text", altered(lambda c: b"event_time,k,v\n")

    def wrong(select, *says):
        def case():
            with copy() as ws:
                path = os.path.join(ws.folder, "bad.parquet")
                ws.run("sql", "-c", f"select {select}", "--output-path", path)
                refused(ws, "ingest", "pq", path, says=["bad.parquet", *says])
        return case

    yield "a column has another type", wrong("timestamp '2024-01-01' as event_time, 'abc' as k, 'x' as v", "k")


def flip(path, at=0.5):
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        file.seek(int(size * at))
        byte = file.read(1)
        file.seek(int(size * at))
        file.write(bytes([byte[0] ^ 0x40]))


def cut(path):
    os.truncate(path, os.path.getsize(path) // 2)


def damage():
    """A damaged dataset: verify finds and names it, and writers neither crash nor make it worse."""
    def stored(ws, folder, newest=True):
        base = os.path.join(ws.path("nd"), folder)
        head = ws.head("nd")
        return os.path.join(base, head if folder == "blocks" and newest else sorted(n for n in os.listdir(base) if n != head)[0])

    def case(folder, harm, keep_cache, newest=True):
        def run():
            with copy() as ws:
                path = stored(ws, folder, newest)
                harm(path)
                if not keep_cache:
                    shutil.rmtree(os.path.join(ws.home, "derived"))
                    shutil.rmtree(os.path.join(ws.home, "index"))
                done = refused(ws, "verify", "nd", code=EXIT_CORRUPT, says=[os.path.basename(path)[-8:]])
                assert done.code == EXIT_CORRUPT
                before = fingerprint(ws.path("nd")) if ws.run("system", "path", "nd", code=None).code == 0 else None
                for command in (["tail", "nd"], ["log", "nd"], ["list"], ["sql", "-c", 'select count(*) from "nd"'], ["head", "nd"],
                                ["inspect", "schema", "nd"], ["source", "list", "nd"]):
                    ws.run(*command, code=None)
                done = ws.run("ingest", "nd", "--stdin", data=records([1, 2]), code=None)
                # Nothing is built on a newest block that is lost or altered, whatever is remembered of it.
                if folder == "blocks" and (newest or not keep_cache):
                    assert done.code == EXIT_CORRUPT, done
                if not os.path.exists(path) and folder == "data":
                    refused(ws, "sql", "-c", 'select count(*) from "nd"', code=EXIT_CORRUPT, says=["is missing", "sluice verify"])
                assert before is None or done.code == 0 or fingerprint(ws.path("nd")) == before
                for other in ("csv", "js"):
                    ws.run("verify", other)
        return run

    for keep in (True, False):
        cache = "cached" if keep else "caches lost"
        yield f"block altered, {cache}", case("blocks", flip, keep)
        yield f"block cut, {cache}", case("blocks", cut, keep)
        yield f"block missing, {cache}", case("blocks", os.remove, keep)
        yield f"old block altered, {cache}", case("blocks", flip, keep, newest=False)
        yield f"old block missing, {cache}", case("blocks", os.remove, keep, newest=False)
        yield f"slice altered, {cache}", case("data", flip, keep)
        yield f"slice cut, {cache}", case("data", cut, keep)
        yield f"slice missing, {cache}", case("data", os.remove, keep)

    def old_rows_needed():
        with copy() as ws:
            path = stored(ws, "data")
            flip(path, 0.1)
            shutil.rmtree(os.path.join(ws.home, "index"))
            os.remove(path)
            refused(ws, "ingest", "nd", "--stdin", data=records([1, 2]), says=[os.path.basename(path)])

    yield "slice missing when the index is built", old_rows_needed

    def head(content):
        def run():
            with copy() as ws:
                path = os.path.join(ws.path("nd"), "refs", "head")
                with open(path, "wb") as file:
                    file.write(content)
                refused(ws, "verify", "nd", code=EXIT_CORRUPT)
                refused(ws, "ingest", "nd", "--stdin", data=records([9]), code=EXIT_CORRUPT)
                ws.run("verify", "csv")
        return run

    yield "head empty", head(b"")
    yield "head garbage", head(os.urandom(70))
    yield "head of another chain", head(b"f1620" + b"0" * 64)
    yield "head cut", head(b"f1620abcd")

    def newline():
        with copy() as ws:
            path = os.path.join(ws.path("nd"), "refs", "head")
            with open(path, "ab") as file:
                file.write(b"\n")
            if ws.run("verify", "nd", code=(0, EXIT_CORRUPT)).code == 0:  # then it must be taken by all
                ws.run("ingest", "nd", "--stdin", data=records([9]))
                assert len(ws.rows("nd")) == 4
            else:
                refused(ws, "ingest", "nd", "--stdin", data=records([9]), code=EXIT_CORRUPT)

    yield "head ends with a newline", newline

    for folder in ("blocks", "refs", "data", "info", "checkpoints"):
        def parts(folder=folder):
            with copy() as ws:
                path = ws.path("nd")
                shutil.rmtree(os.path.join(path, folder))
                code = ws.run("verify", "nd", code=None).code
                assert (code == 0) == (folder in ("checkpoints", "info")) or folder == "info", code
                ws.run("ingest", "nd", "--stdin", data=records([9]), code=None)
                ws.run("list")
                kept = os.listdir(path)
                ws.add("another", LEDGER)
                assert os.listdir(path) == kept, "a damaged dataset was taken for an unfinished one"
                ws.run("verify", "csv")
        yield f"folder {folder} missing", parts

    def part_is_a_file():
        with copy() as ws:
            path = os.path.join(ws.path("nd"), "data")
            shutil.rmtree(path)
            with open(path, "w", encoding="utf-8"):
                pass
            refused(ws, "verify", "nd")
            refused(ws, "ingest", "nd", "--stdin", data=records([9]), says=["data"])

    yield "a file in a folder's place", part_is_a_file


def without_override():
    """Root is refused by permissions like everybody else."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def odd_files():
    def read_only():
        with copy() as ws:
            for folder, _, names in os.walk(ws.home):
                os.chmod(folder, 0o555)
                for name in names:
                    os.chmod(os.path.join(folder, name), 0o444)
            try:
                before = fingerprint(ws.home)
                for command in (["ingest", "nd", "--stdin"], ["add", ws.write("m.yaml", MANIFEST)], ["delete", "nd", "--yes"],
                                ["reset", "nd", ws.head("nd"), "--yes"], ["system", "compact", "--hard", "nd", "--yes"],
                                ["rename", "nd", "other"]):
                    done = ws.run(*command, data=records([9]), code=None, preexec_fn=without_override)
                    assert done.code not in (0, 5) and b"ermission denied" in done.err, (command, done)
                for command in (["list"], ["tail", "nd"], ["verify"], ["log", "nd"], ["sql", "-c", 'select * from "nd"']):
                    ws.run(*command, preexec_fn=without_override)
                assert fingerprint(ws.home) == before
            finally:
                for folder, _, _ in os.walk(ws.home):
                    os.chmod(folder, 0o755)

    yield "read-only workspace", read_only

    def unreadable():
        with copy() as ws:
            path = ws.write("secret.json", GOOD)
            os.chmod(path, 0)
            done = ws.run("ingest", "nd", path, code=None, preexec_fn=without_override)
            assert done.code != 0 and b"secret.json" in done.err and b"ermission denied" in done.err, done

    yield "unreadable file", unreadable
    yield "missing file", lambda: with_copy(lambda ws: refused(ws, "ingest", "nd", "gone.json", says=["gone.json"], code=EXIT_USAGE))
    yield "a folder", lambda: with_copy(lambda ws: refused(ws, "ingest", "nd", ws.folder, says=[ws.folder], code=EXIT_USAGE))

    def nothing():
        with copy() as ws:
            before = fingerprint(os.path.join(ws.home, "datasets"))
            for dataset in ("nd", "csv"):
                ws.run("ingest", dataset, ws.write("empty", b""))
                ws.run("ingest", dataset, "/dev/null")
                ws.run("ingest", dataset, "--stdin", data=b"")
            for dataset in ("js", "pq"):
                ws.run("ingest", dataset, ws.write("empty", b""), code=None)
                ws.run("ingest", dataset, "/dev/null", code=None)
            assert fingerprint(os.path.join(ws.home, "datasets")) == before

    yield "empty files and /dev/null", nothing

    def feed(path, content):
        def write():
            with open(path, "wb") as file:
                file.write(content)
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        return thread

    def fifo():
        with copy() as ws:
            path = os.path.join(ws.folder, "pipe")
            os.mkfifo(path)
            feed(path, (GOOD + "{oops\n").encode())
            refused(ws, "ingest", "nd", path, says=["pipe", "2"])
            feed(path, b"")
            ws.run("ingest", "nd", path)
            feed(path, GOOD.encode())
            ws.run("ingest", "nd", path)
            assert len(ws.rows("nd")) == 4

    yield "FIFO", fifo

    def vanishing():
        with copy() as ws:
            pipe, gone = os.path.join(ws.folder, "pipe"), ws.write("gone.json", record(8))
            os.mkfifo(pipe)

            def write():
                with open(pipe, "wb") as file:
                    os.remove(gone)
                    file.write(GOOD.encode())

            thread = threading.Thread(target=write, daemon=True)
            thread.start()
            done = ws.run("ingest", "nd", pipe, gone, code=None)
            assert done.code != 0 and b"gone.json" in done.err and b"1 of 2" in done.err, done
            assert [r["k"] for r in ws.rows("nd")] == [0, 1, 2, 7]
            ws.run("verify", "nd")

    yield "a file that vanishes", vanishing

    def unknown():
        with copy() as ws:
            refused(ws, "ingest", "ndd", "--stdin", data=b"", says=["ndd", "'nd'"])
            refused(ws, "ingest", "nd", "--stdin", "--source-name", "defalt", data=b"", says=["defalt", "default"])
            refused(ws, "ingest", "nd", "--stdin", "--input-format", "xml", data=b"", says=["xml", "csv"])
            refused(ws, "reset", "nd", "f1620" + "0" * 64, "--yes")
            refused(ws, "reset", "nd", "nonsense", "--yes", says=["nonsense"])

    yield "names that are not there", unknown

    def outside():
        ws = Workspace(init=False)
        with ws:
            done = ws.run("list", code=None)
            assert done.code != 0 and b"not a sluice workspace" in done.err, done

    yield "no workspace", outside

    def skipping():
        """Good rows in, bad ones out with their reasons."""
        with copy() as ws:
            rejects = os.path.join(ws.folder, "rejects")
            path = ws.write("mixed", record(7) + "{oops\n" + record(8) + record("abc"))
            refused(ws, "ingest", "nd", path, code=EXIT_RECORDS)
            ws.run("ingest", "nd", path, "--on-error", "skip", "--rejects", rejects)
            assert [r["k"] for r in ws.rows("nd")] == [0, 1, 2, 7, 8]
            with open(rejects, encoding="utf-8") as file:
                kept = file.read()
            assert "oops" in kept and "abc" in kept, kept
            refused(ws, "ingest", "nd", path, "--on-error", "skip", "--rejects", "/nowhere/at/all", says=["/nowhere/at/all"])

    yield "bad records kept aside", skipping


if __name__ == "__main__":
    main([manifests, inputs, parquet_inputs, damage, odd_files])
