#!/usr/bin/env python3
"""Polling sources through the real program: files, a small HTTP server that can break in every way, resumption after kills."""
import gzip
import http.server
import io
import json
import os
import signal
import tarfile
import threading
import time
import zipfile
from email.utils import formatdate

from harness import EXIT_BUSY, EXIT_INTERRUPTED, Workspace, fingerprint, main

CSV = "id,name\n1,a\n2,b\n"
FIELDS = "[{name: id, type: Int64}, {name: name, type: {kind: Option, inner: String}}]"


class Page:
    """What a server has at a path, and how it misbehaves."""

    def __init__(self, body=CSV, etag=None, modified=None, status=200, cut=None, cuts=0, location=None, ranges=True,
                 media="text/csv", encoding=None, delay=0, headers=None, swap=None, part_encoding=None, heeds=True):
        self.body = body.encode() if isinstance(body, str) else body
        self.etag, self.modified, self.status, self.location = etag, modified, status, location
        self.cut, self.cuts = cut, cuts  # the first `cuts` answers end after `cut` bytes
        self.ranges, self.media, self.encoding, self.delay = ranges, media, encoding, delay
        self.headers = headers or {}
        self.heeds = heeds  # what was asked with a condition
        self.part_encoding = part_encoding  # what a 206 says of the encoding instead; "" = nothing
        self.swap = swap  # the page that is there after the first answer


class Server:
    """An HTTP server of one thread per connection on a free port of the loopback."""

    def __init__(self, **pages):
        self.pages = {"/" + name.replace("__", "."): page for name, page in pages.items()}
        self.requests = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def url(self, path="/data.csv"):
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, h):
        self.requests.append((h.path, dict(h.headers)))
        path = h.path.split("?")[0]
        page = self.pages.get(path)
        if page is None:
            return self.send(h, 404, {}, b"nothing here\n")
        if page.swap is not None:
            self.pages[path] = page.swap
        if page.delay:
            time.sleep(page.delay)
        headers = {"Content-Type": page.media, **page.headers}
        if page.etag:
            headers["ETag"] = page.etag
        if page.modified:
            headers["Last-Modified"] = formatdate(page.modified, usegmt=True)
        if page.encoding:
            headers["Content-Encoding"] = page.encoding
        if page.location:
            return self.send(h, 302, {"Location": page.location}, b"")
        if page.status != 200:
            return self.send(h, page.status, headers, page.body)
        asked = h.headers
        if page.heeds and page.etag and asked.get("If-None-Match") == page.etag:
            return self.send(h, 304, headers, b"")
        if page.heeds and page.modified and not page.etag and asked.get("If-Modified-Since") == formatdate(page.modified, usegmt=True):
            return self.send(h, 304, headers, b"")
        body, status = page.body, 200
        wanted = asked.get("Range")
        if wanted and page.ranges and asked.get("If-Range") in (None, page.etag, headers.get("Last-Modified")):
            start = int(wanted.split("=")[1].split("-")[0])
            if start >= len(body):
                return self.send(h, 416, {"Content-Range": f"bytes */{len(body)}"}, b"")
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            body, status = body[start:], 206
            if page.part_encoding is not None:
                headers["Content-Encoding"] = page.part_encoding
            if page.part_encoding == "":
                del headers["Content-Encoding"]
        if page.cuts > 0:
            page.cuts -= 1
            return self.send(h, status, headers, body, cut=page.cut)
        return self.send(h, status, headers, body)

    @staticmethod
    def send(h, status, headers, body, cut=None):
        h.send_response(status)
        for name, value in headers.items():
            h.send_header(name, value)
        if status != 304:
            h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        try:
            h.wfile.write(body if cut is None else body[:cut])
            if cut is not None:
                h.wfile.flush()
                h.close_connection = True
                h.connection.close()
        except OSError:
            pass


def manifest(name, fetch, *, merge="{kind: Snapshot, primaryKey: [id]}", read=None, prepare="", preprocess=""):
    read = read or "{kind: Csv, header: true, schema: {fields: " + FIELDS + "}}"
    return (f"kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: {name}\n  kind: Root\n  metadata:\n"
            f"    - kind: SetPollingSource\n      fetch: {fetch}\n      read: {read}\n      merge: {merge}\n"
            + (f"      prepare: {prepare}\n" if prepare else "") + (f"      preprocess: {preprocess}\n" if preprocess else ""))


def url_step(url, more=""):
    return "{kind: Url, url: " + json.dumps(url) + (", " + more if more else "") + "}"


def add(ws, name, fetch, **options):
    return ws.run("add", ws.write(name + ".yaml", manifest(name, fetch, **options)))


def pull(ws, *args, **options):
    return ws.run("pull", *args, **options)


def outcome(ws, *args):
    """The machine-readable outcome of one dataset."""
    return json.loads(ws.run("pull", "-o", "json", *args, code=None).out)[0]


def polling_state(ws, dataset):
    source = json.loads(ws.run("source", "list", dataset, "-o", "json").out)[0]
    return f"{source['StateKind']}={source['State']}"


def names(ws, dataset="d"):
    """The live rows, by id."""
    live = {}
    for row in ws.rows(dataset):
        if row["op"] == 1:
            live.pop(row["id"], None)
        elif row["op"] != 2:
            live[row["id"]] = row["name"]
    return live


def fails(ws, *words, command=("pull", "d"), code=None):
    """The command fails, says these words, and leaves all datasets as they were; `pull` then works again when the cause is gone."""
    before = fingerprint(os.path.join(ws.home, "datasets"))
    done = ws.run(*command, code=code)
    assert done.code != 0, f"accepted: {done}"
    message = done.err.decode(errors="replace")
    for word in words:
        assert word in message, f"the message does not say {word!r}: {done}"
    assert "/cache/fetch/" not in message, f"the message names a place that the user does not know: {done}"
    assert fingerprint(os.path.join(ws.home, "datasets")) == before, f"the dataset has changed: {done}"
    assert not ws.leftovers(), ws.leftovers()
    return done


