#!/usr/bin/env python3
"""How a pipeline ends: nobody reads its output any more, its input is over, it is stopped while records wait."""
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import harness
from harness import EXIT_FAILURE, Workspace, main, wait
from pipes import Handler, Listener, free_ports, manifest

UNREAD = b"writer 'stdio': nobody reads standard output any more"


class Slow(Listener):
    """An ingestor that takes its time."""

    def __init__(self):
        self.taken, self.pause, self.status = 0, 0.05, 200
        slow = self

        class Taking(Handler):
            def do_POST(self):  # noqa: N802
                slow.taken += self.body().count(b'"data"')
                time.sleep(slow.pause)
                self.answer(slow.status)

            do_GET = do_HEAD = do_OPTIONS = do_POST

        super().__init__(Taking)


def folder():
    """A folder without a workspace: pipelines need none."""
    return Workspace(init=False, folder=tempfile.mkdtemp(prefix="sluice-pipe-"))


def lines(numbers):
    return "".join(json.dumps({"uuid": f"u{n}", "data": f"text {n}"}) + "\n" for n in numbers)


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def eventually(holds, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError(f"did not come true within {seconds} s")


def nobody_reads_the_output():
    """As in `sluice run p.yaml | head -1`: nobody can mend that."""
    for name, text in (("straight", "ingestors: [{type: generate}]\nwriter: {type: stdio}\n"),
                       ("one of several writers", "ingestors: [{type: generate}]\nwriter: {type: fan_out, writers: [{type: file, path: all}, {type: stdio}]}\n"),
                       ("spool", "ingestors: [{type: generate, rate: 1000}]\nwriter: {type: stdio}\nspool: {path: spool}\n"),
                       ("slow input", "ingestors: [{type: generate, rate: 50}]\nwriter: {type: stdio}\nretry: {initial: 20s}\n"),
                       ("dead letters", "ingestors: [{type: generate, rate: 50, tenants: 2}]\ntenants: {known: [tenant-1]}\n"
                                        "writer: {type: file, path: all}\ndead_letter: {type: stdio}\n")):
        def case(text=text):
            with folder() as ws:
                ws.write("p.yaml", text)
                process = ws.start("run", "p.yaml")
                try:
                    assert process.stdout.readline()
                    process.stdout.close()
                    process.stdout = None
                    done = wait(process, timeout=20)
                finally:
                    process.kill()
                assert done.code == EXIT_FAILURE and done.seconds < 8, done
                said = [line for line in done.err.splitlines() if b"trying" not in line]
                assert said[-1].startswith(b"Error: pipeline 'p': ") and said[-1].endswith(b"nobody reads standard output any more"), done
                assert b"p: " in said[-2] and b" records taken, " in said[-2], done
                assert done.err.count(b"nobody reads") == 1, done
        yield name, case


def what_nobody_read_comes_again():
    """A file's place does not pass records that were not written."""
    with folder() as ws:
        ws.write("p.yaml", "ingestors: [{type: file, path: in.ndjson}]\nwriter: {type: stdio}\nbatch: {max_records: 100}\n")
        ws.write("in.ndjson", lines(range(20_000)))
        process = ws.start("run", "p.yaml")
        try:
            assert process.stdout.readline()
            process.stdout.close()
            process.stdout = None
            done = wait(process, timeout=20)
        finally:
            process.kill()
        assert done.code == EXIT_FAILURE and UNREAD in done.err, done
        out = [json.loads(line)["uuid"] for line in ws.run("run", "p.yaml").out.splitlines()]
        assert out[-1] == "u19999" and len(out) > 19_000 and len(out) == len(set(out)), (len(out), out[:2])


def a_node_goes_on_without_that_pipeline():
    with Workspace() as ws:
        os.mkdir(ws.folder + "/pipes")
        ws.write("pipes/a.yaml", "ingestors: [{type: generate, rate: 500}]\nwriter: {type: stdio}\n")
        ws.write("pipes/b.yaml", "ingestors: [{type: generate, rate: 500}]\nwriter: {type: file, path: out.ndjson}\n")
        process = ws.start("serve", "--listen", "127.0.0.1:0", "--pipelines", "pipes")
        try:
            url = ""
            while "Serving workspace" not in url:
                url = process.stderr.readline().decode()
                assert url, "ended early"
            url = url.split()[-1]
            assert process.stdout.readline()
            process.stdout.close()
            process.stdout = None
            line = b""
            while b"a: stopped, a reload starts it again" not in line:
                line = process.stderr.readline()
                assert line, "it ended"
            assert UNREAD in line, line
            before = len(read(ws.folder + "/pipes/out.ndjson"))
            eventually(lambda: len(read(ws.folder + "/pipes/out.ndjson")) > before + 500)
            try:
                urllib.request.urlopen(url + "/readyz", timeout=10)
                raise AssertionError("it is ready")
            except urllib.error.HTTPError as error:
                assert error.code == 503 and UNREAD in error.read(), error
            # Another text is another chance.
            ws.write("pipes/a.yaml", "ingestors: [{type: generate, rate: 500}]\nwriter: {type: file, path: a.ndjson}\n")
            eventually(lambda: len(read(ws.folder + "/pipes/a.ndjson")) > 0)
            assert urllib.request.urlopen(url + "/readyz", timeout=10).status == 200
            process.send_signal(signal.SIGTERM)
            assert wait(process).code == 0
        finally:
            process.kill()


def an_input_that_is_over_waits_for_nothing():
    for name, more in (("straight", ""), ("spool", "spool: {path: spool}\n"), ("two inputs", "")):
        for kind in ("file", "stdin"):
            def case(name=name, kind=kind, more=more):
                with folder() as ws:
                    one = "{type: file, path: in.ndjson}" if kind == "file" else "{type: stdio}"
                    two = ", {type: generate, count: 3, batch: 1}" if name == "two inputs" else ""
                    ws.write("p.yaml", f"ingestors: [{one}{two}]\nwriter: {{type: file, path: out.ndjson}}\nbatch: {{max_age: 60s}}\n{more}")
                    ws.write("in.ndjson", lines([1, 2]))
                    done = ws.run("run", "p.yaml", data=lines([1, 2]).encode() if kind == "stdin" else None)
                    assert done.seconds < 20 and len(read(ws.folder + "/out.ndjson")) == (5 if two else 2), done
            yield f"{name}, {kind}", case


def totals(done):
    """The numbers of the closing line, by what they count."""
    line = [line for line in done.err.decode().splitlines() if " records taken" in line][-1]
    parts = [part.split(" ", 1) for part in line.split(": ", 1)[1].split(", ")]
    return {what: int(number) for number, what in parts}


def adds_up(found):
    into = found["records taken"] + found.get("found in the spool", 0)
    return into == sum(found.values()) - into


def the_closing_line_adds_up():
    for name, text, wanted in (
            ("straight", "processors: [{type: match, rules: [{when: {field: data, equals: 'text 1'}, set: {lang: xx}}]}, {type: drop, when: {field: lang, equals: xx}}, "
                         "{type: dedupe, fields: [data]}]\n",
             {"records taken": 12, "written": 7, "there before": 2, "dropped": 1, "rejected": 2, "not acknowledged": 0}),
            ("spool", "spool: {path: spool}\n", {"records taken": 12, "written": 10, "rejected": 2, "not acknowledged": 0})):
        def case(text=text, wanted=wanted):
            with folder() as ws:
                ws.write("p.yaml", "name: p\ningestors: [{type: file, path: in.ndjson}]\nwriter: {type: file, path: out.ndjson}\n" + text)
                more = lines([5, 6]).replace('"u', '"v')
                ws.write("in.ndjson", lines(range(8)) + "no record\n" + more + '{"data": 1}\n')
                found = totals(ws.run("run", "p.yaml"))
                assert found == wanted and adds_up(found), found
        yield name, case


def the_closing_line_adds_up_when_a_stop_cuts_things_off():
    for name, more in (("straight", ""), ("spool", "spool: {path: spool}\n"), ("file", "")):
        def case(name=name, more=more):
            with folder() as ws, Slow() as slow:
                ingestor = "{type: generate, rate: 0, batch: 10}" if name != "file" else "{type: file, path: in.ndjson}"
                ws.write("in.ndjson", lines(range(3000)))
                text = "name: p\ningestors: [%s]\nwriter: {type: http, url: '%s', batch: 5}\nshutdown: 500ms\nqueue: {max_records: 2000}\nbatch: {max_records: 20}\n%s"
                ws.write("p.yaml", text % (ingestor, slow.url, more))
                process = ws.start("run", "p.yaml")
                try:
                    eventually(lambda: slow.taken > 20)
                    process.send_signal(signal.SIGTERM)
                    done = wait(process)
                finally:
                    process.kill()
                found = totals(done)
                assert adds_up(found) and found["written"] > 0, done
                assert found["left in the spool" if more else "not acknowledged"] > 100, done
                if more:  # goes on there
                    ws.write("p.yaml", text % (ingestor.replace("rate: 0, batch: 10", "count: 4"), slow.url, more))
                    slow.pause = 0
                    again = totals(ws.run("run", "p.yaml"))
                    assert adds_up(again) and again["found in the spool"] >= found["left in the spool"], (found, again)
        yield name, case


def records_that_are_offered_again_count_once():
    with folder() as ws, Slow() as away:
        away.status = 503
        ws.write("p.yaml", "name: p\ningestors: [{type: stdio}]\nwriter: {type: http, url: '%s'}\nretry: {attempts: 1}\ncircuit: {failures: 1000}\n" % away.url)
        process = ws.start("run", "p.yaml", stdin=subprocess.PIPE)
        try:
            process.stdin.write(lines(range(3)).encode())
            process.stdin.close()
            process.stdin = None
            eventually(lambda: away.taken > 6)
            away.status = 200
            done = wait(process)
        finally:
            process.kill()
        assert totals(done) == {"records taken": 3, "written": 3, "rejected": 0, "not acknowledged": 0}, done
        # The URL once is enough.
        assert done.err.count(away.url.encode()) == done.err.count(b"trying again"), done


def what_a_best_effort_writer_loses_is_counted():
    for name, more, stage in (("lost", "", "sluice_pipeline_lost_total"),
                              ("kept", ", dead_letter: {type: file, path: lost.ndjson}", "sluice_pipeline_rejected_total")):
        def case(more=more, stage=stage):
            with folder() as ws, Slow() as away:
                away.status = 500
                ws.write("p.yaml", "name: p\ningestors: [{type: file, path: in.ndjson, follow: true}]\nwriter: {type: fan_out, writers: [{type: file, path: out.ndjson}, "
                                   "{type: http, url: '%s', policy: best_effort, attempts: 1%s}]}\n" % (away.url, more))
                ws.write("in.ndjson", lines(range(7)))
                process = ws.start("run", "p.yaml", "--metrics", "127.0.0.1:0")
                try:
                    url = process.stderr.readline().decode().split()[2].rsplit("/", 1)[0]

                    def metrics():
                        return urllib.request.urlopen(url + "/metrics", timeout=10).read().decode()
                    eventually(lambda: f'{stage}{{pipeline="p",stage="branch",connector="1_http"}} 7' in metrics())
                    text = metrics()
                    assert 'sluice_pipeline_records_total{pipeline="p",stage="branch",connector="0_file"} 7' in text, text
                    process.send_signal(signal.SIGTERM)
                    assert wait(process).code == 0
                finally:
                    process.kill()
        yield name, case


class Silent:
    """A server that takes connections and says nothing."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]
        return self

    def __exit__(self, *_):
        self.socket.close()


def a_reload_counts_no_record_in_the_spool_twice():
    with folder() as ws, Slow() as away:
        away.status = 503
        text = ("name: p\ningestors: [{type: file, path: in.ndjson, follow: true}]\nwriter: {type: http, url: '%s'}\nspool: {path: spool}\n"
                "retry: {initial: 50ms, max: 200ms}\nshutdown: 300ms\n" % away.url)
        ws.write("p.yaml", text)
        ws.write("in.ndjson", lines(range(10)))
        with open(ws.folder + "/log", "wb") as log:
            process = ws.start("run", "p.yaml", stdout=log, stderr=log)

        def said():
            with open(ws.folder + "/log", "rb") as log:
                return log.read()
        try:
            eventually(lambda: away.taken > 0)
            for reloads in (1, 2):
                ws.write("p.yaml", text + "#" * reloads)
                eventually(lambda reloads=reloads: said().count(b"p: reloaded") == reloads)
            before = away.taken
            eventually(lambda: away.taken > before)
            away.status = 200
            before = -1
            while away.taken != before:  # until nothing comes any more
                before = away.taken
                time.sleep(1.5)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
        line = [line for line in said().decode().splitlines() if " records taken" in line][-1]
        assert line == "p: 10 records taken, 10 written, 0 rejected, 0 not acknowledged", line


def a_node_starts_without_a_pipeline_that_cannot():
    """Its server does not answer yet: the node and the other pipelines run, and it does once that one is there."""
    here, there = free_ports(2)
    with Workspace() as ws, Workspace() as other:
        os.mkdir(ws.folder + "/pipes")
        ws.write("pipes/in.ndjson", lines(range(3)))
        ws.write("pipes/a.yaml", "ingestors: [{type: file, path: in.ndjson}]\nwriter: {type: odf, dataset: feedback, node: 'http://127.0.0.1:%d'}\n" % there)
        ws.write("pipes/b.yaml", "ingestors: [{type: generate, rate: 500}]\nwriter: {type: file, path: out.ndjson}\n")
        other.run("add", other.write("feedback.yaml", manifest("uuid STRING", "data STRING", "created_at TIMESTAMP") % "feedback"))
        process, second = ws.start("serve", "--listen", f"127.0.0.1:{here}", "--pipelines", "pipes"), None
        try:
            eventually(lambda: len(read(ws.folder + "/pipes/out.ndjson")) > 50)

            def ready():
                try:
                    return urllib.request.urlopen(f"http://127.0.0.1:{here}/readyz", timeout=10).status, b""
                except urllib.error.HTTPError as error:
                    return error.code, error.read()
            status, said = ready()
            assert status == 503 and b"'a'" in said, (status, said)
            second = other.start("serve", "--listen", f"127.0.0.1:{there}")
            eventually(lambda: len(other.rows("feedback")) == 3)
            eventually(lambda: ready()[0] == 200)
            process.send_signal(signal.SIGTERM)
            done = wait(process)
            assert done.code == 0 and b"a: not started, trying on" in done.err and b"a: running" in done.err, done
        finally:
            for one in (process, second):
                if one:
                    one.kill()


def a_stop_is_heeded_while_it_starts():
    """Whoever it asks at the start and however long that one takes; at a reload too."""
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"}
    with folder() as here, Silent() as silent:
        here.write("in.ndjson", lines(range(3)))
        database = silent.url.replace("http", "postgres").replace("//", "//a:b@") + "/c"
        files, output = "{type: file, path: in.ndjson, follow: true}", "{type: file, path: out.ndjson}"
        for number, (ingestor, writer) in enumerate([
                (files, "{type: odf, dataset: d, node: '%s'}" % silent.url),
                (files, "{type: postgres, uri: '%s', table: t}" % database),
                (files, "{type: sqs, queue_url: '%s/q'}" % silent.url),
                ("{type: sqs, queue_url: '%s/q'}" % silent.url, output),
                ("{type: rest, url: '%s/x'}" % silent.url, output),
                ("{type: generate, rate: 500}, {type: rest, url: '%s/x'}" % silent.url, output)]):
            for is_reload in (False, True):
                name = f"p{number}{is_reload}"
                text = "name: %s\ningestors: [%s]\nwriter: %s\n"
                here.write("p.yaml", text % (name, *((files, output) if is_reload else (ingestor, writer))))
                running = here.start("run", "p.yaml", env={**os.environ, **keys})
                if is_reload:
                    eventually(lambda: len(read(os.path.join(here.folder, "out.ndjson"))) >= 3)
                    here.write("p.yaml", text % (name, ingestor, writer))
                    time.sleep(1)
                time.sleep(1)
                assert running.poll() is None, (ingestor, writer, running.communicate())
                begin = time.monotonic()
                running.send_signal(signal.SIGTERM)
                done = wait(running)
                assert done.code == 0 and time.monotonic() - begin < 3, (is_reload, ingestor, writer, done)


if __name__ == "__main__":
    assert harness
    main([nobody_reads_the_output, what_nobody_read_comes_again, a_node_goes_on_without_that_pipeline, an_input_that_is_over_waits_for_nothing,
          the_closing_line_adds_up, the_closing_line_adds_up_when_a_stop_cuts_things_off, records_that_are_offered_again_count_once,
          what_a_best_effort_writer_loses_is_counted, a_reload_counts_no_record_in_the_spool_twice,
          a_node_starts_without_a_pipeline_that_cannot, a_stop_is_heeded_while_it_starts])
