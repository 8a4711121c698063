#!/usr/bin/env python3
"""Pipelines through the real program: files, standard streams, spool, dead letters, signals, reload, messages."""
import glob
import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

import harness
import pipes
from harness import EXIT_BUSY, EXIT_FAILURE, Workspace, main, wait


def lines(numbers, tenant=""):
    return "".join(json.dumps({"uuid": f"u{n}", "data": f"text {n}", "data_id": str(n), "tenant_id": tenant}) + "\n" for n in numbers)


def folder():
    """A folder without a workspace: pipelines need none."""
    return Workspace(init=False, folder=tempfile.mkdtemp(prefix="sluice-pipe-"))


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def eventually(holds, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError(f"did not come true within {seconds} s")


def count(path):
    if not os.path.exists(path):
        return 0
    with open(path, "rb") as file:
        return file.read().count(b"\n")


FILE_TO_FILE = """
ingestors: [{type: file, path: in.ndjson}]
writer: {type: file, path: out.ndjson}
dead_letter: {type: file, path: dead.ndjson}
"""


def file_to_file():
    with folder() as ws:
        ws.write("p.yaml", FILE_TO_FILE)
        ws.write("in.ndjson", lines(range(25_000)))
        ws.run("run", "p.yaml")
        out = read(ws.folder + "/out.ndjson")
        assert [r["uuid"] for r in out] == [f"u{n}" for n in range(25_000)], len(out)
        assert out[7]["data"] == "text 7" and out[7]["updated_at"] == "0001-01-01T00:00:00Z"
        # The place is kept: a second run has nothing to do, and a longer file is read on.
        ws.run("run", "p.yaml")
        assert count(ws.folder + "/out.ndjson") == 25_000
        with open(ws.folder + "/in.ndjson", "a", encoding="utf-8") as file:
            file.write(lines([25_000])[:-1])  # without a line end
        ws.run("run", "p.yaml")
        assert [r["uuid"] for r in read(ws.folder + "/out.ndjson")][-1] == "u25000"


def stdin_to_stdout():
    with folder() as ws:
        ws.write("p.yaml", "ingestors: [{type: stdio}]\nwriter: {type: stdio}\n")
        done = ws.run("run", "p.yaml", data=b'{"data":"a","metadata":{"n":1.50},"stars":3}\n\n{"data":"b"}')
        out = [json.loads(line) for line in done.out.splitlines()]
        assert [r["data"] for r in out] == ["a", "b"], done
        assert b'"metadata":{"n":1.50}' in done.out and out[0]["stars"] == 3, done.out
        assert all(len(r["uuid"]) == 36 and r["uuid"][14] == "7" for r in out)
        done = ws.run("run", "p.yaml", data=b"")
        assert done.out == b""


def csv_lines():
    with folder() as ws:
        ws.write("p.yaml", "ingestors: [{type: stdio, format: csv, delimiter: ';'}]\nwriter: {type: stdio}\n")
        text = 'uuid;data;metadata;stars\r\n1;"a ""b""; c\nsecond line";{"x":[1]};5\r\n2;plain;no json;\n3;too;many;fields;here\n'
        done = ws.run("run", "p.yaml", data=text.encode())
        out = [json.loads(line) for line in done.out.splitlines()]
        assert [r["data"] for r in out] == ['a "b"; c\nsecond line', "plain"], done
        assert out[0]["metadata"] == {"x": [1]} and out[1]["metadata"] == "no json" and out[0]["stars"] == "5"
        assert b"5 fields, the header 4" in done.err, done
        # Two columns of one name would lose one of them.
        done = ws.run("run", "p.yaml", data=b"data;data\na;b\n", code=None)
        assert done.code != 0 and b"'data' twice" in done.err and done.out == b"", done
        for wrong, why in (("format: csv, columns: [data, data]", b"'data' is there twice"), ("columns: [data]", b"only CSV has columns")):
            ws.write("w.yaml", "ingestors: [{type: stdio, " + wrong + "}]\nwriter: {type: stdio}\n")
            done = ws.run("pipeline", "check", "w.yaml", code=None)
            assert done.code != 0 and why in done.err, done
        ws.write("w.yaml", "ingestors: [{type: stdio}]\nprocessors: [{type: language, languages: [de, german]}]\nwriter: {type: stdio}\n")
        done = ws.run("pipeline", "check", "w.yaml", code=None)
        assert done.code != 0 and b"'german'" in done.err, done


def malformed_records_become_dead_letters_and_can_be_replayed():
    with folder() as ws:
        ws.write("p.yaml", FILE_TO_FILE)
        bad = ["{", '{"data": 5}', '{"created_at": "soon"}', "\xff\xfe", '["x"]', '{"metadata": {"a": nul}}']
        content = lines(range(3)).encode()
        for one in bad:
            content += one.encode("latin-1") + b"\n" + lines([100 + bad.index(one)]).encode()
        ws.write("in.ndjson", content)
        done = ws.run("run", "p.yaml")
        assert count(ws.folder + "/out.ndjson") == 3 + len(bad), done
        dead = read(ws.folder + "/dead.ndjson")
        assert len(dead) == len(bad), dead
        assert all(d["dead_letter"]["pipeline"] == "p" and d["dead_letter"]["raw"] and d["dead_letter"]["reason"] and
                   d["dead_letter"]["time"].endswith("Z") for d in dead), dead
        assert dead[1]["data"] == '{"data": 5}' and "expected a string, got '5'" in dead[1]["dead_letter"]["reason"]
        # As they are they are rejected again; mended they go through.
        done = ws.run("pipeline", "replay", "p.yaml", "dead.ndjson")
        assert b"6 record(s) sent again, 6 rejected again" in done.err, done
        dead[1]["data"] = '{"uuid":"mended","data":"5","stars":[1, 2]}'
        ws.write("mended.ndjson", json.dumps(dead[1]) + "\n")
        ws.run("pipeline", "replay", "p.yaml", "mended.ndjson")
        last = read(ws.folder + "/out.ndjson")[-1]
        assert last["uuid"] == "mended" and last["stars"] == [1, 2] and "dead_letter" not in last, last


def rejected_records_are_kept_without_a_word_about_it():
    with folder() as ws:
        ws.write("p.yaml", "ingestors: [{type: stdio}]\nwriter: {type: stdio}\n")
        kept = ws.folder + "/.sluice-run/p/dead-letters.ndjson"
        done = ws.run("run", "p.yaml", data=b'{"data":"a"}\n')
        assert not os.path.exists(kept)
        done = ws.run("run", "p.yaml", data=b'{"data":"a"}\n{"data": 5}\n')
        assert b"1 record(s) rejected, kept in '" + kept.encode() + b"'; the first: " in done.err, done
        assert [d["data"] for d in read(kept)] == ['{"data": 5}']
        ws.write("p.yaml", "name: q\ningestors: [{type: stdio}]\nwriter: {type: stdio}\ndead_letter: none\n")
        done = ws.run("run", "p.yaml", data=b'{"data": 5}\n')
        assert b"gone" in done.err and not os.path.exists(ws.folder + "/.sluice-run/q"), done
        assert b"dead_letter is none" in ws.run("pipeline", "check", "p.yaml").err


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(422)
        self.end_headers()

    def log_message(self, *args):
        pass


def passwords_in_urls_are_told_to_nobody():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with folder() as ws:
            url = f"http://kim:hush-hush@127.0.0.1:{server.server_address[1]}/in"
            ws.write("p.yaml", f"ingestors: [{{type: stdio}}]\nwriter: {{type: http, url: '{url}'}}\ndead_letter: {{type: file, path: dead.ndjson}}\n")
            told = [ws.run("pipeline", "graph", "p.yaml").out, ws.run("pipeline", "graph", "p.yaml", "--svg").out]
            done = ws.run("run", "p.yaml", data=b'{"data":"a"}\n', code=None)
            told += [done.out, done.err]
            with open(ws.folder + "/dead.ndjson", "rb") as file:
                told.append(file.read())
            assert b"422" in told[-1], told
            ws.write("q.yaml", f"ingestors: [{{type: stdio}}]\nwriter: {{type: http, url: '{url} x'}}\n")
            done = ws.run("pipeline", "check", "q.yaml", code=None)
            assert done.code != 0 and b"127.0.0.1" in done.err, done
            told.append(done.err)
            assert not any(b"hush-hush" in text for text in told), told
            assert b"***" in told[0] and b"***" in told[-1], told
    finally:
        server.shutdown()


def a_wrong_expression_is_named():
    with folder() as ws:
        for step in ("{type: redact, custom: {ticket: '['}}", "{type: drop, when: {field: data, matches: '(a'}}"):
            ws.write("p.yaml", "ingestors: [{type: stdio}]\nprocessors:\n  - " + step + "\nwriter: {type: stdio}\n")
            done = ws.run("pipeline", "check", "p.yaml", code=None)
            assert done.code != 0 and b"p.yaml:3" in done.err and b"missing" in done.err, done


def replay_takes_the_label_off():
    with folder() as ws:
        ws.write("p.yaml", "ingestors: [{type: stdio}]\nwriter: {type: file, path: out.ndjson}\n")
        ws.write("d.ndjson", '{"uuid":"a","dead_letter":{"reason":"x"},"other":{"k":1}}\n{"uuid":"b","dead_letter":{"reason":"y"}}\n'
                 '{"uuid":"c","data":"d","dead_letter":{"reason":"z"},"dead_letter":{"raw":true}}\n')
        ws.run("pipeline", "replay", "p.yaml", "d.ndjson")
        out = read(ws.folder + "/out.ndjson")
        assert [r["uuid"] for r in out] == ["a", "b", "c"]
        assert out[0]["other"] == {"k": 1} and all("dead_letter" not in r for r in out[:2]), out
        assert out[2]["dead_letter"] == {"raw": True} and out[2]["data"] == "d", "a field of the record's own stays"
        ws.write("p.yaml", "ingestors: [{type: stdio}]\nwriter: {type: file, path: out.ndjson}\ndead_letter: {type: file, path: d, format: pretty}\n")
        done = ws.run("pipeline", "check", "p.yaml", code=None)
        assert done.code != 0 and b"one a line" in done.err, done


def a_followed_file_and_sigterm():
    with folder() as ws:
        ws.write("p.yaml", "ingestors: [{type: file, path: in.ndjson, follow: true, poll: 20ms}]\nwriter: {type: file, path: out.ndjson}\n")
        process = ws.start("run", "p.yaml")
        try:
            time.sleep(0.3)  # the file comes later
            path, out = ws.write("in.ndjson", lines(range(10))), ws.folder + "/out.ndjson"
            eventually(lambda: count(out) == 10)
            with open(path, "a", encoding="utf-8") as file:
                whole = lines([10])
                file.write(whole[:12])
                file.flush()
                time.sleep(0.2)
                assert count(out) == 10
                file.write(whole[12:] + lines([11]))
            eventually(lambda: count(out) == 12)
            os.rename(path, path + ".1")  # rotated
            ws.write("in.ndjson", lines(range(12, 15)))
            eventually(lambda: count(out) == 15)
            process.send_signal(signal.SIGTERM)
            done = wait(process)
            assert done.code == 0, done
        finally:
            process.kill()
        ws.write("in.ndjson", lines(range(12, 15)) + lines([15]))  # another file: read from its beginning
        assert [r["uuid"] for r in read(out)] == [f"u{n}" for n in range(15)]


def a_followed_file_that_is_written_anew():
    """Cut and filled up again between two looks, to the length that was read or beyond it."""
    with folder() as ws:
        ws.write("p.yaml", "name: p\nstate: var\ningestors: [{type: file, path: in.ndjson, follow: true, poll: 100ms}]\nwriter: {type: file, path: out.ndjson}\ndead_letter: {type: file, path: dead.ndjson}\n")
        path, out = ws.write("in.ndjson", lines(range(10, 13))), ws.folder + "/out.ndjson"
        process = ws.start("run", "p.yaml")
        try:
            eventually(lambda: count(out) == 3)
            ws.write("in.ndjson", lines(range(20, 26)))
            eventually(lambda: count(out) == 9)
            ws.write("in.ndjson", lines(range(30, 36)))  # of the same length
            eventually(lambda: count(out) == 15)
            with open(path, "a", encoding="utf-8") as file:
                file.write(lines([36]))
            eventually(lambda: count(out) == 16)
            process.send_signal(signal.SIGTERM)
            assert wait(process).code == 0
            process = ws.start("run", "p.yaml")
            with open(path, "a", encoding="utf-8") as file:
                file.write(lines([37]))
            eventually(lambda: count(out) == 17)
        finally:
            process.kill()
            wait(process)
        want = [*range(10, 13), *range(20, 26), *range(30, 38)]
        assert [r["uuid"] for r in read(out)] == [f"u{n}" for n in want], read(out)
        assert count(ws.folder + "/dead.ndjson") == 0


def records_behind_a_line_that_is_too_large():
    for name, line in (("too large", "x" * 20_000_000), ("blank", " " * 3_000_000)):
        def case(line=line):
            with folder() as ws:
                ws.write("p.yaml", "ingestors: [{type: file, path: in.ndjson, follow: true, poll: 20ms}]\nwriter: {type: file, path: out.ndjson}\ndead_letter: {type: file, path: dead.ndjson}\n")
                ws.write("in.ndjson", lines([1]) + line + "\n" + lines([2]))
                process = ws.start("run", "p.yaml")
                try:
                    eventually(lambda: count(ws.folder + "/out.ndjson") == 2)
                finally:
                    process.kill()
                    wait(process)
        yield name, case


def one_stop_that_is_told_twice():
    """A wrapper such as timeout(1) signals its child and then the group that the child is in."""
    with folder() as ws:
        ws.write("p.yaml", "ingestors: [{type: generate, rate: 1000}]\nwriter: {type: file, path: out.ndjson}\n")
        process = ws.start("run", "p.yaml")
        try:
            eventually(lambda: count(ws.folder + "/out.ndjson") > 0)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            done = wait(process)
        finally:
            process.kill()
        assert done.code == 0, done


def what_waits_for_its_age_is_written_at_a_stop():
    for name, more in (("straight", ""), ("spool", "spool: {path: spool}\n")):
        def case(more=more):
            with folder() as ws:
                ws.write("p.yaml", "ingestors: [{type: file, path: in.ndjson, follow: true, poll: 20ms}]\nwriter: {type: file, path: out.ndjson}\n"
                                   "batch: {max_age: 60s}\nshutdown: 30s\n" + more)
                ws.write("in.ndjson", lines([1, 2]))
                process = ws.start("run", "p.yaml")
                try:
                    time.sleep(0.5)
                    assert count(ws.folder + "/out.ndjson") == 0
                    process.send_signal(signal.SIGTERM)
                    done = wait(process)
                finally:
                    process.kill()
                assert done.code == 0 and done.seconds < 15, done
                assert count(ws.folder + "/out.ndjson") == 2, done
        yield name, case


def kill_with_a_spool():
    """What was acknowledged into the spool gets to the writer, whatever is killed when."""
    with folder() as ws:
        ws.write("p.yaml", """
ingestors: [{type: file, path: in.ndjson}]
spool: {path: spool}
batch: {max_records: 50}
writer: {type: file, path: out.ndjson}
""")
        ws.write("in.ndjson", lines(range(40_000)))
        for delay in (0.03, 0.06, 0.1, 0.2, 0.4, 0.7):
            process = ws.start("run", "p.yaml")
            time.sleep(delay)
            process.kill()
            process.wait()
        ws.run("run", "p.yaml")
        seen = {}
        for record in read(ws.folder + "/out.ndjson"):
            seen[record["uuid"]] = seen.get(record["uuid"], 0) + 1
        assert len(seen) == 40_000, len(seen)


def a_torn_spool():
    """What a crash leaves behind the last record was never acknowledged; what stands before it is delivered."""
    with folder() as ws:
        ws.write("p.yaml", """
ingestors: [{type: file, path: in.ndjson}]
spool: {path: spool}
shutdown: 200ms
writer: {type: file, path: out.ndjson}
""")
        ws.write("in.ndjson", lines(range(100)))
        process = ws.start("run", "p.yaml")
        eventually(lambda: glob.glob(ws.folder + "/spool/log/*") and count(ws.folder + "/out.ndjson") == 100)
        process.kill()
        process.wait()
        segments = sorted(glob.glob(ws.folder + "/spool/log/*"))
        with open(segments[-1], "rb") as file:
            data = file.read()
        end = len(data.rstrip(b"\0"))
        with open(segments[-1], "r+b") as file:
            file.seek(end + 8)
            file.write(b"torn" * 10)
        ws.run("run", "p.yaml")
        assert {r["uuid"] for r in read(ws.folder + "/out.ndjson")} == {f"u{n}" for n in range(100)}
        with open(ws.folder + "/spool/place", "w", encoding="utf-8") as file:
            file.write("nonsense")
        done = ws.run("run", "p.yaml", code=EXIT_FAILURE)
        assert b"nonsense" in done.err, done


def reload_loses_nothing():
    with folder() as ws:
        def text(mark):
            return f"""
name: p
ingestors: [{{type: generate, rate: 2000, count: 0, batch: 10}}]
writer: {{type: file, path: out{mark}.ndjson}}
"""
        path = ws.write("p.yaml", text(1))
        log = open(ws.folder + "/log", "wb")
        process = ws.start("run", "p.yaml", stderr=log, stdout=subprocess.DEVNULL)
        try:
            eventually(lambda: count(ws.folder + "/out1.ndjson") > 100)
            ws.write("p.yaml", text(2))  # noticed by itself
            eventually(lambda: count(ws.folder + "/out2.ndjson") > 100)
            ws.write("p.yaml", "ingestors: nonsense\n")
            eventually(lambda: b"not reloaded, it goes on as it was" in open(ws.folder + "/log", "rb").read())
            before = count(ws.folder + "/out2.ndjson")
            eventually(lambda: count(ws.folder + "/out2.ndjson") > before)
            ws.write("p.yaml.new", text(3))
            os.rename(path + ".new", path)
            process.send_signal(signal.SIGHUP)
            eventually(lambda: count(ws.folder + "/out3.ndjson") > 100)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            log.close()
        # Each generation is written without a gap, up to where it was replaced.
        for mark in (1, 2, 3):
            numbers = [int(r["data_id"]) for r in read(f"{ws.folder}/out{mark}.ndjson")]
            assert numbers == list(range(len(numbers))), (mark, len(numbers))
        total = sum(count(f"{ws.folder}/out{mark}.ndjson") for mark in (1, 2, 3))
        with open(ws.folder + "/log", encoding="utf-8") as said:
            assert f"p: {total} records taken, {total} written" in said.read(), "of the whole run"


def a_reload_leaves_no_record_in_the_spool():
    """A text without the spool, while the spool holds what was acknowledged, is not taken."""
    with folder() as ws, pipes.Repository() as repository:
        port, nobody = pipes.free_ports(2)

        def text(url, spool):
            return (f"name: p\ningestors: [{{type: http, listen: '127.0.0.1:{port}', path: /ingest}}]\n"
                    f"writer: {{type: http, url: '{url}'}}\nretry: {{initial: 50ms, max: 200ms}}\nshutdown: 500ms\n{spool}\n")
        ws.write("p.yaml", text(f"http://127.0.0.1:{nobody}/ingest", "spool: {path: spool}"))
        log = open(ws.folder + "/log", "wb")
        process = ws.start("run", "p.yaml", stderr=log, stdout=subprocess.DEVNULL)

        def said(what):
            return what in open(ws.folder + "/log", "rb").read()
        try:
            eventually(lambda: said(b"running"))
            assert pipes.post(port, b'{"uuid":"u1","data":"x"}').status == 200
            ws.write("p.yaml", text(f"http://127.0.0.1:{repository.port}/ingest", ""))
            eventually(lambda: said(b"acknowledged records wait in the spool"))
            eventually(lambda: said(b"goes on as it was"))
            ws.write("p.yaml", text(f"http://127.0.0.1:{repository.port}/ingest", "spool: {path: spool}"))
            eventually(lambda: list(repository.records) == ["u1"])
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            log.close()


def a_broken_input_ends_the_run():
    """Standard input that cannot be read: it is said, and the run does not go on for ever."""
    with folder() as ws:
        ws.write("p.yaml", "ingestors: [{type: stdio}]\nwriter: {type: stdio}\n")
        unreadable = os.open(ws.folder, os.O_RDONLY)
        try:
            done = ws.run("run", "p.yaml", stdin=unreadable, code=EXIT_BUSY, timeout=20)
        finally:
            os.close(unreadable)
        assert b"standard input: cannot be read" in done.err, done


def metrics_and_health():
    with folder() as ws:
        ws.write("p.yaml", "name: p\ningestors: [{type: generate, rate: 100, tenants: 2}]\nwriter: {type: file, path: out.ndjson}\n")
        process = ws.start("run", "p.yaml", "--metrics", "127.0.0.1:0")
        try:
            line = process.stderr.readline().decode()
            url = line.split()[2].rsplit("/", 1)[0]
            eventually(lambda: count(ws.folder + "/out.ndjson") > 20)
            text = urllib.request.urlopen(url + "/metrics", timeout=10).read().decode()
            assert 'sluice_pipeline_tenant_records_total{pipeline="p",tenant="tenant-1"}' in text, text
            ready = json.load(urllib.request.urlopen(url + "/readyz", timeout=10))
            assert ready == {"ready": True, "pipelines": [{"name": "p", "ready": True}]}, ready
            assert urllib.request.urlopen(url + "/healthz", timeout=10).status == 200
            process.send_signal(signal.SIGINT)
            assert wait(process).code == 0
        finally:
            process.kill()


def a_file_that_was_moved_away_is_made_again():
    with folder() as ws:
        ws.write("p.yaml", "name: p\ningestors: [{type: generate, rate: 500}]\nwriter: {type: file, path: out.ndjson}\n")
        process = ws.start("run", "p.yaml")
        out, old = ws.folder + "/out.ndjson", ws.folder + "/old.ndjson"
        try:
            eventually(lambda: count(out) > 50)
            os.rename(out, old)
            eventually(lambda: os.path.exists(out) and count(out) > 50)
            process.send_signal(signal.SIGTERM)
            assert wait(process).code == 0
        finally:
            process.kill()
        numbers = [int(r["data_id"]) for r in read(old) + read(out)]
        assert numbers == list(range(len(numbers)))


def two_that_read_one_file_are_refused():
    with folder() as ws:
        ws.write("in.ndjson", lines(range(3)))
        one = "{type: file, path: in.ndjson, follow: false}"
        ws.write("p.yaml", f"ingestors: [{one}, {one}]\nwriter: {{type: file, path: out.ndjson}}\n")
        done = ws.run("run", "p.yaml", code=None)
        assert done.code != 0 and b"overwrite each other's position" in done.err, done


def csv_records_can_be_replayed_when_mended():
    with folder() as ws:
        ws.write("in.csv", "uuid,data,created_at\na,first,2024-01-01T00:00:00Z\nb,second,soon\n")
        ws.write("p.yaml", "ingestors: [{type: file, path: in.csv, follow: false, format: csv}]\nwriter: {type: file, path: out.ndjson}\n"
                 "dead_letter: {type: file, path: dead.ndjson}\n")
        ws.run("run", "p.yaml")
        dead = read(ws.folder + "/dead.ndjson")
        assert json.loads(dead[0]["data"]) == {"uuid": "b", "data": "second", "created_at": "soon"}, dead
        dead[0]["data"] = dead[0]["data"].replace("soon", "2024-01-02T00:00:00Z")
        ws.write("mended.ndjson", json.dumps(dead[0]) + "\n")
        ws.run("pipeline", "replay", "p.yaml", "mended.ndjson")
        assert [r["uuid"] for r in read(ws.folder + "/out.ndjson")] == ["a", "b"]


def sql_makes_no_second_field_of_a_name():
    with folder() as ws:
        ws.write("p.yaml", "ingestors: [{type: stdio}]\nprocessors: [{type: sql, query: \"select uuid, data, json_object(data, 1) as extra from input\"}]\n"
                 "writer: {type: file, path: out.ndjson}\ndead_letter: {type: file, path: dead.ndjson}\n")
        ws.run("run", "p.yaml", data=b'{"uuid":"a","data":"stars"}\n{"uuid":"b","data":"tenant_id"}\n')
        assert [r["uuid"] for r in read(ws.folder + "/out.ndjson")] == ["a"]
        dead = read(ws.folder + "/dead.ndjson")
        assert "'tenant_id'" in dead[0]["dead_letter"]["reason"], dead


def a_processor_that_fails_is_given_time():
    with folder() as ws:
        ws.write("p.yaml", "ingestors: [{type: stdio}]\nprocessors: [{type: exec, command: ['false'], mode: per_batch}]\n"
                 "retry: {attempts: 1}\nwriter: {type: file, path: out.ndjson}\nshutdown: 100ms\n")
        process = ws.start("run", "p.yaml", stdin=subprocess.PIPE)
        process.stdin.write(lines(range(3)).encode())
        process.stdin.close()
        process.stdin = None
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        said = wait(process).err
        assert said.count(b"\n") < 60, said[-2000:]


def a_full_disk_is_waited_for():
    """The writer's file may not grow: nothing is acknowledged, nothing lost, memory stays."""
    with folder() as ws:
        ws.write("p.yaml", """
ingestors: [{type: generate, rate: 0, count: 0, data_bytes: 1000}]
queue: {max_bytes: 8MiB}
writer: {type: file, path: out.ndjson}
retry: {initial: 20ms, max: 50ms}
shutdown: 300ms
""")
        import resource

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        process = ws.start("run", "p.yaml", preexec_fn=limit)
        try:
            time.sleep(1.0)

            def memory():
                with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
                    return int(next(line for line in file if line.startswith("VmRSS")).split()[1])
            first = memory()
            time.sleep(2.0)
            assert memory() < first + 20_000, (first, memory())
            process.send_signal(signal.SIGTERM)
            done = wait(process)
            assert done.code == 0, done
            assert b"trying again" in done.err, done
        finally:
            process.kill()
        read(ws.folder + "/out.ndjson")  # whole lines only


def fan_out_with_a_best_effort_branch():
    with folder() as ws:
        ws.write("p.yaml", """
ingestors: [{type: file, path: in.ndjson}]
writer:
  type: fan_out
  writers:
    - {type: file, path: a.ndjson}
    - {type: file, path: b.ndjson, policy: required}
    - type: file
      path: big.ndjson
      policy: best_effort
      attempts: 1
      dead_letter: {type: file, path: lost.ndjson}
""")
        ws.write("in.ndjson", lines(range(1000)))
        ws.run("run", "p.yaml")
        for name in ("a", "b", "big"):
            assert [r["uuid"] for r in read(f"{ws.folder}/{name}.ndjson")] == [f"u{n}" for n in range(1000)], name
        assert read(ws.folder + "/lost.ndjson") == []
        ws.write("p.yaml", "ingestors: [{type: file, path: in.ndjson}]\nwriter: {type: fan_out, writers: [{type: stdio}, {type: fan_out, writers: [{type: file, path: in.a}, {type: file, path: in.b}]}]}\n")
        for how in ([], ["--svg"]):
            drawn = ws.run("pipeline", "graph", "p.yaml", *how).out.decode()
            assert "file in.a" in drawn and "file in.b" in drawn and "fan_out" not in drawn, drawn


def a_node_hosts_pipelines():
    with Workspace() as ws:
        os.mkdir(ws.folder + "/pipes")
        ws.write("pipes/p.yaml", "name: hosted\ningestors: [{type: generate, rate: 500}]\nwriter: {type: file, path: out.ndjson}\n")
        process = ws.start("serve", "--listen", "127.0.0.1:0", "--pipelines", "pipes")
        try:
            url = ""
            while "Serving workspace" not in url:
                url = process.stderr.readline().decode()
                assert url, "ended early"
            url = url.split()[-1]
            out = ws.folder + "/pipes/out.ndjson"
            eventually(lambda: count(out) > 50)
            text = urllib.request.urlopen(url + "/metrics", timeout=10).read().decode()
            assert 'sluice_pipeline_ready{pipeline="hosted"} 1' in text and "sluice_ready 1" in text, text
            process.send_signal(signal.SIGTERM)
            assert wait(process).code == 0
        finally:
            process.kill()
        numbers = [int(r["data_id"]) for r in read(out)]
        assert numbers == list(range(len(numbers)))


BAD = [
    ("ingestors: [{type: fil, path: x}]\nwriter: {type: stdio}", "p.yaml:1: there is no ingestor of type 'fil'; did you mean 'file'?"),
    ("ingestors: [{type: file}]\nwriter: {type: stdio}", "p.yaml:1: ingestor 'file' needs the option 'path'"),
    ("ingestors:\n  - type: file\n    path: x\n    folow: true\nwriter: {type: stdio}", "p.yaml:4: ingestor 'file' has no option 'folow'; did you mean 'follow'"),
    ("ingestors:\n  - {type: generate, rate: fast}\nwriter: {type: stdio}", "p.yaml:2: option 'rate': 'fast' is no number"),
    ("ingestors: [{type: stdio}]\nwriter: {type: file, path: x, sync: perhaps}", "p.yaml:2: option 'sync': 'perhaps' is neither true nor false"),
    ("ingestors: [{type: stdio}]\nwriter: {type: stdio, format: xml}", "p.yaml:2: option 'format': 'xml' is not one of: ndjson, pretty"),
    ("ingestors: [{type: stdio}]", "a 'writer' is missing"),
    ("ingestors: [{type: stdio}]\nwriter: {type: http, url: 'http://x', headers: {content-length: '5'}}", "p.yaml:2: option 'headers': 'Content-Length' is set with each request"),
    ("ingestors: [{type: stdio}]\nwriter: {type: http, url: 'http://x', headers: {Content-Type: a/b}}", "p.yaml:2: option 'headers': 'Content-Type' is that of records"),
    ("ingestors: [{type: stdio}]\nwriter: {type: http, url: 'http://x', headers: {'X Y': a}}", "p.yaml:2: option 'headers': 'X Y' is no header field"),
    ("ingestors: [{type: rest, url: 'http://x', record: {data: {from: a}}, headers: {'X:': a}}]\nwriter: {type: stdio}", "p.yaml:1: option 'headers': 'X:' is no header field"),
    ("writer: {type: stdio}", "'ingestors' needs a list of at least one"),
    ("ingestors: [{type: stdio}]\nwriter: {type: stdio}\nretri: 3", "p.yaml:3: unknown key 'retri'; did you mean 'retry'"),
    ("ingestors: [{type: stdio}]\nwriter: {type: stdio}\nretry: {max: 30}", "option 'max': '30' is no duration, such as"),
    ("ingestors: [{type: stdio}]\nwriter: {type: stdio}\ntenants: {known: []}", "p.yaml:3: option 'known' is empty: leave it out"),
    ("ingestors: [{type: stdio}]\nwriter: {type: stdio}\ntenants: {records_per_second: -1}", "-1 is less than 0"),
    ("ingestors: [{type: http, listen: '127.0.0.1:1', tokens: {a: same, b: same}}]\nwriter: {type: stdio}", "the token of 'b' is another one's too"),
    ("ingestors: [{type: http, listen: '127.0.0.1:1', path: '/a?b=c'}]\nwriter: {type: stdio}", "a path without query and blanks"),
    ("ingestors: [{type: stdio}]\nwriter: {type: stdio}\nspool: {max_size: 1GiB}", "'spool' needs the option 'path'"),
    ("ingestors: [{type: stdio}]\nwriter: {type: stdio}\nname: a/b", "'a/b' is no name of a pipeline"),
    ("ingestors: [{type: stdio}]\nwriter: {type: file, path: '${{ env.SLUICE_NOT_SET }}'}", "p.yaml:2: Missing values for variable(s)"),
    ("ingestors: [{type: stdio}]\nwriter: {type: file, path: '${{ record.tenant_id }}'}", "option 'path' cannot depend on the record"),
    ("ingestors: [{type: stdio}]\nwriter: {type: file, path: ${{ env.HOME }", "p.yaml:2: a template does not end on its line"),
    ("ingestors: [{type: stdio}]\nwriter: {type: stdio, type: stdio}", "p.yaml:2: key 'type' is given twice"),
    ("ingestors: [{type: stdio\nwriter: x", "p.yaml:"),
    ("ingestors: [{type: file, path: missing.ndjson}]\nwriter: {type: stdio}", "there is no file"),
    ("ingestors: [{type: stdio}]\nwriter: {type: fan_out, writers: []}", "at least one writer is needed"),
    ("ingestors: [{type: stdio}]\nwriter: {type: fan_out, writers: [{type: stdio, policy: maybe}]}", "'maybe' is not one of: required, best_effort"),
]


def a_pipeline_does_not_read_what_it_writes():
    """Nor its own dead letters: that would end when the disk is full."""
    with folder() as ws:
        ws.write("in.ndjson", lines(range(3)))
        os.symlink("in.ndjson", ws.folder + "/link.ndjson")
        for writer, more in (("{type: file, path: in.ndjson}", ""), ("{type: file, path: ./x/../link.ndjson}", ""),
                             ("{type: fan_out, writers: [{type: stdio}, {type: file, path: in.ndjson}]}", ""),
                             ("{type: stdio}", "dead_letter: {type: file, path: in.ndjson}")):
            ws.write("p.yaml", f"ingestors: [{{type: file, path: in.ndjson}}]\nwriter: {writer}\n{more}\n")
            done = ws.run("pipeline", "check", "p.yaml", code=EXIT_FAILURE)
            assert b"p.yaml:" in done.err and b"option 'path'" in done.err and b"is what the pipeline reads" in done.err, done
        for more in ("state: ''", "spool: {path: ''}"):
            ws.write("p.yaml", f"ingestors: [{{type: stdio}}]\nwriter: {{type: stdio}}\n{more}\n")
            assert b"folder" in ws.run("pipeline", "check", "p.yaml", code=EXIT_FAILURE).err


def bad_files_are_explained():
    for text, message in BAD:
        def case(text=text, message=message):
            with folder() as ws:
                ws.write("p.yaml", text)
                done = ws.run("run", "p.yaml", code=EXIT_FAILURE, data=b"")
                assert message in done.err.decode(), (message, done)
        yield message, case


def drafts_run():
    with folder() as ws:
        for to in ("stdio", "file", "fan_out"):
            ws.run("new", "pipeline", f"demo-{to}", "--from", "generate", "--to", to)
            ws.run("pipeline", "check", f"demo-{to}.yaml")
            ws.run("run", f"demo-{to}.yaml")
            drawn = ws.run("pipeline", "graph", f"demo-{to}.yaml").out.decode()
            assert "generate" in drawn and to.replace("fan_out", "stdio") in drawn, drawn
            svg = ws.run("pipeline", "graph", f"demo-{to}.yaml", "--svg").out.decode()
            assert svg.startswith("<svg") and svg.rstrip().endswith("</svg>")
        assert ws.run("new", "pipeline", "demo-file", "--from", "generate", "--to", "file", code=EXIT_FAILURE)


def connectors_are_listed_and_shown():
    with folder() as ws:
        listed = ws.run("connectors", "list").out.decode()
        assert "ingestor" in listed and "fan_out" in listed
        shown = ws.run("connectors", "show", "file").out.decode()
        assert "path (text, required)" in shown and "at least once" in shown, shown
        done = ws.run("connectors", "show", "fil", code=EXIT_FAILURE)
        assert b"did you mean 'file'" in done.err, done


if __name__ == "__main__":
    assert shutil and harness
    main([file_to_file, stdin_to_stdout, csv_lines, malformed_records_become_dead_letters_and_can_be_replayed,
          rejected_records_are_kept_without_a_word_about_it, passwords_in_urls_are_told_to_nobody, a_wrong_expression_is_named, replay_takes_the_label_off,
          a_followed_file_and_sigterm, a_followed_file_that_is_written_anew, records_behind_a_line_that_is_too_large, one_stop_that_is_told_twice,
          what_waits_for_its_age_is_written_at_a_stop, kill_with_a_spool, a_torn_spool, reload_loses_nothing, a_reload_leaves_no_record_in_the_spool,
          a_broken_input_ends_the_run, metrics_and_health, a_file_that_was_moved_away_is_made_again, two_that_read_one_file_are_refused,
          csv_records_can_be_replayed_when_mended, sql_makes_no_second_field_of_a_name, a_processor_that_fails_is_given_time, a_full_disk_is_waited_for, fan_out_with_a_best_effort_branch, a_node_hosts_pipelines, a_pipeline_does_not_read_what_it_writes, bad_files_are_explained,
          drafts_run,
          connectors_are_listed_and_shown])