def files():
    def life():
        with Workspace() as ws:
            path = os.path.join(ws.folder, "data.csv")
            add(ws, "d", url_step("file://" + path))
            fails(ws, "data.csv", "Failed to pull d")
            ws.write("data.csv", CSV)
            assert b"1 dataset(s) updated" in pull(ws, "d").err
            assert polling_state(ws, "d").startswith("odf/last-modified=")
            assert b"1 dataset(s) up-to-date" in pull(ws, "d").err
            blocks = ws.run("log", "d").out.count(b"Block #")
            os.utime(path, (1_000_000_000, 1_000_000_000))
            assert outcome(ws, "d")["status"] == "updated"  # a block with only the new state
            assert ws.run("log", "d").out.count(b"Block #") == blocks + 1
            assert polling_state(ws, "d") == "odf/last-modified=2001-09-09T01:46:40Z"
            ws.write("data.csv", CSV + "3,c\n")
            assert outcome(ws, "d")["records"]["added"] == 1
            assert names(ws) == {1: "a", 2: "b", 3: "c"}
            ws.check_sound("d")

    yield "a file: missing, there, unchanged, touched, changed", life

    def templates():
        with Workspace() as ws:
            ws.write("data.csv", CSV)
            add(ws, "d", url_step("file://${{ env.data_dir || env.workspace_dir }}/${{ env.data_file || 'data.csv' }}"))
            fails(ws, "Missing values for variable(s): 'env.data_dir || env.workspace_dir'")
            ws.run("pull", "d", env={**os.environ, "workspace_dir": ws.folder})
            assert names(ws) == {1: "a", 2: "b"}
            # A variable that holds a template is not looked into again.
            done = ws.run("pull", "d", code=1, env={**os.environ, "data_dir": "/x${{ env.data_dir }}"})
            assert b"there is no file" in done.err, done

    yield "templates in a URL", templates

    def without_source():
        with Workspace() as ws:
            ws.run("add", ws.write("e.yaml", "kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: e\n  kind: Root\n  metadata: []\n"))
            assert b"up-to-date" in pull(ws, "e").err

    yield "a dataset without a source is up to date", without_source

    def unknown_name():
        with Workspace() as ws:
            ws.write("data.csv", CSV)
            add(ws, "d", url_step("file://" + os.path.join(ws.folder, "data.csv")))
            done = ws.run("pull", "nowhere", "d", "-o", "json", code=1)
            assert b"Failed to pull nowhere: Dataset not found: nowhere" in done.err, done
            assert [(o["dataset"], o["status"]) for o in json.loads(done.out)] == [("d", "updated"), ("nowhere", "failed")], done
            fails(ws, "Dataset not found: nowhere", command=("pull", "nowhere", "--set-watermark", "2099-01-01T00:00:00Z"))

    yield "a name that is not there stops no other", unknown_name

    def empty():
        with Workspace() as ws:
            ws.write("data.csv", "")
            add(ws, "d", url_step("file://" + os.path.join(ws.folder, "data.csv")), merge="{kind: Append}", read="{kind: Csv}")
            assert outcome(ws, "d")["status"] == "updated"
            log = ws.run("log", "d").out.decode()
            assert "NewSourceState" in log and "NewWatermark" not in log and "SetDataSchema" not in log, log

    yield "an empty file without a schema leaves a state alone", empty

    def data_url():
        with Workspace() as ws:
            add(ws, "d", url_step("data:text/csv,id%2Cname%0A1%2Ca%0A"))
            assert outcome(ws, "d")["records"]["added"] == 1
            assert outcome(ws, "d")["status"] == "up-to-date"

    yield "a data URL", data_url

    def watermark():
        with Workspace() as ws:
            ws.write("data.csv", CSV)
            add(ws, "d", url_step("file://" + os.path.join(ws.folder, "data.csv")))
            pull(ws, "d")
            state = polling_state(ws, "d")
            assert b"Committed new block" in pull(ws, "d", "--set-watermark", "2099-01-01T00:00:00Z").err
            assert b"Watermark was up-to-date" in pull(ws, "d", "--set-watermark", "2099-01-01T00:00:00Z").err
            fails(ws, "before the present", command=("pull", "d", "--set-watermark", "2020-01-01T00:00:00Z"))
            assert polling_state(ws, "d") == state
            assert outcome(ws, "d")["status"] == "up-to-date"

    yield "setting the watermark keeps the state", watermark

    def several():
        with Workspace() as ws:
            for i in range(6):
                ws.write(f"d{i}.csv", CSV)
                add(ws, f"x.d{i}", url_step("file://" + os.path.join(ws.folder, f"d{i}.csv")))
            os.remove(os.path.join(ws.folder, "d3.csv"))
            done = ws.run("pull", "x.%", "--jobs", 3, code=1)
            for words in (b"5 dataset(s) updated", b"Failed to update 1 dataset(s)", b"Failed to pull x.d3"):
                assert words in done.err, done
            ws.check_sound("x.d0", "x.d5")

    yield "several datasets at once, one of which fails", several


