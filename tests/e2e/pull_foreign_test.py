#!/usr/bin/env python3
"""What a pull meets that nobody vouches for: bytes that are no text, pages about errors, sources that came with a copied dataset, files
that come late. And secrets, which neither of them may get or show."""
import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import tarfile
import zipfile

from harness import Workspace, main
from pull_test import CSV, Page, Server, add, fails, manifest, names, outcome, polling_state, pull, url_step

GLOB = "{kind: FilesGlob, path: '%s'}"


def zipped_csv():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("data.csv", CSV)
    return out.getvalue()


def foreign_bytes():
    def etag_of_bytes():
        """HTTP lets a validator be any bytes; a state is text. What cannot be kept is not used, and harms nothing."""
        def answer(body, etag):
            return Page(body, etag=etag, modified=1600000000)

        with Server(data__csv=answer(CSV, '"a\xff\xfe"'), bare__csv=Page(CSV, etag='"\xff"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            assert outcome(ws, "d")["records"]["added"] == 2
            assert polling_state(ws, "d") == "odf/last-modified=2020-09-13T12:26:40Z"
            server.pages["/data.csv"] = answer(CSV + "3,c\n", '"b\xff"')
            server.pages["/data.csv"].modified += 1
            assert outcome(ws, "d")["records"]["added"] == 1
            server.pages["/data.csv"] = answer(CSV, '"\u00c3\u00b6"')  # bytes that are UTF-8
            assert outcome(ws, "d")["status"] == "updated" and polling_state(ws, "d") == 'odf/etag="\u00f6"'
            add(ws, "b", url_step(server.url("/bare.csv")))
            pull(ws, "b")
            assert polling_state(ws, "b").startswith("sluice/content="), polling_state(ws, "b")
            ws.check_sound("d", "b")

    yield "an etag that is no text", etag_of_bytes

    def foreign_name():
        """A name that is no text cannot be a state: it is refused before anything of it is taken."""
        with Workspace() as ws:
            add(ws, "d", GLOB % "f*.csv", merge="{kind: Append}")
            ws.write("f1.csv", CSV)
            bad = os.path.join(os.fsencode(ws.folder), b"f\xff.csv")
            with open(bad, "wb") as file:
                file.write(b"id,name\n3,c\n")
            fails(ws, "is not UTF-8", "rename it")
            os.rename(bad, os.path.join(os.fsencode(ws.folder), b"f2.csv"))
            pull(ws, "d")
            assert [r["id"] for r in ws.rows("d")] == [1, 2, 3]
            ws.check_sound("d")

    yield "names that are no text", foreign_name

    def early():
        with Workspace() as ws:
            for i, (step, word) in enumerate((
                    ('{kind: Url, url: "http://127.0.0.1:1/", headers: [{name: "X A", value: b}]}', "'X A'"),
                    ('{kind: Url, url: "http://127.0.0.1:1/a\\0b"}', "control character"))):
                done = ws.run("add", ws.write("d.yaml", manifest(f"d{i}", step)), code=None)
                assert done.code != 0 and word in done.err.decode(), done
            ws.write("a.csv", CSV)
            text = manifest("d", url_step("file://" + os.path.join(ws.folder, "a.csv") + "%00.zip"))
            assert b"zero byte" in ws.run("add", ws.write("d.yaml", text), code=1).err
            env = {**os.environ, "FOLDER": ws.folder}
            add(ws, "d", url_step("file://${{ env.FOLDER }}/a.csv%00.zip"))
            done = ws.run("pull", "d", env=env, code=1)
            assert b"zero byte" in done.err, done

    yield "names of headers, and zero bytes", early


def urls():
    def never():
        """What no pull could ask for is told when it is added, unless a template may still make it right."""
        bad = {"http://x y/": "not a URL", "http://[::1/": "not a URL", "https://host:port/": "not a URL", "http://": "not a URL",
               "htp://x/y": "no scheme", "data.csv": "no scheme", "file://data.csv": "file:///path", "file:///a%zz": "escape",
               "data:text/csv": "','", "data:;base64,*": "base64"}
        with Workspace() as ws:
            for url, word in bad.items():
                done = ws.run("add", ws.write("d.yaml", manifest("d", url_step(url))), code=1)
                assert word in done.err.decode() and "polling source" in done.err.decode(), done
            for i, url in enumerate(["${{ env.A }}", "http://${{ env.HOST }} x/", "exec:later", "HTTPS://x.example/", "gibberish${{ env.B }}"]):
                add(ws, f"d{i}", url_step(url))

    yield "URLs that can never be asked for", never

    def blanks():
        """As people write them: kamu takes them, too."""
        with Server() as server, Workspace() as ws:
            server.pages["/a%20b%C3%BC.csv"] = Page(etag='"1"')
            asked = server.url("/a b\u00fc.csv") + "?q=x y&r=%20"
            add(ws, "d", url_step(asked))
            pull(ws, "d")
            assert names(ws) == {1: "a", 2: "b"}
            assert outcome(ws, "d")["status"] == "up-to-date"
            server.pages["/a%20b%C3%BC.csv"] = Page("id,name\nx,y\n", etag='"2"')
            fails(ws, asked)  # as it was written
            server.pages["/a%20b%C3%BC.csv"] = Page("", status=302, location="/to there.csv")
            server.pages["/to%20there.csv"] = Page("id,name\n3,c\n", etag='"3"')
            pull(ws, "d")
            assert names(ws) == {3: "c"}
            ws.write("a b.csv", CSV)
            add(ws, "f", url_step("file://" + os.path.join(ws.folder, "a b.csv")))
            pull(ws, "f")

    yield "URLs with blanks and letters of other scripts", blanks

    def headers():
        with Server() as server, Workspace() as ws:
            ws.run("config", "set", "source.http.maxRetries", "0")
            add(ws, "d", url_step(server.url()))
            for many in ({"X-Long": "x" * 2_000_000}, {f"X-{i}": "x" * 2000 for i in range(1000)}):
                server.pages["/data.csv"] = Page(headers=many)
                done = fails(ws, "the headers of the answer are larger than is taken")
                assert b"emory" not in done.err, done
            server.pages["/data.csv"] = Page(headers={f"X-{i}": "x" * 1000 for i in range(90)})
            pull(ws, "d")

    yield "headers without an end", headers


def answers():
    def pages():
        """Of a Snapshot, an error page that counts as no records would retract everything."""
        bodies = {
            "h1": ("<h1>502 Bad Gateway</h1>", "text/html", "502"), "comment": ("<!-- x --><html>no</html>", "text/html", "<!--"),
            "font": ("<font>no</font>\n", "text/html; charset=utf-8", "<font>"), "br": ("<br />\nWarning", "text/csv", "<br"),
            "empty": ("{}", "application/json", "1 field(s)"), "text": ("Service Unavailable\n", "text/plain", "Service Unavailable"),
            "list": ('[{"error": "quota"}]', "application/json", "quota"),
            "problem": ('{"type": "about:blank", "x": 1}', "application/problem+json", "about:blank"),
        }
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            pull(ws, "d")
            for name, (body, media, word) in bodies.items():
                server.pages["/data.csv"] = Page(body, etag=f'"{name}"', media=media)
                fails(ws, word)
            server.pages["/data.csv"] = Page("id,name\n", etag='"2"')  # a header of the right shape is data: of no records
            assert outcome(ws, "d")["records"]["added"] == 2

    yield "a page about an error is no empty table", pages

    def passing():
        """A page is not kept as a download: the next pull asks again, whether the server names versions or not."""
        for prepare in ("", "[{kind: Decompress, format: Gzip}]", "[{kind: Pipe, command: [cat]}]"):
            body = gzip.compress(CSV.encode()) if "Gzip" in prepare else CSV
            with Server(data__csv=Page("<html>Sorry, down</html>", media="text/html")) as server, Workspace() as ws:
                add(ws, "d", url_step(server.url()), prepare=prepare)
                fails(ws, "Sorry, down")
                fails(ws, "Sorry, down")
                assert len(server.requests) == 2, server.requests
                server.pages["/data.csv"] = Page(body)
                assert outcome(ws, "d")["records"]["added"] == 2

    yield "a page about an error passes", passing

    def piped():
        """A command finds no record in a page and says nothing of it: a Snapshot would lose all of its records."""
        page = ("<!DOCTYPE html>\n<html>Service unavailable", "text/html", "<!DOCTYPE html>")
        quota = ('{"error":"quota exceeded"}', "application/json", "quota exceeded")
        fault = ("<?xml version='1.0'?><ows:ExceptionReport/>", "text/xml", "ExceptionReport")
        cases = [('[sed, "1,/^$/d"]', None, "# about\n\n" + CSV, (page, quota, fault)),
                 ('[sed, -n, "/^id/,$p"]', None, "# about\n" + CSV, (page, quota)),
                 ('[sh, -c, "echo id,name; grep ^[0-9] || true"]', None, CSV, (page, quota)),
                 ('[jq, -c, ".items[]?"]', "{kind: NdJson, schema: {fields: [{name: id, type: Int32}]}}", '{"items": [{"id": 1}, {"id": 2}]}', (quota,)),
                 ('[jq, -c, ".items // []"]', "{kind: Json, schema: {fields: [{name: id, type: Int32}]}}", '{"items": [{"id": 1}, {"id": 2}]}', (quota,))]
        for command, read, good, bad in cases:
            if "jq" in command and not shutil.which("jq"):
                continue
            with Server(data__csv=Page(good, etag='"1"')) as server, Workspace() as ws:
                add(ws, "d", url_step(server.url()), read=read, prepare="[{kind: Pipe, command: %s}]" % command)
                assert outcome(ws, "d")["records"]["added"] == 2
                for body, media, words in bad:
                    server.pages["/data.csv"] = Page(body, etag=f'"{words[:5]}"'.replace("<", ""), media=media)
                    fails(ws, "a page instead of", words)
                    assert polling_state(ws, "d") == 'odf/etag="1"'
        with Server(data__csv=Page("<?xml version='1.0'?><rss/>", media="text/xml")) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()), prepare="[{kind: Pipe, command: [sed, d]}]")
            pull(ws, "d")  # what the command is there for, and nothing in it

    yield "a page about an error in front of a command", piped

    def before_binary():
        with Server(data__csv=Page('{"error":"quota"}')) as server, Workspace() as ws:
            for i, options in enumerate(({"prepare": "[{kind: Decompress, format: Gzip}]"}, {"prepare": "[{kind: Decompress, format: Zip}]"},
                                         {"read": "{kind: EsriShapefile}"}, {"read": "{kind: Parquet}"})):
                add(ws, f"d{i}", url_step(server.url()), **options)
                name = ("gzip", "zip", "EsriShapefile", "Parquet")[i]
                fails(ws, f'instead of {name} data, nothing was taken: {{"error":"quota"}}', command=("pull", f"d{i}"))

    yield "an object about an error in place of data that is no text", before_binary

    def packed():
        """What comes in another coat than the source says is named, with what to do."""
        bodies = {"Format: Gzip": gzip.compress(CSV.encode()), "Format: Zip": zipped_csv(), "encoding: utf-16": CSV.encode("utf-16"),
                  "[bzip2, -d]": bz2.compress(CSV.encode()), "[xz, -d]": lzma.compress(CSV.encode())}
        reads = ("{kind: Csv, header: true}", "{kind: Csv, schema: {fields: [{name: a, type: String}, {name: b, type: String}]}}",
                 "{kind: NdJson, schema: {fields: [{name: a, type: String}]}}", "{kind: Json}")
        with Server(data__csv=Page()) as server, Workspace() as ws:
            for i, read in enumerate(reads):
                add(ws, f"d{i}", url_step(server.url()), read=read, merge="{kind: Append}")
                for words, body in bodies.items():
                    server.pages["/data.csv"] = Page(body)
                    fails(ws, words.replace("Format", "format"), command=("pull", f"d{i}"))

    yield "compressed data and other character sets where text is read", packed

    def objects():
        refused = ['{"cod": 401, "message": "Invalid API key"}', '{"error": "no", "meta": {}}', '{"success": false, "msg": "no"}',
                   '{"status": "error", "reason": "no"}', '{"message": "Forbidden"}', '{\n  "error": "pretty"\n}']
        taken = ['{"timestamp": "2020-01-01T00:00:00Z", "message": "hello"}', '{"message": "x", "id": 1}']
        with Server(data__json=Page()) as server, Workspace() as ws:
            for i, body in enumerate(refused + taken):
                server.pages["/data.json"] = Page(body, media="application/json")
                add(ws, f"d{i}", url_step(server.url("/data.json")), read="{kind: NdJson}", merge="{kind: Append}")
                if body in taken:
                    assert outcome(ws, f"d{i}")["records"]["added"] == 1, body
                else:
                    fails(ws, "instead of NdJson data", body.split('"')[1], command=("pull", f"d{i}"))
            server.pages["/data.json"] = Page('{"status": "0", "result": "Max rate limit reached"}', media="application/json")
            add(ws, "sub", url_step(server.url("/data.json")), read="{kind: Json, subPath: result}", merge="{kind: Append}")
            fails(ws, "Max rate limit reached", command=("pull", "sub"))

    yield "objects about errors, and records that look like them", objects

    def statuses():
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
            ws.run("config", "set", "source.http.maxRetries", "0")
            add(ws, "d", url_step(server.url()))
            for status, words in ((202, ("202", "not ready")), (206, ("206", "a part")), (304, ("304", "without a condition")),
                                  (204, ("204",))):
                server.pages["/data.csv"] = Page("" if status in (204, 304) else CSV, status=status)
                fails(ws, *words)
            server.pages["/data.csv"] = Page(status=203)
            assert outcome(ws, "d")["records"]["added"] == 2

    yield "statuses that bring no data", statuses

    def archives():
        def zipped(*names):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w") as file:
                for i, name in enumerate(names):
                    file.writestr(name, f"id,name\n{i + 1},a\n")
            return out.getvalue()

        def tarred(name):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as file:
                info = tarfile.TarInfo(name)
                info.size = 12
                file.addfile(info, io.BytesIO(b"id,name\n1,a\n"))
            return out.getvalue()

        unzip = "[{kind: Decompress, format: Zip%s}]"
        with Server(data__csv=Page()) as server, Workspace() as ws:
            server.pages["/data.csv"] = Page(zipped("\u00fc.csv", "x.csv"))
            add(ws, "first", url_step(server.url()), prepare=unzip % "")
            pull(ws, "first")
            assert ws.rows("first")[0]["id"] == 1, "the second entry was taken for the first"
            add(ws, "named", url_step(server.url()), prepare=unzip % ", subPath: '\u00fc.csv'")
            pull(ws, "named")
            add(ws, "both", url_step(server.url()), prepare=unzip % ", subPath: '*.csv'")
            fails(ws, "names 2 entries", "\u00fc.csv", command=("pull", "both"))
            add(ws, "t", url_step(server.url()), prepare="[{kind: Pipe, command: [tar, xO]}]")
            for name in ("../x.csv", "/abs.csv", "a/../../x.csv"):
                server.pages["/data.csv"] = Page(tarred(name))
                fails(ws, "leads out", name, command=("pull", "t"))
            server.pages["/data.csv"] = Page(tarred("./a\\b.csv"))
            pull(ws, "t")

    yield "names in archives", archives

    def duplicates():
        with Server(data__csv=Page("id,name\n1,a\n1,b\n2,c\n", etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            fails(ws, "1", command=("pull", "d", "--on-duplicate", "error"))
            add(ws, "k", url_step(server.url()), merge="{kind: Ledger, primaryKey: [nosuch]}",
                read="{kind: Csv, header: true, inferSchema: true}")
            fails(ws, "nosuch", command=("pull", "k"))
            fails(ws, "nosuch", command=("preview", "k"))
            done = outcome(ws, "d")
            assert done["records"]["added"] == 2 and "repeat a key" in done["notes"][0], done

    yield "keys twice in a Snapshot are told, or refused", duplicates


def secrets():
    def foreign_variables():
        """It reads what was set for its dataset, and nothing that belongs to the workspace."""
        with Workspace() as ws:
            env = {**os.environ, "SLUICE_SECRETS_KEY": "ab" * 32, "FROM_ENV": "e"}
            foreign = {"wide": "WIDE", "secret": "SECRET", "environment": "FROM_ENV"}
            ws.write("data.csv", CSV)
            ws.run("config", "set", "variables.WIDE", ws.folder)
            ws.run("secrets", "set", "SECRET", data=ws.folder.encode() + b"\n", env=env)
            for dataset, name in foreign.items():
                add(ws, dataset, url_step("file://${{ env.%s || '/nowhere' }}/data.csv" % name))
            add(ws, "own", url_step("file://${{ env.NEAR }}/${{ env.FILE }}"))
            ws.run("config", "set", "variables.NEAR", ws.folder, "--dataset", "own")
            ws.run("secrets", "set", "FILE", "--dataset", "own", data=b"data.csv\n", env=env)
            os.remove(os.path.join(ws.home, "trusted-sources"))
            for dataset, name in foreign.items():
                for command in ("pull", "preview"):
                    done = ws.run(command, dataset, code=None, env=env)
                    assert done.code != 0 and f"source trust {dataset}" in done.err.decode() and name in done.err.decode(), done
            ws.run("pull", "own", env=env)
            ws.run("source", "trust", "wide")
            ws.run("pull", "wide", env=env)

    yield "variables and secrets of a source from elsewhere", foreign_variables

    def own_variables():
        """What was set for a dataset follows it, and is not left to the next one of its name."""
        with Workspace() as ws:
            env = {**os.environ, "SLUICE_SECRETS_KEY": "ab" * 32}
            ws.write("data.csv", CSV)
            step = url_step("file://${{ env.FOLDER }}/${{ env.FILE }}")
            add(ws, "a", step)
            ws.run("config", "set", "variables.FOLDER", ws.folder, "--dataset", "a")
            ws.run("secrets", "set", "FILE", "--dataset", "a", data=b"data.csv\n", env=env)
            done = ws.run("rename", "a", "b", code=None, env={**env, "SLUICE_SECRETS_KEY": "cd" * 32})
            assert done.code != 0 and b"FILE" in done.err, done
            ws.run("rename", "a", "b", env=env)
            ws.run("pull", "b", env=env)
            add(ws, "a", step)
            fails(ws, "FOLDER", command=("pull", "a"))
            secrets = json.loads(ws.run("secrets", "list", "-o", "json").out)
            assert [(s["Name"], s["Dataset"]) for s in secrets] == [("FILE", "b")], secrets
            ws.run("delete", "b", "--yes")
            assert json.loads(ws.run("secrets", "list", "-o", "json").out) == []
            add(ws, "b", step)
            fails(ws, "FOLDER", command=("pull", "b"))

    yield "variables and secrets of renamed and deleted datasets", own_variables

    def echoed():
        """A server that repeats what it was asked with does not make the program print it."""
        with Server(data__csv=Page()) as server, Workspace() as ws:
            env = {**os.environ, "SLUICE_SECRETS_KEY": "ab" * 32}
            for name, value in (("KEY", "sekret+1"), ("PIN", "q7")):
                ws.run("secrets", "set", name, data=value.encode() + b"\n", env=env)
            add(ws, "d", url_step(server.url("/data.csv?key=${{ env.KEY }}&pin=${{ env.PIN }}")))
            for body in ('{"Information": "We have detected your API key as sekret+1 with q7."}', "id,name\nsekret+1,a\n",
                         "<html>sekret%2B1 q7</html>"):
                server.pages["/data.csv"] = Page(body)
                for command in ("pull", "preview"):
                    done = ws.run(command, "d", code=None, env=env)
                    said = done.err + done.out
                    assert b"env.KEY" in said, done
                    assert b"sekret" not in said and b"q7" not in said, done
            server.pages.clear()
            done = ws.run("pull", "d", code=None, env=env)
            assert b"q7" not in done.err and b"sekret" not in done.err and b"env.PIN" in done.err, done
            # Blanks and letters of its own are not asked for as they are.
            ws.run("secrets", "set", "KEY", data='sekret +/\u00f6"y\n'.encode(), env=env)
            done = ws.run("pull", "d", code=None, env=env)
            assert b"sekret" not in done.err and b"env.KEY" in done.err, done

    yield "secrets that an answer repeats", echoed

    def one_key():
        with Workspace() as ws:
            def of(digits):
                return {**os.environ, "SLUICE_SECRETS_KEY": digits * 32}

            ws.run("secrets", "set", "A", data=b"aaaa\n", env=of("ab"))
            done = ws.run("secrets", "set", "B", data=b"bbbb\n", env=of("cd"), code=None)
            assert done.code != 0, "secrets of two keys in one file"
            lost = {**os.environ, "SLUICE_SECRETS_KEY_FILE": os.path.join(ws.folder, "..", os.path.basename(ws.folder) + ".lost")}
            done = ws.run("secrets", "set", "B", data=b"bbbb\n", env=lost, code=None)
            assert done.code != 0 and b"missing" in done.err, done
            assert not os.path.exists(lost["SLUICE_SECRETS_KEY_FILE"]), "a second key was made"
            ws.run("secrets", "set", "B", data=b"bbbb\n", env=of("ab"))

    yield "one key for all secrets", one_key


def late():
    def endless():
        """What is late is taken once a command, whatever its folder is called and however it goes on changing."""
        with Workspace() as ws:
            folder = os.path.join(os.fsencode(ws.folder), b"in", b"d\xff")
            os.makedirs(folder)
            path = os.path.join(folder, b"a1.csv")
            with open(path, "w", encoding="utf-8") as file:
                file.write(CSV)
            add(ws, "d", GLOB % "in/*/*.csv", merge="{kind: Append}")
            pull(ws, "d")
            assert outcome(ws, "d", "--late")["status"] == "up-to-date"
            os.utime(path, (1, 1))
            assert outcome(ws, "d", "--late")["records"]["added"] == 2
            assert outcome(ws, "d", "--late")["status"] == "up-to-date"
            assert outcome(ws, "d")["notes"] == []

    yield "a folder whose name is no text", endless

    def after_reset():
        with Workspace() as ws:
            for i in (1, 2, 3):
                ws.write(f"f{i}.csv", f"id,name\n{i},a\n")
            add(ws, "d", GLOB % "f*.csv", merge="{kind: Append}")
            pull(ws, "d")
            head = ws.head("d")
            ws.write("f2.csv", "id,name\n20,late\n")
            assert outcome(ws, "d", "--late")["records"]["added"] == 1
            ws.run("reset", "d", head, "--yes")
            ws.run("pull", "d", "--set-watermark", "2100-01-01T00:00:00Z")
            assert "--late" in outcome(ws, "d")["notes"][0], "what a reset took out counts as taken"
            ws.run("system", "compact", "--hard", "d", "--yes")
            assert "f2.csv" in outcome(ws, "d")["notes"][0] and "1 file(s)" in outcome(ws, "d")["notes"][0]
            assert outcome(ws, "d", "--late")["records"]["added"] == 1
            ws.run("system", "compact", "--hard", "d", "--yes")
            assert outcome(ws, "d")["notes"] == [], "what a compaction kept counts as late"
            assert [r["id"] for r in ws.rows("d")] == [1, 2, 3, 20]

    yield "a late file after a reset and compactions", after_reset

    def announced():
        """Killed between the announcement and the commit; a watermark is no proof that the commit was made."""
        with Workspace() as ws:
            for i in (1, 2):
                ws.write(f"f{i}.csv", f"id,name\n{i},a\n")
            add(ws, "d", GLOB % "f*.csv", merge="{kind: Append}")
            pull(ws, "d")
            derived = os.path.join(ws.home, "derived", os.listdir(os.path.join(ws.home, "derived"))[0])
            with open(os.path.join(derived, "taken-files"), encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
            ws.write("f1.csv", "id,name\n10,late\n")
            info = os.stat(os.path.join(ws.folder, "f1.csv"))
            with open(os.path.join(derived, "taken-files.next"), "w", encoding="utf-8") as file:
                seconds, nanos = divmod(info.st_mtime_ns, 10**9)
                json.dump({"rows": 2, "files": [[lines[0][0], info.st_size, seconds, nanos]]}, file)
            ws.run("pull", "d", "--set-watermark", "2100-01-01T00:00:00Z")
            assert "--late" in outcome(ws, "d")["notes"][0], "a file that was never committed counts as taken"
            assert outcome(ws, "d", "--late")["records"]["added"] == 1

    yield "a commit that was announced and never made", announced


if __name__ == "__main__":
    main([foreign_bytes, urls, answers, secrets, late])