def web():
    def unheeded():
        """A server that answers with the same validator and all of the content doubles nothing."""
        big = CSV + "".join(f"{n},x\n" for n in range(10, 200_000))
        for page, same in ((Page(etag='"v1"', heeds=False), None), (Page(etag='"v1"'), Page(etag='W/"v1"', heeds=False)),
                           (Page(modified=1_600_000_000, heeds=False), None), (Page(big, etag='"v1"', heeds=False), None)):
            with Server(data__csv=page) as server, Workspace() as ws:
                add(ws, "d", url_step(server.url()), merge="{kind: Append}")
                assert outcome(ws, "d")["status"] == "updated"
                rows = ws.run("sql", "-o", "csv", "-c", "select count(*) from d").out
                if same:
                    server.pages["/data.csv"] = same
                for _ in range(2):
                    assert outcome(ws, "d")["status"] == "up-to-date"
                assert ws.run("sql", "-o", "csv", "-c", "select count(*) from d").out == rows
                server.pages["/data.csv"] = Page(CSV, etag='"v2"', heeds=False)
                assert outcome(ws, "d")["status"] == "updated"

    yield "a server that does not heed conditions", unheeded

    def anew():
        """A source that is asked otherwise from now on, and has nothing new: no block repeats the last one's state."""
        with Server(data__csv=Page(etag='"v1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()), merge="{kind: Ledger, primaryKey: [id]}")
            assert outcome(ws, "d")["status"] == "updated"
            ws.write("anew.yaml", "kind: MetadataEvent\nversion: 1\ncontent:\n  kind: SetPollingSource\n"
                     f"  fetch: {url_step(server.url(), 'headers: [{name: A, value: b}]')}\n"
                     f"  read: {{kind: Csv, header: true, schema: {{fields: {FIELDS}}}}}\n  merge: {{kind: Ledger, primaryKey: [id]}}\n")
            ws.run("commit", "d", "anew.yaml")
            assert outcome(ws, "d")["status"] == "up-to-date"
            ws.run("verify", "d")
            server.pages["/data.csv"] = Page(CSV + "3,c\n", etag='"v2"')
            assert outcome(ws, "d")["records"]["added"] == 1 and polling_state(ws, "d") == 'odf/etag="v2"'
            ws.run("verify", "d")

    yield "a source that is asked otherwise", anew

    def etag():
        with Server(data__csv=Page(etag='"v1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            assert outcome(ws, "d")["status"] == "updated"
            assert polling_state(ws, "d") == 'odf/etag="v1"'
            server.requests.clear()
            assert outcome(ws, "d")["status"] == "up-to-date"
            assert len(server.requests) == 1 and server.requests[0][1]["If-None-Match"] == '"v1"', server.requests
            server.pages["/data.csv"] = Page(CSV + "3,c\n", etag='"v2"')
            assert outcome(ws, "d")["records"]["added"] == 1
            del server.pages["/data.csv"]
            fails(ws, "404", "nothing here", code=1)
            assert names(ws) == {1: "a", 2: "b", 3: "c"}
            server.pages["/data.csv"] = Page("broken\n", status=500)
            fails(ws, "500", "broken", code=EXIT_BUSY)
            server.stop()
            fails(ws, "connect", code=EXIT_BUSY)
            ws.check_sound("d")

    yield "ETag: new, unchanged with one request, changed, gone, broken, closed", etag

    def modified():
        with Server(data__csv=Page(modified=1_000_000_000)) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            pull(ws, "d")
            assert polling_state(ws, "d") == "odf/last-modified=2001-09-09T01:46:40Z"
            assert ws.rows("d")[0]["event_time"].startswith("2001-09-09T01:46:40"), ws.rows("d")
            assert outcome(ws, "d")["status"] == "up-to-date"
            assert server.requests[-1][1]["If-Modified-Since"] == "Sun, 09 Sep 2001 01:46:40 GMT"
            server.pages["/data.csv"] = Page(CSV + "3,c\n", etag='"e"', modified=1_100_000_000)
            pull(ws, "d")  # with an ETag, too, the event time is that of the last change
            assert ws.rows("d")[-1]["event_time"].startswith("2004-11-09T11:33:20"), ws.rows("d")

    yield "Last-Modified is state and event time", modified

    def nothing():
        with Server(data__csv=Page()) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()), merge="{kind: Append}")
            pull(ws, "d")
            requests = len(server.requests)
            assert outcome(ws, "d")["uncacheable"] is True and len(server.requests) == requests
            assert b"--fetch-uncacheable" in pull(ws, "d").err
            assert outcome(ws, "d", "--fetch-uncacheable")["status"] == "up-to-date"  # the same content adds nothing, even to Append
            server.pages["/data.csv"] = Page("id,name\n3,c\n")
            assert outcome(ws, "d", "--fetch-uncacheable")["records"]["added"] == 1
            assert len(ws.rows("d")) == 3

    yield "no validators: uncacheable, unless it is asked for", nothing

    def redirects():
        with Server(data__csv=Page(location="/there.csv"), there__csv=Page(etag='"1"'), loop=Page(location="/loop")) as server, \
                Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            pull(ws, "d")
            add(ws, "l", url_step(server.url("/loop")))
            fails(ws, "redirect", command=("pull", "l"))

    yield "redirects, and an endless one", redirects

    def headers():
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url("/data.csv?key=${{ env.API_KEY }}"),
                                  "headers: [{name: X-Key, value: \"k ${{ env.API_KEY }}\"}]"))
            fails(ws, "Missing values for variable(s): 'env.API_KEY'")
            env = {**os.environ, "API_KEY": "geheim-4711"}
            ws.run("pull", "d", env=env)
            assert server.requests[-1][0] == "/data.csv?key=geheim-4711"
            assert server.requests[-1][1]["X-Key"] == "k geheim-4711"
            server.pages["/data.csv"] = Page("no such key: geheim-4711\n", status=403)
            done = ws.run("pull", "d", code=None, env=env)
            assert b"geheim" not in done.err + done.out and b"env.API_KEY" in done.err, done
            for folder, _, found in os.walk(ws.home):
                for name in found:
                    with open(os.path.join(folder, name), "rb") as file:
                        assert b"geheim" not in file.read(), f"{folder}/{name} holds the secret"

    yield "headers and templates; secrets are not printed or kept", headers

    def encodings():
        pages = {"data__csv": Page(gzip.compress(CSV.encode()), etag='"1"', encoding="gzip")}
        with Server(**pages) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            pull(ws, "d")
            assert names(ws) == {1: "a", 2: "b"}
            assert "gzip" in server.requests[0][1]["Accept-Encoding"]
            server.pages["/data.csv"] = Page(gzip.compress((CSV + "3,c\n").encode()), etag='"2"', encoding="GZip")
            assert outcome(ws, "d")["records"]["added"] == 1

    yield "compressed on the way", encodings

    def inflated():
        """A server that takes a compressed file for one that it has compressed itself."""
        packed = gzip.compress(CSV.encode())
        for body, prepare in ((packed, "[{kind: Decompress, format: Gzip}]"), (packed, "[{kind: Pipe, command: [gunzip]}]"),
                              (packed, "[{kind: Pipe, command: [cat]}]"), (gzip.compress(packed), "[{kind: Decompress, format: Gzip}]")):
            with Server(data__gz=Page(body, etag='"1"', encoding="gzip")) as server, Workspace() as ws:
                add(ws, "d", url_step(server.url("/data.gz")), prepare=prepare)
                pull(ws, "d")
                assert names(ws) == {1: "a", 2: "b"}
        with Server(data__gz=Page(CSV, etag='"1"')) as server, Workspace() as ws:  # not said to be encoded: damaged
            add(ws, "d", url_step(server.url("/data.gz")), prepare="[{kind: Decompress, format: Gzip}]")
            fails(ws, "gzip")

    yield "a compressed file that comes inflated", inflated

    def forever():
        with Server(data__csv=Page(etag='"1"'), bare__csv=Page()) as server, Workspace() as ws:
            for name in ("data", "bare"):
                add(ws, name, url_step(server.url(f"/{name}.csv"), "cache: Forever"), merge="{kind: Append}")
                assert outcome(ws, name)["status"] == "updated"
                server.requests.clear()
                server.pages[f"/{name}.csv"] = Page("id,name\n3,c\n", etag='"2"')
                for options in ((), ("--fetch-uncacheable",)):
                    done = outcome(ws, name, *options)
                    assert done["status"] == "up-to-date" and not done["uncacheable"] and not server.requests, done
                assert outcome(ws, name, "--force")["records"]["added"] == 1
        with Workspace() as ws:
            ws.write("f1.csv", CSV)
            add(ws, "d", "{kind: FilesGlob, path: 'f*.csv', cache: Forever}", merge="{kind: Append}")
            pull(ws, "d")
            ws.write("f1.csv", "id,name\n9,z\n")
            ws.write("f0.csv", CSV)
            done = outcome(ws, "d")
            assert done["status"] == "up-to-date" and done["notes"] == [], done
            ws.write("f2.csv", "id,name\n3,c\n")
            assert outcome(ws, "d")["records"]["added"] == 1

    yield "cache: Forever", forever

    def error_pages():
        bodies = {
            "html": "<!DOCTYPE html>\n<html><body>Service down</body></html>\n",
            "upper": "\n <HTML><head><title>Sorry</title></head></HTML>",
            "xml": '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
            "object": '{"Error Message": "the parameter apikey is invalid"}',
        }
        for name, body in bodies.items():
            with Server(data__csv=Page(body, etag='"e"')) as server, Workspace() as ws:
                add(ws, "d", url_step(server.url()))
                fails(ws, "instead of Csv data", body.strip().splitlines()[0][:30])
                server.pages["/data.csv"] = Page(etag='"good"')
                assert outcome(ws, "d")["status"] == "updated", name
        with Server(data__json=Page('{"error": {"code": 17}}', etag='"e"', media="application/json")) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url("/data.json")), read="{kind: Json}", merge="{kind: Append}")
            fails(ws, "instead of Json data", '{"error"')

    yield "pages about errors with status 200", error_pages

    def bad_records():
        with Server(data__csv=Page("id,name\nx,a\n", etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            fails(ws, "'x'", "id", code=8)
            # The good manifest takes what was downloaded, even when the server is gone.
            server.stop()
            text = manifest("d", url_step(server.url())).replace("type: Int64", "type: String")
            ws.run("add", "--replace", "-y", ws.write("d.yaml", text))
            done = pull(ws, "d")
            assert b"taking what was downloaded" in done.err, done
            assert names(ws) == {"x": "a"}

    yield "a savepoint: downloaded once, read again with a better manifest, server gone", bad_records

    def gc():
        with Server(data__csv=Page("id,name\nx,a\n", etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            fails(ws, "'x'")
            assert os.listdir(os.path.join(ws.home, "cache", "fetch"))
            ws.run("system", "gc")
            assert not os.path.exists(os.path.join(ws.home, "cache", "fetch")) or not os.listdir(
                os.path.join(ws.home, "cache", "fetch"))
            server.stop()
            fails(ws, "connect", code=EXIT_BUSY)

    yield "system gc empties the savepoints", gc

    def upstream_fixed():
        with Server(data__csv=Page("id,name\nx,a\n", etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            fails(ws, "'x'")
            server.pages["/data.csv"] = Page(etag='"2"')
            assert outcome(ws, "d")["status"] == "updated"
            assert names(ws) == {1: "a", 2: "b"}

    yield "bad content is asked for again, and taken once it is good", upstream_fixed

    def schema_changed():
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()), read="{kind: Csv, header: true, inferSchema: true}",
                merge="{kind: Ledger, primaryKey: [id]}")
            pull(ws, "d")
            state = polling_state(ws, "d")
            server.pages["/data.csv"] = Page("id,other\n3,c\n", etag='"2"')
            fails(ws, "other")
            assert polling_state(ws, "d") == state

    yield "a schema that changed upstream", schema_changed

    def quarantine():
        with Server(data__csv=Page("id,name\n1,a\nx,b\n3,c\n", etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            fails(ws, "'x'", "--on-error skip", code=8)
            fails(ws, "--rejects goes with --on-error skip", command=("pull", "d", "--rejects", "bad"))
            done = json.loads(ws.run("pull", "d", "-o", "json", "--on-error", "skip", "--rejects", "bad").out)[0]
            assert done["records"] == {"read": 3, "added": 2, "skipped": 1}, done
            with open(os.path.join(ws.folder, "bad"), encoding="utf-8") as file:
                bad = [json.loads(line) for line in file]
            assert len(bad) == 1 and bad[0]["value"] == "x" and bad[0]["line"] == 3, bad
            assert names(ws) == {1: "a", 3: "c"}
            assert outcome(ws, "d")["status"] == "up-to-date"

    yield "bad records put aside", quarantine


def encodings():
    texts = {"utf-8": "Ünï-日本", "utf8": "Mo", "utf-16": "日本 Ü", "utf16": "日本 Ü", "utf16le": "Ü", "utf16be": "Ü", "utf-32": "😀", "ascii": "abc",
             "latin1": "Zürich", "iso-8859-1": "Zürich", "iso-8859-2": "Łódź", "latin2": "Łódź", "iso-8859-15": "5 €", "latin9": "5 €",
             "iso-8859-5": "Москва", "windows-1250": "Łódź", "windows-1251": "Москва", "windows-1252": "5 € – Zürich", "windows-1253": "Αθήνα",
             "windows-1255": "שלום", "windows-1256": "سلام", "cp437": "Zürich", "cp850": "Zürich", "cp866": "Москва", "koi8-r": "Москва",
             "koi8-u": "Київ", "macintosh": "Zürich", "shift_jis": "日本", "euc-jp": "日本", "gb18030": "中文 😀", "gbk": "中文", "big5": "中文",
             "euc-kr": "한국"}
    python = {"macintosh": "mac_roman", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "latin2": "iso-8859-2", "latin9": "iso-8859-15"}

    def each():
        with Workspace() as ws:
            manifests = []
            for i, (name, text) in enumerate(texts.items()):
                code = python.get(name, name)
                bodies = {"Csv, header: true": f"id,name\n1,{text}\n", "NdJson": json.dumps({"id": 1, "name": text}, ensure_ascii=False) + "\n",
                          "Json": json.dumps([{"id": 1, "name": text}], ensure_ascii=False)}
                for kind, body in bodies.items():
                    stem = f"{kind.split(',')[0].lower()}{i}"
                    path = ws.write(stem, body.encode(code))
                    manifests.append(manifest(stem, url_step("file://" + path), merge="{kind: Append}",
                                              read=f"{{kind: {kind}, encoding: {name}, schema: {{fields: {FIELDS}}}}}"))
            ws.run("add", ws.write("all.yaml", "---\n".join(manifests)))
            ws.run("pull", "--all")
            for kind in ("csv", "ndjson", "json"):
                query = " union all ".join(f"select {i} as i, name from {kind}{i}" for i in range(len(texts)))
                out = ws.run("sql", "-o", "json", "-c", query + " order by i").out
                assert [row["name"] for row in json.loads(out)] == list(texts.values()), (kind, out.decode())

    yield "each by name, in each format of text", each

    def wrong():
        with Workspace() as ws:
            for kind, body in (("Csv, header: true", "id,name\n1,a\n2,Zürich\n"), ("NdJson", '{"id":1,"name":"a"}\n{"id":2,"name":"Zürich"}\n')):
                stem = kind[:3].lower()
                path = ws.write(stem, body.encode("latin1"))
                add(ws, stem, url_step("file://" + path), read=f"{{kind: {kind}, schema: {{fields: {FIELDS}}}}}")
                fails(ws, stem, "UTF-8", command=("pull", stem))
                path = ws.write(stem, body.encode("utf-8"))
                assert outcome(ws, stem)["records"]["added"] == 2
            path = ws.write("t", "id,name\n1,a\n2,日".encode("shift_jis")[:-1])
            add(ws, "t", url_step("file://" + path), read=f"{{kind: Csv, header: true, encoding: shift_jis, schema: {{fields: {FIELDS}}}}}")
            fails(ws, "shift_jis", command=("pull", "t"))

    yield "the wrong one", wrong


BIG = "id,name\n" + "".join(f"{i},{'x' * 80}\n" for i in range(20000))


def broken():
    def cut():
        with Server(data__csv=Page(BIG, etag='"1"', cut=300_000, cuts=3)) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            assert outcome(ws, "d")["records"]["added"] == 20000
            ranges = [headers.get("Range") for _, headers in server.requests]
            assert ranges[0] is None and ranges[1] == "bytes=300000-" and ranges[2] == "bytes=600000-", ranges
            assert server.requests[1][1]["If-Range"] == '"1"'

    yield "a transfer that is cut is continued", cut

    def cut_compressed():
        """A 206 need not repeat the encoding of the whole (RFC 9110 15.3.7); some servers say identity there."""
        body = gzip.compress(BIG.encode(), compresslevel=0)
        for said in ("", "gzip"):
            with Server(data__csv=Page(body, etag='"1"', encoding="gzip", part_encoding=said, cut=300_000, cuts=3)) as server, Workspace() as ws:
                add(ws, "d", url_step(server.url()))
                assert outcome(ws, "d")["records"]["added"] == 20000
                ranges = [headers.get("Range") for _, headers in server.requests]
                assert ranges[:3] == [None, "bytes=300000-", "bytes=600000-"], (said, ranges)
        with Server(data__csv=Page(BIG, etag='"1"', part_encoding="identity", cut=300_000, cuts=1)) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            assert outcome(ws, "d")["records"]["added"] == 20000
            assert [headers.get("Range") for _, headers in server.requests] == [None, "bytes=300000-"]
        # Bytes of another encoding are not put behind those that came.
        with Server(data__csv=Page(BIG, etag='"1"', part_encoding="gzip", cut=300_000, cuts=1)) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            assert outcome(ws, "d")["records"]["added"] == 20000
            assert [headers.get("Range") for _, headers in server.requests] == [None, "bytes=300000-", None]

    yield "a compressed transfer that is cut is continued", cut_compressed

    def no_ranges():
        with Server(data__csv=Page(BIG, cut=300_000, cuts=1)) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            assert outcome(ws, "d")["records"]["added"] == 20000
            assert all("Range" not in headers for _, headers in server.requests)

    yield "without a validator a cut transfer begins anew", no_ranges

    def changed():
        second = Page(BIG.replace("x", "y"), etag='"2"')
        with Server(data__csv=Page(BIG, etag='"1"', cut=300_000, cuts=1, swap=second)) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            assert outcome(ws, "d")["records"]["added"] == 20000
            assert polling_state(ws, "d") == 'odf/etag="2"'
            assert set(names(ws).values()) == {"y" * 80}, "rows of two versions are mixed"

    yield "content that changes during the download is never mixed", changed

    def always_cut():
        with Server(data__csv=Page(BIG, cut=1000, cuts=10**9)) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            fails(ws, "data.csv", code=EXIT_BUSY)
            server.pages["/data.csv"].cuts = 0
            assert outcome(ws, "d")["records"]["added"] == 20000

    yield "a transfer that never ends is given up", always_cut

    def killed():
        half = len(BIG) // 2
        with Server(data__csv=Page(BIG, etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            hold = threading.Event()
            whole = server.answer

            def slowly(h):
                server.requests.append((h.path, dict(h.headers)))
                h.send_response(200)
                for name, value in (("ETag", '"1"'), ("Content-Length", str(len(BIG)))):
                    h.send_header(name, value)
                h.end_headers()
                h.wfile.write(BIG[:half].encode())
                h.wfile.flush()
                hold.wait(20)

            server.answer = slowly
            process = ws.start("pull", "d")
            folder = os.path.join(ws.home, "cache", "fetch")
            for _ in range(400):
                parts = [os.path.join(folder, d, "partial") for d in os.listdir(folder)] if os.path.isdir(folder) else []
                if parts and os.path.exists(parts[0]) and os.path.getsize(parts[0]) >= half:
                    break
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            hold.set()
            server.answer = whole
            server.requests.clear()
            assert outcome(ws, "d")["records"]["added"] == 20000
            assert server.requests[0][1].get("Range") == f"bytes={half}-", server.requests
            ws.check_sound("d")

    yield "a pull that was killed continues its download", killed

    def interrupted():
        with Server(data__csv=Page(etag='"1"', delay=20)) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            process = ws.start("pull", "d")
            for _ in range(200):
                if server.requests:
                    break
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)
            assert process.returncode == EXIT_INTERRUPTED, process.communicate()
            process.communicate()

    yield "Ctrl-C ends a pull that waits", interrupted


def zipped(**entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(name.replace("__", ".").replace("___", "/"), text)
    return out.getvalue()


def prepared():
    def case(body, prepare, expect=None, words=(), path="/data.csv"):
        def test():
            with Server(**{path.strip("/").replace(".", "__"): Page(body, etag='"1"')}) as server, Workspace() as ws:
                add(ws, "d", url_step(server.url(path)), prepare=prepare)
                if words:
                    fails(ws, *words)
                else:
                    pull(ws, "d")
                    assert names(ws) == (expect or {1: "a", 2: "b"}), names(ws)

        return test

    two = gzip.compress(b"id,name\n1,a\n") + gzip.compress(b"2,b\n")
    yield "gzip of several members", case(two, "[{kind: Decompress, format: Gzip}]")
    yield "gzip that is cut", case(two[:-9], "[{kind: Decompress, format: gzip}]", words=["gzip"])
    yield "gzip that is not", case(CSV, "[{kind: Decompress, format: gzip}]", words=["gzip"])
    yield "zip: the first", case(zipped(a__csv=CSV, b__csv="x"), "[{kind: Decompress, format: Zip}]")
    yield "zip: by name", case(zipped(a__txt="x", b__csv=CSV), "[{kind: Decompress, format: Zip, subPath: b.csv}]")
    yield "zip: by glob", case(zipped(a__txt="x", b__csv=CSV), "[{kind: Decompress, format: Zip, subPath: '*.csv'}]")
    yield "zip: none of that name", case(zipped(a__txt="x", b__csv=CSV), "[{kind: Decompress, format: Zip, subPath: c.csv}]",
                                         words=["c.csv", "a.txt", "b.csv"])
    yield "zip: several", case(zipped(a__csv="x", b__csv=CSV), "[{kind: Decompress, format: Zip, subPath: '*.csv'}]",
                               words=["a.csv", "b.csv"])
    yield "zip: not one", case(CSV, "[{kind: Decompress, format: Zip}]", words=["zip"])
    evil = io.BytesIO()
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../../evil.csv", CSV)
    yield "zip: a path that leads out", case(evil.getvalue(), "[{kind: Decompress, format: Zip}]", words=["leads out"])
    yield "zip after a pipe", case(zipped(a__txt="x", b__csv=CSV),
                                   "[{kind: Pipe, command: [cat]}, {kind: Decompress, format: Zip, subPath: b.csv}]")
    yield "gzip after a pipe", case(two, "[{kind: Pipe, command: [cat]}, {kind: Decompress, format: Gzip}]")
    yield "a pipe", case(CSV.replace("a", "A"), "[{kind: Pipe, command: [sed, s/A/a/]}]", path="/data.txt")
    yield "a pipe that fails", case(CSV, "[{kind: Pipe, command: [sh, -c, 'echo oh dear >&2; exit 3']}]", words=["exit code 3", "oh dear"])
    yield "a pipe that is killed", case(CSV, "[{kind: Pipe, command: [sh, -c, 'kill -9 $$']}]", words=["signal 9"])
    yield "a pipe that is not there", case(CSV, "[{kind: Pipe, command: [no-such-program]}]", words=["no-such-program"])
    yield "a pipe that reads only a little", case(BIG, "[{kind: Pipe, command: [sh, -c, 'head -n 3 | sed s/x*$/z/']}]",
                                                  expect={0: "z", 1: "z"})
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, text in (("dir/a.csv", "id,name\n1,a\n"), ("dir/b.csv", "2,b\n"), ("dir/c.txt", "nothing")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    yield "tar, in the process", case(tar.getvalue(), "[{kind: Pipe, command: [tar, xO, '*.csv']}]")
    yield "tar.gz, in the process", case(gzip.compress(tar.getvalue()), "[{kind: Pipe, command: [tar, -xzOf, '-', '*.csv']}]")

    def sniffed_tar():
        texts = {"readme.txt": "nothing\n", "d" * 90 + "/" + "e" * 90 + ".csv": CSV}
        for mode, form, chosen in (("w", tarfile.GNU_FORMAT, list(texts)), ("w:gz", tarfile.PAX_FORMAT, list(texts)),
                                   ("w:xz", tarfile.USTAR_FORMAT, list(texts)), ("w:bz2", tarfile.PAX_FORMAT, list(texts)[1:])):
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode=mode, format=form) as archive:
                for name in chosen:
                    info = tarfile.TarInfo(name)
                    info.size, info.mtime = len(texts[name]), 1.5
                    archive.addfile(info, io.BytesIO(texts[name].encode()))
            with Server(data__tar=Page(packed.getvalue(), etag='"1"', media="application/x-tar")) as server, Workspace() as ws:
                ws.run("new", "d", "--from", server.url("/data.tar"))
                with open(os.path.join(ws.folder, "d.yaml"), encoding="utf-8") as file:
                    assert ("readme.txt" in file.read()) == (len(chosen) > 1)
                ws.run("add", "d.yaml")
                pull(ws, "d")
                assert names(ws) == {1: "a", 2: "b"}, (mode, form, chosen)

    yield "tar: a manifest proposed for it", sniffed_tar

    def bomb():
        line = b"1," + b"x" * 4000 + b"\n"
        body = gzip.compress(b"id,name\n" + line * ((300 << 20) // len(line)), 6)
        assert len(body) * 300 < 300 << 20
        with Server(data__csv=Page(body, etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()), prepare="[{kind: Decompress, format: Gzip}]", merge="{kind: Append}")
            fails(ws, "bomb", "source.maxExpansion")

    yield "a decompression bomb", bomb


def globs():
    step = "{kind: FilesGlob, path: %s, eventTime: {kind: FromPath, pattern: 'data-(\\d+-\\d+-\\d+)\\.csv', timestampFormat: '%%Y-%%m-%%d'}}"

    def life():
        with Workspace() as ws:
            add(ws, "d", step % "'data-*.csv'", merge="{kind: Ledger, primaryKey: [id]}")
            fails(ws, "data-*.csv")
            ws.write("data-2020-10-01.csv", "id,name\n1,a\n")
            pull(ws, "d")
            assert polling_state(ws, "d") == "odf/etag=data-2020-10-01.csv"
            assert ws.rows("d")[0]["event_time"].startswith("2020-10-01T00:00:00"), ws.rows("d")
            assert outcome(ws, "d")["status"] == "up-to-date"
            ws.write("data-2020-01-01.csv", "id,name\n9,late\n")
            done = outcome(ws, "d")
            assert done["status"] == "up-to-date" and "--late" in done["notes"][0], done
            ws.write("data-2020-10-05.csv", "id,name\n2,b\n")
            ws.write("data-2020-10-10.csv", "id,name\n3,c\n")
            pull(ws, "d")
            assert polling_state(ws, "d") == "odf/etag=data-2020-10-10.csv"
            assert ws.data_blocks("d") == [2, 1, 0]
            assert outcome(ws, "d", "--late")["records"]["added"] == 1
            assert polling_state(ws, "d") == "odf/etag=data-2020-10-10.csv"
            assert outcome(ws, "d")["notes"] == []
            assert [(r["id"], r["event_time"][:10]) for r in ws.rows("d")] == [
                (1, "2020-10-01"), (2, "2020-10-05"), (3, "2020-10-10"), (9, "2020-01-01")]
            ws.check_sound("d")

    yield "files in order, each once; late ones reported and taken on demand", life

    def late_without_rows():
        """A late or changed file that brings nothing new is taken all the same, and the pull ends."""
        with Workspace() as ws:
            for name, merge in (("l", "{kind: Ledger, primaryKey: [id]}"), ("a", "{kind: Append}")):
                ws.write(f"{name}1.csv", "id,name\n1,a\n")
                ws.write(f"{name}2.csv", "id,name\n2,b\n")
                add(ws, name, "{kind: FilesGlob, path: '%s*.csv'}" % name, merge=merge)
                pull(ws, name)
            os.utime(os.path.join(ws.folder, "l1.csv"), (1, 1))
            ws.write("a0.csv", "id,name\n")
            for name in "la":
                assert "--late" in outcome(ws, name)["notes"][0]
                assert outcome(ws, name, "--late")["status"] == "up-to-date"
                assert outcome(ws, name)["notes"] == [], "what was taken is reported as late"
                assert [r["id"] for r in ws.rows(name)] == [1, 2]
            ws.check_sound("l", "a")

    yield "late files that bring nothing new", late_without_rows

    def natural():
        with Workspace() as ws:
            add(ws, "d", "{kind: FilesGlob, path: '**/f*.csv'}", merge="{kind: Append}")
            os.makedirs(os.path.join(ws.folder, "a", "b"))
            for i in (1, 2, 9, 10, 11):
                ws.write(f"a/b/f{i}.csv" if i % 2 else f"a/f{i}.csv", f"id,name\n{i},x\n")
            pull(ws, "d")
            assert [r["id"] for r in ws.rows("d")] == [1, 2, 9, 10, 11]
            assert polling_state(ws, "d") == "odf/etag=f11.csv"

    yield "names are ordered as people count", natural

    def bad():
        with Workspace() as ws:
            ws.write("data-x.csv", CSV)
            add(ws, "d", step % "'data-*.csv'")
            fails(ws, "data-x.csv", "does not match")
            for event_time, word in (("{kind: FromPath, pattern: 'data-.*'}", "group"), ("{kind: FromMetadata}", "fromMetadata"),
                                     ("{kind: FromPath, pattern: '(data'}", "(data")):
                text = manifest("n", "{kind: FilesGlob, path: '*.csv', eventTime: " + event_time + "}")
                done = ws.run("add", ws.write("n.yaml", text), code=None)
                assert done.code != 0 and word.encode() in done.err, done

    yield "event times that cannot be", bad

    def unsupported():
        with Workspace() as ws:
            steps = {"container": "{kind: Container, image: x}", "mqtt": "{kind: mqtt, host: h, port: 1883, topics: [{path: t}]}",
                     "ethereumLogs": "{kind: EthereumLogs, chainId: 1}", "ftp": url_step("ftp://example.com/x"),
                     "s3": url_step("s3://bucket/x"), "sftp": url_step("sftp://example.com/x"),
                     "ftps": url_step("ftps://example.com/x")}
            for i, (kind, fetch) in enumerate(steps.items()):
                add(ws, f"u{i}", fetch)
                fails(ws, f"'{kind}'", command=("pull", f"u{i}"))

    yield "kinds that cannot be pulled are added, and refused by name", unsupported


def workspace():
    def watermark_alone():
        """A watermark that was set is no poll: the first pull fetches, whatever can be told of changes later."""
        with Server(data__csv=Page()) as server, Workspace() as ws:
            add(ws, "u", url_step(server.url()))
            add(ws, "f", url_step(server.url(), "cache: Forever"))
            add(ws, "g", "{kind: FilesGlob, path: 'none*.csv'}")
            for name in "ufg":
                ws.run("pull", name, "--set-watermark", "2020-01-01T00:00:00Z")
            for name in "uf":
                assert outcome(ws, name)["records"]["added"] == 2, name
                assert names(ws, name) == {1: "a", 2: "b"}
            assert outcome(ws, "u")["uncacheable"], "now it was polled"
            asked = len(server.requests)
            assert outcome(ws, "f")["status"] == "up-to-date" and len(server.requests) == asked
            fails(ws, "none*.csv", command=("pull", "g"))
            ws.check_sound("u", "f")

    yield "a first pull after --set-watermark", watermark_alone

    def variables():
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
            key = os.path.join(ws.folder, "..", os.path.basename(ws.folder) + ".key")
            env = {**os.environ, "SLUICE_SECRETS_KEY_FILE": key, "FROM_ENV": "e"}
            add(ws, "d", url_step(server.url("/data.csv?v=${{ env.VAR }}&s=${{ env.SECRET }}&e=${{ env.FROM_ENV }}")))
            ws.run("config", "set", "variables.VAR", "wide")
            ws.run("config", "set", "variables.VAR", "near", "--dataset", "d")
            ws.run("secrets", "set", "SECRET", data=b"hush-hush\n", env=env)
            assert b"hush" not in ws.run("secrets", "list", env=env).out
            ws.run("pull", "d", env=env)
            assert server.requests[-1][0] == "/data.csv?v=near&s=hush-hush&e=e", server.requests
            for folder, _, found in os.walk(ws.home):
                for name in found:
                    with open(os.path.join(folder, name), "rb") as file:
                        assert b"hush" not in file.read(), f"{folder}/{name} holds the secret"
            os.chmod(key, 0o644)
            done = ws.run("pull", "d", code=None, env=env)
            assert done.code != 0 and b"others may read the key" in done.err, done
            os.remove(key)
            inside = {**env, "SLUICE_SECRETS_KEY_FILE": os.path.join(ws.folder, "k")}
            done = ws.run("secrets", "set", "X", data=b"x\n", env=inside, code=None)
            assert done.code != 0 and b"lies in the workspace" in done.err, done

    yield "variables and secrets", variables

    def config():
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            done = ws.run("config", "set", "source.http.userAgnt", "x", code=None)
            assert done.code != 0 and b"source.http.userAgent" in done.err, done
            done = ws.run("config", "set", "source.http.connectTimeout", "soon", code=None)
            assert done.code != 0 and b"soon" in done.err, done
            ws.run("config", "set", "source.http.userAgent", "me/1")
            ws.run("config", "set", "polling_state_name", "default")
            ws.run("pull", "d")
            assert server.requests[-1][1]["User-Agent"] == "me/1"
            assert "SourceName: default" in ws.run("log", "d").out.decode()
            assert outcome(ws, "d")["status"] == "up-to-date"
            ws.run("config", "set", "source.http.maxBytes", "10")
            server.pages["/data.csv"] = Page(CSV + "3,c\n", etag='"2"')
            fails(ws, "maxBytes")
            ws.run("config", "unset", "source.http.maxBytes")
            assert outcome(ws, "d")["records"]["added"] == 1
            ws.write(".sluice/config.yaml", "source: {htp: 1}\n")
            fails(ws, "config.yaml", "source.htp")

    yield "configuration", config

    def foreign():
        """A dataset that was copied here may not do what one's own may, until it is trusted."""
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            os.remove(os.path.join(ws.home, "trusted-sources"))
            fails(ws, "private address")
            assert not server.requests
            ws.run("source", "trust", "d")
            assert outcome(ws, "d")["records"]["added"] == 2
            ws.write("data.csv", CSV)
            add(ws, "p", url_step("file://" + os.path.join(ws.folder, "data.csv")), prepare="[{kind: Pipe, command: [touch, owned]}]")
            add(ws, "v", url_step("file://${{ env.HOME }}/none.csv"))
            os.remove(os.path.join(ws.home, "trusted-sources"))
            fails(ws, "source trust", command=("pull", "p"))
            fails(ws, "source trust", command=("pull", "v"))
            assert not os.path.exists(os.path.join(ws.folder, "owned"))

    yield "a source from elsewhere", foreign

    def preview():
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
            path = ws.write("m.yaml", manifest("d", url_step(server.url())))
            done = ws.run("preview", path, "-o", "csv", "-n", 1)
            assert b"id" in done.out and b"1" in done.out and b",b" not in done.out, done
            assert ws.run("list").out.strip() in (b"[]", b""), "a preview made a dataset"
            ws.run("add", path)
            assert b"2" in ws.run("preview", "d", "-o", "csv").out
            server.pages["/data.csv"] = Page("id,name\n1,a\nx,b\n", etag='"2"')
            done = ws.run("preview", "d", "-o", "csv")
            assert b"bad record" in done.err and b"'x'" in done.err, done

    yield "preview", preview

    def watch():
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            done = ws.run("pull", "--watch", code=None)
            assert done.code != 0 and b"schedule:" in done.err, done
            ws.write(".sluice/config.yaml", "schedule:\n  - {datasets: 'd', every: 1s, firstBackoff: 100ms}\n")
            process = ws.start("pull", "--watch")
            for _ in range(300):
                if len(server.requests) >= 3:
                    break
                time.sleep(0.1)
            row = json.loads(ws.run("list", "-w", "-o", "json").out)[0]
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
            assert len(server.requests) >= 3 and process.returncode == EXIT_INTERRUPTED, (server.requests, process.returncode)
            assert row["LastResult"] in ("ok", "running") and row["LastPull"], row
            assert names(ws) == {1: "a", 2: "b"}

    yield "pull --watch at the times of the configuration", watch

    def watched():
        """As many as are scheduled: each once, and by a pattern what can be pulled."""
        with Workspace() as ws:
            ws.write("data.csv", CSV)
            for name in ("d.a", "d.b"):
                add(ws, name, url_step("file://" + os.path.join(ws.folder, "data.csv")))
            ws.add("d.pushed", "{kind: Append}")
            ws.write(".sluice/config.yaml", "schedule:\n  - {datasets: [d.%, d.a], every: 1h}\n  - {datasets: '%', every: 2h}\n")
            for command, count in ((["--watch"], 2), (["--watch", "--every", "1h", "d.%"], 2), (["--watch", "--every", "1h", "d.b"], 1)):
                process = ws.start("pull", *command)
                said = process.stderr.readline().decode()
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=20)
                assert f"Watching {count} dataset(s)" in said, (command, said)
            done = ws.run("pull", "--watch", "--every", "1h", "d.push%", code=1)
            assert b"no dataset that can be pulled" in done.err, done

    yield "pull --watch tells how many it watches", watched

    def listed():
        """The last pull of every dataset, by hand too."""
        with Workspace() as ws:
            def row(name):
                return [r for r in json.loads(ws.run("list", "-w", "-o", "json").out) if r["Name"] == name][0]

            for name in ("d", "never"):
                add(ws, name, url_step("file://" + os.path.join(ws.folder, "data.csv")))
            ws.add("pushed", "{kind: Append}")
            assert not any(row(name)["LastPull"] for name in ("d", "never", "pushed"))
            fails(ws, "data.csv")
            assert row("d")["LastResult"].startswith("failed 1 time(s)") and "data.csv" in row("d")["LastResult"], row("d")
            ws.write("data.csv", CSV)
            for _ in range(2):  # also one that finds nothing new
                before = row("d")["LastPull"]
                pull(ws, "d", "pushed")
                assert row("d")["LastPull"] != before and row("d")["LastResult"] == "ok" and row("d")["NextPull"] is None, row("d")
            assert not any(row(name)["LastPull"] for name in ("never", "pushed"))
            # A dataset that is computed from others has these columns, too.
            ws.write("view.yaml", """kind: DatasetSnapshot
version: 1
content:
  name: view
  kind: Derivative
  metadata:
    - kind: SetTransform
      inputs: [{datasetRef: d, alias: d}]
      transform: {kind: Sql, engine: datafusion, query: "select * from d"}
""")
            ws.run("add", "view.yaml")
            assert row("view")["Kind"] == "Derivative" and row("view")["Blocks"] == 2, row("view")
            assert row("d")["Records"] == 2 and row("d")["Pulled"] and row("d")["Size"] > 0 and row("d")["Head"], row("d")

    yield "list -w tells of the last pull", listed

    def commented():
        """Changing the configuration leaves what people wrote beside the values."""
        text = "# ours\nschedule:  # at night\n- {datasets: d, cron: '0 3 * * *'}\n\nsource:\n  http: # slow server\n    maxRetries: 5 # enough\n"
        with Workspace() as ws:
            def now():
                with open(os.path.join(ws.home, "config.yaml"), encoding="utf-8") as file:
                    return file.read()

            ws.write("data.csv", CSV)
            add(ws, "d", url_step("file://" + os.path.join(ws.folder, "data.csv")))
            ws.write(".sluice/config.yaml", text)
            ws.run("config", "set", "source.http.maxRetries", "7")
            assert now() == text.replace("5 #", "7 #"), now()
            ws.run("config", "set", "variables.REGION", "eu", "-d", "d")
            assert now().startswith(text.replace("5 #", "7 #")) and "REGION: eu" in now(), now()
            ws.run("rename", "d", "e")
            assert "  e:" in now() and "  d:" not in now() and "# at night" in now(), now()
            ws.run("config", "unset", "variables.REGION", "-d", "e")
            assert now() == text.replace("5 #", "7 #"), now()
            ws.write(".sluice/config.yaml", "source: {http: {maxRetries: 5}} # ours\n")
            done = ws.run("config", "set", "source.http.maxRetries", "7", code=1)
            assert b"would lose its comments" in done.err and "5" in now(), done
            ws.write(".sluice/config.yaml", "source: {http: {maxRetries: 5}}\n")
            ws.run("config", "set", "source.http.maxRetries", "7")
            assert ws.run("config", "get", "source.http.maxRetries").out == b"7\n"
            ws.run("config", "set", "variables.X", "\udcff", code=1)

    yield "config set keeps comments and order", commented

    def ahead():
        with Workspace() as ws:
            ws.write("data.csv", CSV)
            add(ws, "d", url_step("file://" + os.path.join(ws.folder, "data.csv")))
            ws.run("--system-time", "2090-01-01T00:00:00Z", "pull", "d")
            assert b"one of the clocks is wrong" in pull(ws, "d").err
            ws.write("data.csv", CSV + "3,c\n")
            done = outcome(ws, "d")
            assert "2090-01-01" in done["notes"][0] and done["records"]["added"] == 1, done

    yield "a block from the future is told of", ahead

    def grouped():
        with Workspace() as ws:
            for i in range(50):
                ws.write(f"f{i}.csv", f"id,name\n{i},a{i}\n")
            add(ws, "d", "{kind: FilesGlob, path: 'f*.csv'}", merge="{kind: Ledger, primaryKey: [id]}")
            ws.run("config", "set", "source.filesGlob.maxFiles", "30")
            assert outcome(ws, "d")["records"]["added"] == 50
            assert [r["id"] for r in ws.rows("d")] == list(range(50))
            assert ws.data_blocks("d") == [30, 0]  # many files share a block
            assert polling_state(ws, "d") == "odf/etag=f49.csv"
            assert outcome(ws, "d")["status"] == "up-to-date"
            ws.check_sound("d")

    yield "many files in one commit", grouped

    def by_rows():
        """A commit ends at the file that fills it; files of one name, which share a state, stay together."""
        with Workspace() as ws:
            for i in range(40):
                ws.write(f"f{i:02d}.csv", "id,name\n" + "".join(f"{10 * i + k},x\n" for k in range(10)))
            add(ws, "d", "{kind: FilesGlob, path: 'f*.csv'}", merge="{kind: Append}")
            ws.run("config", "set", "source.filesGlob.maxRows", "175")
            done = outcome(ws, "d")
            assert done["records"]["read"] == done["records"]["added"] == 400, done
            assert ws.data_blocks("d") == [390, 380, 370, 360, 180, 0], ws.data_blocks("d")  # 18 files fill a commit; 4 keep a block each
            assert [r["id"] for r in ws.rows("d")] == list(range(400))
            assert outcome(ws, "d", "--late")["status"] == "up-to-date"
            for i in range(40, 44):
                ws.write(f"f{i:02d}.csv", f"id,name\n{10 * i},x\n")
            ws.run("config", "set", "source.filesGlob.maxRows", "1")
            pull(ws, "d")
            assert ws.data_blocks("d")[:4] == [403, 402, 401, 400]
            os.makedirs(os.path.join(ws.folder, "a"))
            os.makedirs(os.path.join(ws.folder, "b"))
            for folder in ("a", "b"):
                for i in (1, 2):
                    ws.write(f"{folder}/g{i}.csv", f"id,name\n{i},{folder}\n")
            add(ws, "g", "{kind: FilesGlob, path: '*/g*.csv'}", merge="{kind: Append}")
            pull(ws, "g")
            assert [(r["id"], r["name"]) for r in ws.rows("g")] == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
            assert outcome(ws, "g")["notes"] == []
            ws.check_sound("d", "g")

    yield "commits end at source.filesGlob.maxRows", by_rows

    def bad_one():
        """What stands before a bad file is committed; the pull fails, and the next one begins with that file."""
        for count in (3, 30):  # a block each, and one for all
            with Workspace() as ws:
                for i in range(count):
                    ws.write(f"f{i}.csv", f"id,name\n{i if i != count - 2 else 'x'},a\n")
                add(ws, "d", "{kind: FilesGlob, path: 'f*.csv'}", merge="{kind: Append}")
                done = pull(ws, "d", code=None)
                assert done.code != 0 and f"f{count - 2}.csv".encode() in done.err and b"'x'" in done.err, done
                assert [r["id"] for r in ws.rows("d")] == list(range(count - 2))
                assert polling_state(ws, "d") == f"odf/etag=f{count - 3}.csv"
                fails(ws, f"f{count - 2}.csv")
                ws.write(f"f{count - 2}.csv", f"id,name\n{count - 2},a\n")
                pull(ws, "d")
                assert [r["id"] for r in ws.rows("d")] == list(range(count))
                assert outcome(ws, "d")["notes"] == []
                ws.check_sound("d")

    yield "a bad file among many", bad_one

    def bad_sibling():
        """Files of one name share a state: those before the name are taken though a later one of the name is bad."""
        for count in (3, 30):
            with Workspace() as ws:
                os.makedirs(os.path.join(ws.folder, "a"))
                os.makedirs(os.path.join(ws.folder, "b"))
                for i in range(count):
                    for folder in "ab":
                        ws.write(f"{folder}/f{i}.csv", f"id,name\n{'x' if (folder, i) == ('b', count - 1) else i},{folder}\n")
                add(ws, "d", "{kind: FilesGlob, path: '*/f*.csv'}", merge="{kind: Append}")
                good = [(i, folder) for i in range(count - 1) for folder in "ab"]
                head = ws.head("d")
                done = json.loads(pull(ws, "d", "-o", "json", code=None).out)[0]
                assert done["status"] == "failed" and f"b/f{count - 1}.csv" in done["error"], done
                assert f"{len(good)} records of {len(good)} inputs before it were committed" in done["error"], done
                assert "\nnothing was committed" not in done["error"], done
                assert done["records"]["added"] == len(good) and done["oldHead"] == head and done["newHead"] == ws.head("d") != head, done
                assert [(r["id"], r["name"]) for r in ws.rows("d")] == good
                assert polling_state(ws, "d") == f"odf/etag=f{count - 2}.csv"
                message = fails(ws, "nothing of it was committed").err
                assert b"before it were committed" not in message, message
                # Left out with --on-error skip, each bad record is told once.
                ws.write(f"a/f{count}.csv", "id,name\ny,a\n")
                pull(ws, "d", "--on-error", "skip", "--rejects", os.path.join(ws.folder, "bad.jsonl"))
                with open(os.path.join(ws.folder, "bad.jsonl"), encoding="utf-8") as file:
                    assert [json.loads(line)["value"] for line in file] == ["x", "y"]
                assert [(r["id"], r["name"]) for r in ws.rows("d")] == good + [(count - 1, "a")]
                assert outcome(ws, "d")["notes"] == []
                ws.check_sound("d")

    yield "a bad file that shares its name with a good one", bad_sibling

    def killed():
        for limit, value in (("maxFiles", "20"), ("maxRows", "60")):
            with Workspace() as ws:
                for i in range(400):
                    ws.write(f"f{i}.csv", "id,name\n" + "".join(f"{3 * i + k},x\n" for k in range(3)))
                add(ws, "d", "{kind: FilesGlob, path: 'f*.csv'}", merge="{kind: Append}")
                ws.run("config", "set", "source.filesGlob." + limit, value)
                for n in range(12):
                    if not ws.kill_after(0.06 + 0.02 * n, "pull", "d"):
                        break
                ws.run("pull", "d")
                assert [r["id"] for r in ws.rows("d")] == list(range(1200)), "a file is missing or taken twice"
                assert outcome(ws, "d")["notes"] == [], "taken files are reported as late"
                ws.check_sound("d")

    yield "kills among many files: each is taken once", killed


if __name__ == "__main__":
    main([files, web, encodings, broken, prepared, globs, workspace])
