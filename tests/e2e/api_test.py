#!/usr/bin/env python3
"""The node's HTTP API beside the push path: datasets, sources, reading, queries, the simple transfer protocol."""
import hashlib
import http.client
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse

import harness
from harness import APPEND, EXIT_BUSY, EXIT_USAGE, LEDGER, PRIVATE_PYTHON, SNAPSHOT, VERIFIER, Workspace, main, manifest, records
from node import Node as PlainNode, check_problem as problem

SOURCE = """kind: AddPushSource
sourceName: {name}
read:
  kind: Csv
  header: true
  schema:
    fields:
      - {{name: event_time, type: Timestamp}}
      - {{name: k, type: Int64}}
      - {{name: v, type: String}}
merge: {merge}
"""
POLLING = """kind: MetadataEvent
version: 1
content:
  kind: SetPollingSource
  fetch: {fetch}
  {prepare}
  read:
    kind: NdJson
    schema:
      fields:
        - {{name: event_time, type: Timestamp}}
        - {{name: k, type: Int64}}
        - {{name: v, type: String}}
  merge: {{kind: Append}}
"""
URL_FETCH = "{kind: Url, url: 'http://example.com/data.ndjson'}"


class Node(PlainNode):
    """Headers by name, with `_` for `-`."""

    def call(self, method, path, body=None, headers=()):
        return self.request(method, path, body.encode() if isinstance(body, str) else body, headers)

    def get(self, path, **headers):
        return self.call("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path, body=b"", **headers):
        return self.call("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})


def polling(fetch=URL_FETCH, prepare=""):
    return POLLING.format(fetch=fetch, prepare=prepare)


def node_with(*names, merge=LEDGER, rows=0):
    workspace = Workspace()
    for name in names:
        workspace.add(name, merge)
        if rows:
            workspace.run("ingest", name, "--stdin", data=records(range(rows)))
    return workspace


def datasets_are_made_listed_and_deleted():
    with Workspace() as ws, Node(ws) as node:
        assert node.get("/datasets").json == {"datasets": []}
        made = node.post("/datasets", manifest("river.gauges", LEDGER), Content_Type="application/yaml")
        assert made.status == 201 and made.headers["Location"] == "/river.gauges", made
        (dataset,) = made.json["datasets"]
        assert dataset == {"name": "river.gauges", "id": dataset["id"], "kind": "Root", "head": dataset["head"], "sequence": 1,
                           "records": 0, "bytes": 0, "updated": None, "watermark": None, "pushSources": ["default"],
                           "hasPollingSource": False}, dataset
        assert node.get("/datasets").json == {"datasets": [dataset]}
        summary = node.get("/river.gauges").json
        assert {k: summary[k] for k in dataset} == dataset
        assert summary["vocabulary"] == {"offset": "offset", "operationType": "op", "systemTime": "system_time",
                                         "eventTime": "event_time"}
        assert node.get("/RIVER.gauges").json["name"] == "river.gauges"
        assert node.get("/" + dataset["id"]).json["name"] == "river.gauges"
        # JSON is YAML: a manifest in JSON is taken as well, several documents at once too.
        as_json = json.dumps({"kind": "DatasetSnapshot", "version": 1,
                              "content": {"name": "j", "kind": "Root", "metadata": []}})
        assert node.post("/datasets", as_json, Content_Type="application/json").status == 201
        two = manifest("x", APPEND) + "---\n" + manifest("y", APPEND)
        assert [d["name"] for d in node.post("/datasets", two).json["datasets"]] == ["x", "y"]
        assert node.post("/river.gauges/ingest", records(range(3))).json["records"] == {"received": 3, "added": 3}
        problem(node.post("/datasets", manifest("river.gauges", LEDGER)), 409, "already exists")
        gone = node.call("DELETE", "/river.gauges")
        assert gone.status == 200 and gone.json == {"status": "deleted", "name": "river.gauges", "id": dataset["id"]}, gone
        problem(node.get("/river.gauges"), 404, "Dataset not found: river.gauges")
        problem(node.call("DELETE", "/river.gauges"), 404)
        assert node.post("/datasets", manifest("river.gauges", LEDGER)).status == 201
        assert node.post("/river.gauges/ingest", records(range(3))).json["records"]["added"] == 3
        ws.check_sound("river.gauges")


def bad_manifests_are_refused():
    cases = {
        "empty": (b"", 400, "no manifest"),
        "no YAML": (b"a: [", 400, "body"),
        "binary": (bytes(range(256)), 400, ""),
        "unknown field": (manifest("d", APPEND) + "  nonsense: 1\n", 400, "nonsense"),
        "event": (SOURCE.format(name="s", merge=APPEND), 400, ""),
        "reserved": (manifest("metrics", APPEND), 400, "path of the node's own"),
        "reserved account": (manifest("datasets/x", APPEND), 400, "path of the node's own"),
        "bad name": (manifest("a..b", APPEND), 400, "not a dataset name"),
        "unknown key": (manifest("d", "{kind: Ledger, primaryKey: [nope]}"), 400, "nope"),
        "twice": (manifest("d", APPEND) + "---\n" + manifest("D", APPEND), 409, "twice"),
        "unknown input": ("kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: der\n  kind: Derivative\n  metadata:\n"
                          "    - kind: SetTransform\n      inputs: [{datasetRef: nowhere, alias: i}]\n      transform:\n"
                          "        {kind: Sql, engine: datafusion, query: select * from i}\n", 400, "nowhere"),
    }
    with Workspace() as ws, Node(ws) as node:
        for name, (body, status, word) in cases.items():
            try:
                problem(node.post("/datasets", body), status, word)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from None
        assert node.get("/datasets").json == {"datasets": []}
        too_large = node.post("/datasets", b"#" * (5 << 20))
        assert too_large.status == 413, too_large
        assert not [n for n in os.listdir(os.path.join(ws.home, "datasets")) if not n.startswith(".")]


def inputs_are_not_deleted_under_their_dependants():
    derivative = ("kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: der\n  kind: Derivative\n  metadata:\n"
                  "    - kind: SetTransform\n      inputs: [{datasetRef: a, alias: a}]\n      transform:\n"
                  "        {kind: Sql, engine: datafusion, query: select * from a}\n")
    with Workspace() as ws, Node(ws) as node:
        both = node.post("/datasets", derivative + "---\n" + manifest("a", APPEND))
        assert both.status == 201 and [d["name"] for d in both.json["datasets"]] == ["a", "der"], both
        problem(node.call("DELETE", "/a"), 409, "input of others (der)")
        assert node.call("DELETE", "/der").status == 200
        assert node.call("DELETE", "/a").status == 200


def sources_are_added_replaced_and_disabled():
    with node_with("d") as ws, Node(ws) as node:
        added = node.post("/d/sources", SOURCE.format(name="station", merge=APPEND))
        body = added.json
        assert added.status == 200 and body["status"] == "committed" and body["sequence"] == 2 and len(body["blocks"]) == 1, added
        assert body["newHead"] == body["blocks"][0] and body["notes"] == [], body
        assert [s["sourceName"] for s in node.get("/d/sources").json["sources"]] == ["default", "station"]
        csv = node.post("/d/ingest?sourceName=station", "event_time,k,v\n2024-01-01T00:00:00Z,1,a\n", Content_Type="text/csv")
        tabs = node.post("/d/ingest?sourceName=station", "event_time\tk\tv\n2024-01-01T00:00:00Z\t2\ta,b\n",
                         Content_Type="text/tab-separated-values; charset=utf-8")
        assert csv.status == 200 and csv.json["records"]["added"] == 1, csv
        assert tabs.status == 200 and ws.rows("d")[1]["v"] == "a,b", tabs
        problem(node.post("/d/sources", SOURCE.format(name="station", merge=APPEND)), 400, "NoOpEvent")
        other = SOURCE.format(name="o", merge=APPEND).replace("name: v, type: String", "name: w, type: String")
        problem(node.post("/d/sources", other), 409, "w")
        problem(node.post("/d/sources", SOURCE.format(name="snap", merge=SNAPSHOT)), 400, "Snapshot")
        shared = node.post("/d/sources?sharedSnapshot=true", SOURCE.format(name="snap", merge=SNAPSHOT))
        assert shared.status == 200, shared
        problem(node.post("/d/sources", "kind: SetInfo\ndescription: x\n"), 400, "not a source")
        problem(node.post("/d/sources?sharedSnapshot=maybe", SOURCE.format(name="q", merge=APPEND)), 400, "sharedSnapshot")
        problem(node.post("/nowhere/sources", SOURCE.format(name="q", merge=APPEND)), 404)
        ended = node.call("DELETE", "/d/sources/station")
        assert ended.status == 200 and "0.265" in ended.json["notes"][0], ended
        problem(node.call("DELETE", "/d/sources/station"), 404, "no active source named 'station'", "default")
        problem(node.post("/d/ingest?sourceName=station", records([1])), 404)
        problem(node.call("DELETE", "/d/sources/odf/polling"), 404, "no active source named 'odf/polling'")
        ws.check_sound("d")


def a_dataset_switches_to_polling_and_back():
    with node_with("d") as ws, Node(ws) as node:
        problem(node.post("/d/commit", polling()), 400, "default")
        disable = "kind: MetadataEvent\nversion: 1\ncontent:\n  kind: DisablePushSource\n  sourceName: default\n"
        both = node.post("/d/commit", disable + "---\n" + polling())
        assert both.status == 200 and len(both.json["blocks"]) == 2, both
        assert node.get("/d").json["hasPollingSource"] is True
        problem(node.post("/d/ingest", records([1])), 404)
        assert node.call("DELETE", "/d/sources/odf/polling").status == 200
        assert node.post("/d/sources", SOURCE.format(name="default", merge=APPEND)).status == 200
        assert node.post("/d/ingest", records([1]), Content_Type="application/x-ndjson").json["records"]["added"] == 1
        ws.check_sound("d")


def metadata_is_committed():
    info = "kind: MetadataEvent\nversion: 1\ncontent:\n  kind: SetInfo\n  description: {}\n  keywords: [a, b]\n"
    with node_with("d") as ws, Node(ws) as node:
        head = ws.head("d")
        done = node.post("/d/commit", info.format("what it is")).json
        assert done["oldHead"] == head and ws.head("d") == done["newHead"], done
        summary = node.get("/d").json
        assert summary["description"] == "what it is" and summary["keywords"] == ["a", "b"], summary
        for event in ["Seed", "AddData"]:
            assert node.post("/d/commit", f"kind: {event}\n").status == 400
        problem(node.post("/d/commit", manifest("x", APPEND)), 400, "POST /datasets")
        problem(node.post("/d/commit", b""), 400)
        problem(node.post("/d/commit", "kind: AddPushSource\n"), 400, "'read'")
        problem(node.post("/nowhere/commit", info.format("x")), 404)
        assert ws.head("d") == done["newHead"]


def manifests_may_not_use_the_machine():
    cases = {
        "pipe": polling(prepare="prepare: [{kind: Pipe, command: [cat, /etc/passwd]}]"),
        "container": polling("{kind: Container, image: busybox}"),
        "exec": polling("{kind: Url, url: 'exec:steal'}"),
        "file": polling("{kind: Url, url: 'file:///etc/passwd'}"),
        "filesGlob": polling("{kind: FilesGlob, path: '/etc/*'}"),
        "ssh": polling("{kind: Url, url: 'sftp://host/x'}"),
        "env": polling("{kind: Url, url: 'http://example.com/${{ env.HOME }}'}"),
    }
    disable = "kind: MetadataEvent\nversion: 1\ncontent:\n  kind: DisablePushSource\n  sourceName: default\n---\n"
    with node_with("d") as ws, Node(ws) as node:
        head = ws.head("d")
        for capability, text in cases.items():
            problem(node.post("/d/commit", disable + text), 403, f"may not use {capability}:")
            event = "\n".join("    " + line for line in text.split("content:\n")[1].splitlines())
            snapshot = f"kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: p\n  kind: Root\n  metadata:\n  - \n{event}\n"
            problem(node.post("/datasets", snapshot), 403, f"may not use {capability}:")
        assert ws.head("d") == head and len(node.get("/datasets").json["datasets"]) == 1


def history_is_paged():
    with node_with("d", rows=1) as ws, Node(ws) as node:
        for k in range(1, 8):
            node.post("/d/ingest", records([k]))
        page = node.get("/d/log?limit=4").json
        assert page["head"] == page["blocks"][0]["hash"] and len(page["blocks"]) == 4, page
        assert page["next"] == page["blocks"][-1]["prevBlockHash"]
        rest = node.get("/d/log?from=" + page["next"]).json
        blocks = page["blocks"] + rest["blocks"]
        assert rest["next"] is None and blocks[-1]["event"]["kind"] == "Seed"
        assert [b["sequenceNumber"] for b in blocks] == list(range(len(blocks) - 1, -1, -1))
        assert blocks[0]["event"]["newData"]["offsetInterval"] == {"start": 7, "end": 7}, blocks[0]
        for query in ["limit=0", "limit=x", "limit=1001", "limit=-1", "from=abc"]:
            problem(node.get("/d/log?" + query), 400)
        problem(node.get("/d/log?from=f1620" + "0" * 64), 404, "does not hold block")
        problem(node.get("/nowhere/log"), 404)


def newest_rows_are_shown():
    with node_with("d", rows=25) as ws, Node(ws) as node:
        assert [r["k"] for r in node.get("/d/tail").json] == list(range(15, 25))
        assert [r["k"] for r in node.get("/d/tail?limit=3&skip=5").json] == [17, 18, 19]
        assert node.get("/d/tail?limit=0").json == [] and node.get("/d/tail?skip=100").json == []
        csv = node.get("/d/tail?limit=1", Accept="text/csv")
        assert csv.headers["Content-Type"] == "text/csv" and csv.body.splitlines()[0].startswith(b"offset,op,"), csv
        nd = node.get("/d/tail?limit=2&format=ndjson")
        assert nd.headers["Content-Type"] == "application/x-ndjson" and len(nd.body.splitlines()) == 2
        assert node.get("/d/tail?format=parquet").body[:4] == b"PAR1"
        for query in ["limit=x", "limit=10001", "skip=-1", "format=table", "format=xml"]:
            problem(node.get("/d/tail?" + query), 400)
        node.post("/datasets", manifest("empty", APPEND))
        assert node.get("/empty/tail").json == []


def schemas_are_shown():
    with node_with("d", rows=1) as ws, Node(ws) as node:
        assert [f["name"] for f in node.get("/d/schema").json["fields"]] == ["offset", "op", "system_time", "event_time", "k", "v"]
        for format_, start in [("odf-yaml", b"fields:"), ("arrow-json", b"{"), ("parquet", b"message"), ("parquet-json", b"{"),
                               ("ddl", b"")]:
            answer = node.get("/d/schema?format=" + format_)
            assert answer.status == 200 and answer.body.lstrip().startswith(start), answer
        problem(node.get("/d/schema?format=xsd"), 400, "known are")
        node.post("/datasets", manifest("empty", APPEND))
        problem(node.get("/empty/schema"), 404, "no schema yet")


def query_path(sql, dataset="d", **parameters):
    return f"/{dataset}/query?" + urllib.parse.urlencode({"sql": sql, **parameters})


def queries_are_answered_and_fenced():
    with node_with("d", "other", rows=50) as ws, Node(ws) as node:
        assert node.get(query_path('select count(*) as n, sum(k) as s from "d"')).json == [{"n": 50, "s": 1225}]
        assert node.post("/query", 'select count(*) as n from "d" join "other" using (k)').json == [{"n": 50}]
        as_json = node.post("/query", json.dumps({"query": 'select k from "d" order by k', "limit": 2, "format": "csv"}),
                            Content_Type="application/json")
        assert as_json.status == 200 and as_json.body == b"k\n0\n1\n", as_json
        assert node.post("/d/query?limit=3", 'select k from "d"').json.__len__() == 3
        # One dataset's path reads that dataset alone.
        problem(node.get(query_path('select * from "other"')), 400, "other")
        for sql in ["drop table d", "create table x as select 1", "copy (select 1) to '/tmp/x'", "select 1; select 2",
                    "select * from read_csv('/etc/passwd')", "select * from '/etc/passwd'", "attach 'x.db'", "install httpfs",
                    "set memory_limit='100GB'", "pragma version", "select", "call pragma_version()", "explain analyze select 1"]:
            answer = node.post("/query", sql)
            assert answer.status in (400, 403), f"{sql}: {answer}"
        for sql in ["select getenv('HOME')", "select * from duckdb_settings()", "select * from glob('/*')"]:
            answer = node.post("/query", sql)
            assert b"/root" not in answer.body and b"/etc" not in answer.body, f"{sql}: {answer}"
        problem(node.get("/d/query"), 400, "parameter 'sql'")
        problem(node.post("/query", b" "), 400, "holds no query")
        problem(node.post("/query", b"[]", Content_Type="application/json"), 400, "JSON object")
        problem(node.post("/query", b'{"query": "select 1", "x": 1}', Content_Type="application/json"), 400, "'x'")
        problem(node.post("/query?limit=x", b"select 1"), 400)
        problem(node.post("/query?format=xml", b"select 1"), 400)
        problem(node.get("/nowhere/query?sql=select%201"), 404)


def the_sql_command_asks_a_node():
    """`sluice sql --url` from a folder that is no workspace, with what its other options come to."""
    with node_with("d", rows=20) as ws, Node(ws) as node, Workspace(init=False) as away:
        url = f"http://127.0.0.1:{node.port}"

        def ask(*options, code=0):
            return away.run("sql", "--url", url, *options, code=code)

        assert ask("-o", "csv", "-c", 'select k from d where k < 2 order by k').out == b"k\n0\n1\n"
        assert "│ n  │" in ask("-o", "table", "-c", "select count(*) as n from d").out.decode()
        assert json.loads(ask("-c", "select 7/2 as q").out) == [{"q": 3.5}]
        assert json.loads(ask("--engine", "datafusion", "-c", "select 7/2 as q").out) == [{"q": 3}]
        target = os.path.join(away.folder, "rows.parquet")
        assert b"Exported to" in ask("--output-path", target, "-c", "select * from d").err
        with open(target, "rb") as file:
            assert file.read(4) == b"PAR1"
        failed = os.path.join(away.folder, "none.csv")
        assert b"no dataset 'nowhere'" in ask("--output-path", failed, "-c", "select * from nowhere", code=1).err
        assert not os.path.exists(failed)
        for options in (["--memory-limit-mib", "64"], ["--records-per-file", "5", "--output-path", "x"], ["--output-path", "folder"]):
            ask(*options, "-c", "select 1", code=EXIT_USAGE)
        done = away.run("sql", "--url", "jdbc:hive2://example.com:10000", "-c", "select 1", code=EXIT_USAGE)
        assert b"http://host:port" in done.err, done
        away.run("sql", "--url", "http://127.0.0.1:9", "-c", "select 1", code=EXIT_BUSY)
        problem(node.post("/query", b'{"query": "select 1", "engine": "oracle"}', Content_Type="application/json"), 400, "duckdb")


def verification_is_served():
    with node_with("d", rows=5) as ws, Node(ws) as node:
        body = node.get("/d/verify").json
        head = ws.head("d")
        assert body == {"valid": True, "head": head, "blocks": body["blocks"], "slices": 1, "records": 5, "bytes": body["bytes"],
                        "violationCount": 0, "violations": [], "contains": None}, body
        taken = node.post("/d/ingest", records([9])).json
        found = node.get("/d/verify?metadataOnly=true&contains=" + head).json
        assert found["contains"] == {"asked": head, "block": head, "found": True}, found
        queued = node.call("POST", "/d/ingest", records([10]), {"Prefer": "respond-async"})
        receipt = queued.json["receipt"]
        while node.get("/receipts/" + receipt).json["status"] == "queued":
            pass
        block = node.get("/receipts/" + receipt).json["blockHash"]
        assert node.get("/d/verify?contains=" + receipt).json["contains"] == {"asked": receipt, "block": block, "found": True}
        absent = "f1620" + "1" * 64
        assert node.get("/d/verify?contains=" + absent).json["contains"]["found"] is False
        problem(node.get("/d/verify?contains=abc"), 400, "block hash or a receipt")
        problem(node.get("/d/verify?metadataOnly=2"), 400)
        # Damage is told, not answered with an error.
        data = os.path.join(ws.path("d"), "data")
        name = sorted(os.listdir(data))[0]
        with open(os.path.join(data, name), "r+b") as file:
            file.seek(100)
            file.write(b"\0\1\2\3")
        broken = node.get("/d/verify").json
        assert broken["valid"] is False and broken["violations"][0]["file"] == "data/" + name, broken
        assert taken["blockHash"]


def pull(node, dataset, folder):
    """The pull algorithm of the simple transfer protocol, over HTTP alone."""
    for name in ["blocks", "data", "checkpoints", "refs", "info"]:
        os.makedirs(os.path.join(folder, name), exist_ok=True)

    def save(path):
        answer = node.get(f"/{dataset}/{path}")
        assert answer.status == 200, answer
        with open(os.path.join(folder, path), "wb") as file:
            file.write(answer.body)
        return answer.body

    head = save("refs/head").decode()
    page = node.get(f"/{dataset}/log?limit=1000").json
    assert page["next"] is None
    for block in page["blocks"]:
        assert "f1620" + hashlib.sha3_256(save("blocks/" + block["hash"])).hexdigest() == block["hash"]
        data = block["event"].get("newData") if block["event"]["kind"] == "AddData" else None
        if data:
            body = save("data/" + data["physicalHash"])
            assert "f1620" + hashlib.sha3_256(body).hexdigest() == data["physicalHash"] and len(body) == data["size"]
    return head


def contents_are_pulled():
    with node_with("d", rows=100) as ws, Node(ws) as node:
        for k in range(200, 205):
            node.post("/d/ingest", records([k]))
        folder = tempfile.mkdtemp(prefix="sluice-pull-")
        try:
            head = pull(node, "d", folder)
            if os.path.exists(VERIFIER):
                done = subprocess.run([PRIVATE_PYTHON, VERIFIER, "--json", folder], capture_output=True, timeout=120, check=False)
                assert done.returncode == 0 and json.loads(done.stdout)["head"] == head, done
            else:
                harness.left_out.add("independent verification: no ../shared/tools/odf-verify")
            slices = sorted(os.listdir(os.path.join(folder, "data")))
        finally:
            shutil.rmtree(folder)
        for path in ["blocks/" + head, "data/" + slices[0]]:
            whole = node.get("/d/" + path)
            tag = '"' + path.split("/")[1] + '"'
            assert whole.headers["ETag"] == tag and whole.headers["Content-Type"] == "application/octet-stream"
            part = node.get("/d/" + path, Range="bytes=4-9")
            assert part.status == 206 and part.body == whole.body[4:10], part
            assert node.get("/d/" + path, Range="bytes=99999999-").status == 416
            assert node.get("/d/" + path, If_None_Match=tag).status == 304
            probe = node.call("HEAD", "/d/" + path)
            assert probe.status == 200 and probe.body == b"" and int(probe.headers["Content-Length"]) == len(whole.body)
        head_answer = node.get("/d/refs/head")
        assert len(head_answer.body) == 69 and head_answer.headers["ETag"] == f'"{head}"'


def only_what_the_chain_holds_is_served():
    with node_with("d", rows=3) as ws, Node(ws) as node:
        path = ws.path("d")
        slice_ = sorted(os.listdir(os.path.join(path, "data")))[0]
        stray = "f1620" + hashlib.sha3_256(b"stray").hexdigest()
        for folder in ["blocks", "data", "checkpoints"]:
            with open(os.path.join(path, folder, stray), "wb") as file:
                file.write(b"stray")
            problem(node.get(f"/d/{folder}/{stray}"), 404, "does not hold")
            assert node.get(f"/d/{folder}/..%2Finfo%2Falias").status == 400
            assert node.get(f"/d/{folder}/").status == 404
        problem(node.get("/d/blocks/" + slice_), 404)
        problem(node.get("/d/data/" + slice_.upper()), 404)
        for path in ["/d/info/alias", "/d/refs/other", "/d/refs", "/d/keys/x", "/.sluice/version"]:
            problem(node.get(path), 404)
        for path in ["/d/../d/refs/head", "/d/blocks/../info/alias", "/d/data/%2e%2e/info/alias", "/d/blocks/..%5Cinfo", "/d/blocks/%00"]:
            assert node.get(path).status == 400, path


def other_methods_are_refused():
    with node_with("d") as ws, Node(ws) as node:
        for method, path, allow in [("PUT", "/d", "GET, HEAD, DELETE"), ("DELETE", "/d/log", "GET, HEAD"), ("POST", "/d/blocks/x", "GET, HEAD"),
                                    
                                    ("GET", "/d/commit", "POST"), 
                                    ("PATCH", "/datasets", "GET, HEAD, POST"), ("OPTIONS", "/d/ingest", "POST"),
                                    ("DELETE", "/d/sources", "GET, HEAD, POST")]:
            answer = node.call(method, path)
            problem(answer, 405, method)
            assert answer.headers["Allow"] == allow, f"{method} {path}: {answer}"
        problem(node.get("/"), 404)
        problem(node.get("//"), 404)


def names_are_right_while_others_change_them():
    with node_with("a", "b") as ws, Node(ws) as node:
        for name in "ab":
            assert node.get("/" + name).json["name"] == name
        ws.run("rename", "a", "c")
        problem(node.get("/a"), 404)
        assert node.get("/c").json["name"] == "c"
        ws.run("rename", "b", "a")
        assert node.get("/a").json["name"] == "a" and node.get("/b").status == 404
        ws.run("--yes", "delete", "c")
        problem(node.get("/c"), 404)
        ws.add("b", APPEND)
        assert node.post("/b/ingest", records([1])).json["records"]["added"] == 1
        # Under load, and over and over: never a name that is not there any more.
        stop, wrong = threading.Event(), []

        def ask():
            while not stop.is_set():
                for name in ["x", "y"]:
                    answer = node.get("/" + name)
                    if answer.status == 200 and answer.json["name"] != name:
                        wrong.append(answer)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            names = ["b", "x", "y"]
            for i in range(6):
                old, new = names[i % 3], names[(i + 1) % 3]
                ws.run("rename", old, new)
                assert node.get("/" + new).json["name"] == new and node.get("/" + old).status == 404
        finally:
            stop.set()
            thread.join()
        assert not wrong, wrong


def what_was_taken_before_is_settled_first():
    with node_with("d") as ws, Node(ws) as node:
        receipts = [node.call("POST", "/d/ingest", records([k]), {"Prefer": "respond-async"}).json["receipt"] for k in range(20)]
        assert node.post("/d/sources", SOURCE.format(name="s", merge=APPEND)).status == 200
        assert {node.get("/receipts/" + r).json["status"] for r in receipts} == {"committed"}
        log = ws.run("log", "d").out.decode()  # newest first
        assert log.index("AddPushSource") < log.index("AddData") and log.count("AddPushSource") == 2, log
        assert len(ws.rows("d")) == 20
        receipts = [node.call("POST", "/d/ingest?sourceName=default", records([k]), {"Prefer": "respond-async"}).json["receipt"]
                    for k in range(100, 110)]
        assert node.call("DELETE", "/d?dropQueue=true").status == 200
        for receipt in receipts:
            assert node.get("/receipts/" + receipt).json["status"] in ("dropped", "committed", "failed")


def token(ws, account, *scopes):
    args = [part for scope in scopes for part in ("--scope", scope)]
    text = ws.run("token", "create", "--account", account, *args).out.decode().strip()
    return {"Authorization": "Bearer " + text}


def changes_need_the_right_to_administer():
    info = "kind: SetInfo\ndescription: x\n"
    calls = [("POST", "/datasets", manifest("n", APPEND)), ("DELETE", "/d", None), ("POST", "/d/commit", info),
             ("POST", "/d/sources", SOURCE.format(name="s", merge=APPEND)), ("DELETE", "/d/sources/default", None)]
    with node_with("d", "e") as ws:
        admin, read, push = (token(ws, "kim", scope) for scope in ("admin", "read", "push:d"))
        with Node(ws) as node:
            head = ws.head("d")
            for method, path, body in calls:
                problem(node.call(method, path, body, read), 403, "administer")
                problem(node.call(method, path, body, push), 403, "administer")
                problem(node.call(method, path, body, {"Authorization": "Bearer sluice_aaaaaaaaaa_" + "b" * 43}), 401)
                problem(node.call(method, path.replace("/d/", "/e/"), body, push), 404 if "/d/" in path else 403)
            assert ws.head("d") == head
            assert [d["name"] for d in node.call("GET", "/datasets", headers=read).json["datasets"]] == ["d", "e"]
            problem(node.call("GET", "/datasets", headers=push), 403)
            problem(node.call("GET", "/d", headers=push), 403)
            problem(node.call("GET", "/e", headers=push), 404, "Dataset not found: e")
            for method, path, body in reversed(calls):
                assert node.call(method, path, body, admin).status in (200, 201), (method, path)


def tenants_see_their_own():
    with Workspace() as ws:
        for name in ["acme/d", "acme/e", "bob/d"]:
            ws.add(name.replace("/", "."), APPEND)
            ws.run("rename", name.replace("/", "."), name)
        acme, bob = token(ws, "acme", "admin"), token(ws, "bob", "admin")
        with Node(ws) as node:
            def listed(headers):
                return [d["name"] for d in node.call("GET", "/datasets", headers=headers).json["datasets"]]

            assert listed(acme) == ["acme/d", "acme/e"] and listed(bob) == ["bob/d"]
            assert node.call("POST", "/acme/d/ingest", records([1]), acme).status == 200
            # Absent and forbidden are one answer.
            for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/ingest"), ("POST", "/commit"), ("GET", "/sources"),
                                 ("POST", "/sources"), ("DELETE", "/sources/default"), ("GET", "/sources/default/state"),
                                 ("GET", "/queue")]:
                there, absent = (problem(node.call(method, f"/acme/{name}{path}", b"x", bob), 404) for name in "dq")
                assert there["detail"].replace("acme/d", "X") == absent["detail"].replace("acme/q", "X"), (there, absent)
            # An id is no way around it.
            did = node.call("GET", "/acme/d", headers=acme).json["id"]
            assert node.call("GET", "/" + did, headers=acme).status == 200
            problem(node.call("GET", "/" + did, headers=bob), 404, "Dataset not found: did:odf:")
            made = node.call("POST", "/datasets", manifest("acme/new", APPEND), acme)
            assert made.status == 201 and made.headers["Location"] == "/acme/new", made
            problem(node.call("POST", "/datasets", manifest("bob/new", APPEND), acme), 404)
            derivative = ("kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: acme/der\n  kind: Derivative\n  metadata:\n"
                          "    - kind: SetTransform\n      inputs: [{datasetRef: bob/d, alias: i}]\n      transform:\n"
                          "        {kind: Sql, engine: datafusion, query: select * from i}\n")
            problem(node.call("POST", "/datasets", derivative, acme), 400, "Dataset not found: bob/d")
            problem(node.call("POST", "/datasets", manifest("acme/sources", APPEND), acme), 400, "path of the node's own")


def capabilities_are_granted_by_account():
    snapshot = ("kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: {}\n  kind: Root\n  metadata:\n"
                "  - kind: SetPollingSource\n    fetch: {{kind: Url, url: '{}'}}\n"
                "    read: {{kind: NdJson}}\n    merge: {{kind: Append}}\n")
    with Workspace() as ws:
        kim, bob = token(ws, "kim", "admin"), token(ws, "bob", "admin")
        data = ws.write("data.ndjson", records([1, 2]))
        path = ws.write("node.yaml", "capabilities:\n  default: [env]\n  accounts:\n    kim: [file, exec]\n")
        with Node(ws, "--config", path) as node:
            assert node.call("POST", "/datasets", snapshot.format("k", "file://" + data), kim).status == 201
            problem(node.call("POST", "/datasets", snapshot.format("b", "file://" + data), bob), 403, "may not use file:")
            assert node.call("POST", "/datasets", snapshot.format("b", "http://x.example/${{ env.A }}"), bob).status == 201
            problem(node.call("POST", "/datasets", snapshot.format("e", "http://x.example/${{ env.A }}"), kim), 403, "may not use env:")
            problem(node.post("/datasets", snapshot.format("c", "exec:x")), 403, "may not use exec:")
        ws.run("pull", "k")
        assert len(ws.rows("k")) == 2
        done = ws.run("serve", "--check-config", "--config", ws.write("bad.yaml", "capabilities: {default: [pipes]}\n"), code=(1, 2))
        assert "is not a capability: known are pipe" in done.err.decode(), done


def an_account_has_so_many_datasets():
    with node_with("d") as ws:
        kim = token(ws, "kim", "admin")
        path = ws.write("node.yaml", "quotas:\n  accounts:\n    kim: {datasets: 2}\n")
        with Node(ws, "--config", path) as node:
            # Its own count, and what is everybody's or another's does not.
            problem(node.call("POST", "/datasets", manifest("a", APPEND), kim), 403, "call it 'kim/a'")
            assert node.post("/datasets", manifest("other/a", APPEND)).status == 201
            for name in ("kim/a", "kim/b"):
                assert node.call("POST", "/datasets", manifest(name, APPEND), kim).status == 201
            problem(node.call("POST", "/datasets", manifest("kim/c", APPEND), kim), 429, "may have 2 dataset(s), there are 2")
            assert node.call("DELETE", "/kim/a", headers=kim).status == 200
            assert node.call("POST", "/datasets", manifest("kim/c", APPEND), kim).status == 201
            assert node.post("/datasets", manifest("b", APPEND)).status == 201


def large_results_are_bounded():
    with node_with("d", rows=1) as ws, Node(ws) as node:
        answer = node.post("/query?format=ndjson", "select range as n from range(300000)")
        lines = answer.body.splitlines()
        assert len(lines) == 300000 and lines[-1] == b'{"n":299999}', (answer.status, len(lines))
        problem(node.post("/query?format=csv", "select range as n from range(5000000)"), 422, "more than 1000000 rows")
        assert node.post("/query?limit=7", "select range as n from range(5000000)").json == [{"n": i} for i in range(7)]
        problem(node.post("/query", "select string_agg(a.range::varchar || 'xxxxxxxxxxxxxxxxxxxx') as s from range(60000000) a"), 422)
        # What waits on disk has no name, and is gone with its client.
        assert not [n for n in os.listdir(os.path.join(ws.home, "tmp")) if not n.startswith(".")], os.listdir(os.path.join(ws.home, "tmp"))


ENDLESS = "select count(*) as n from range(100000000) a, range(100000) b where a.range % 7 = b.range % 11"


def open_query(node, sql):
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)
    connection.request("POST", "/query", sql)
    return connection


def running(node):
    found = {line.split()[0]: float(line.split()[1]) for line in node.get("/metrics").body.decode().splitlines()
             if line.startswith("sluice_long_calls")}
    return found["sluice_long_calls"], found["sluice_long_calls_waiting"]


def queries_do_not_hold_up_pushes():
    with node_with("d", rows=1) as ws, Node(ws, "--block-budget", "unlimited") as node:
        waiting = [open_query(node, ENDLESS) for _ in range(15)]
        node.eventually(lambda: running(node), lambda found: found == (3, 12))
        # One more is turned away at once, with the time to come again.
        problem(node.post("/query", "select 1"), 503, "too many long calls")
        problem(node.get("/d/verify"), 503, "too many long calls")
        slowest = 0
        for k in range(10, 40):
            start = time.monotonic()
            assert node.post("/d/ingest", records([k])).json["records"]["added"] == 1
            slowest = max(slowest, time.monotonic() - start)
        assert slowest < 5, slowest
        assert node.get("/d").json["records"] == 31 and node.get("/d/refs/head").status == 200
        # A query ends when its client has gone.
        for connection in waiting:
            if waiting.index(connection) % 2:  # half of them without a word
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        node.eventually(lambda: running(node), lambda found: found == (0, 0), 20)
        assert node.post("/query", "select 1 as n").json == [{"n": 1}]


def a_query_has_its_time():
    with node_with("d", rows=1) as ws:
        path = ws.write("node.yaml", "limits: {queryTime: 1s, queryRows: 10, queryBytes: 1000, longCalls: 1}\n")
        with Node(ws, "--config", path) as node:
            problem(node.post("/query", ENDLESS), 422)
            problem(node.post("/query", "select * from range(11)"), 422, "more than 10 rows")
            problem(node.post("/query", "select repeat('x', 2000) as s"), 422, "more than 1000 bytes")
            assert len(node.post("/query", "select * from range(10)").json) == 10


def a_node_ends_in_the_midst_of_queries():
    with node_with("d", rows=1) as ws, Node(ws) as node:
        waiting = [open_query(node, ENDLESS) for _ in range(5)]
        node.eventually(lambda: running(node), lambda found: found == (3, 2))
        start = time.monotonic()
        node.stop()
        assert time.monotonic() - start < 15
        for connection in waiting:
            connection.close()


def reading_needs_the_right_to_read():
    paths = ["", "/log", "/tail", "/query?sql=select%201", "/schema", "/verify", "/refs/head", "/blocks/x", "/data/x",
             "/checkpoints/x"]
    with node_with("d", "e", rows=1) as ws:
        read, push = token(ws, "kim", "read"), token(ws, "kim", "push:d")
        block, slice_ = ws.head("d"), os.listdir(os.path.join(ws.path("d"), "data"))[0]
        with Node(ws) as node:
            for path in paths:
                problem(node.call("GET", "/d" + path, headers=push), 403, "read")
                there = problem(node.call("GET", "/e" + path, headers=push), 404, "Dataset not found: e")
                absent = problem(node.call("GET", "/q" + path, headers=push), 404, "Dataset not found: q")
                assert set(there) == set(absent)
                answer = node.call("GET", "/d" + path.replace("blocks/x", "blocks/" + block).replace("data/x", "data/" + slice_),
                                   headers=read)
                assert answer.status == (404 if "checkpoints" in path else 200), answer
            problem(node.call("POST", "/query", b"select 1", push), 403)
            problem(node.call("POST", "/query", b"select 1", {"Authorization": "Bearer x"}), 401)
            # A query reads what its caller may read.
            tenant = token(ws, "acme", "read")
            ws.run("rename", "e", "bob/e")
            problem(node.call("POST", "/query", b'select * from "bob/e"', tenant), 400, "no dataset 'bob/e'")
            assert len(node.call("POST", "/query", b"select * from d", tenant).json) == 1


def a_refused_upload_leaves_nothing(node, dataset):
    """A source that was made for a file which was then refused would read all that comes later as such a file."""
    def upload(name, body):
        token = node.post(f"/platform/file/upload/prepare?fileName={name}&contentLength={len(body)}").json["uploadToken"]
        assert node.post("/platform/file/upload/" + token, body).status == 200
        return f"/{dataset}/ingest?uploadToken=" + token

    before = node.get(f"/{dataset}/log").json
    good = upload("x.json", b'[{"a": 1}]')
    problem(node.post(upload("x.json", b'{"broken":')), 400, "JSON")
    problem(node.post(upload("x.csv", b"a,b\n1\n")), 422, "1 record")
    problem(node.post(upload("x.csv", b"a,a\n1,2\n")), 400, "column")
    problem(node.post(good, ODF_Event_Time="nope"), 400, "ODF-Event-Time")
    problem(node.post(good, ODF_Source_State="2"), 428, "together")
    problem(node.post(good, ODF_Source_State="2", ODF_If_Source_State="1"), 412, "is at state none, not '1'")
    problem(node.post(good + "&sourceName=other"), 404, "other")
    assert node.get(f"/{dataset}/log").json == before
    assert node.post(upload("x.csv", b"a,b\n1,2\n"), ODF_Source_State="1", ODF_If_Source_State="*").json["records"]["added"] == 1


def files_are_uploaded_then_ingested():
    csv = b"a,b\n1,x\n2,y\n"
    bare = "kind: DatasetSnapshot\nversion: 1\ncontent: {name: %s, kind: Root, metadata: []}\n"
    with Workspace() as ws, Node(ws) as node:
        for name in "defg":
            assert node.post("/datasets", bare % name).status == 201
        prepare = "/platform/file/upload/prepare?fileName=t.csv&contentLength=%d" % len(csv)
        plan = node.post(prepare).json
        assert set(plan) == {"uploadUrl", "method", "useMultipart", "headers", "fields", "uploadToken"} and plan["headers"] == []
        assert plan["uploadUrl"] == f"http://127.0.0.1:{node.port}/platform/file/upload/{plan['uploadToken']}", plan
        path = "/platform/file/upload/" + plan["uploadToken"]
        ingest = "/d/ingest?uploadToken=" + plan["uploadToken"]
        problem(node.post(ingest), 404, "nothing was uploaded")
        form = (b"--XX\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nno\r\n--XX\r\nContent-Disposition: form-data; "
                b"name=\"file\"; filename=\"t.csv\"\r\nContent-Type: text/csv\r\n\r\n" + csv + b"\r\n--XX--\r\n")
        stored = node.post(path, form, Content_Type="multipart/form-data; boundary=XX")
        assert stored.status == 200 and stored.json["contentLength"] == len(csv), stored
        assert node.get(path).body == csv
        node.restart()
        assert node.get(path).body == csv
        taken = node.post(ingest)
        assert taken.status == 200 and taken.json["records"] == {"received": 2, "added": 2} and taken.json["sourceName"] == "auto", taken
        rows = ws.rows("d")
        assert [(r["a"], r["b"]) for r in rows] == [("1", "x"), ("2", "y")], rows
        event = [b["event"] for b in node.get("/d/log").json["blocks"] if b["event"]["kind"] == "AddPushSource"]
        assert event[0]["sourceName"] == "auto" and event[0]["merge"] == {"kind": "Append"}, event
        # Raw bodies too, and the media type wins over the name.
        plan = node.post("/platform/file/upload/prepare?fileName=x.csv&contentType=application/x-ndjson&contentLength=8").json
        assert node.post("/platform/file/upload/" + plan["uploadToken"], b'{"a":1}\n').status == 200
        assert node.post("/e/ingest?uploadToken=" + plan["uploadToken"]).json["records"]["added"] == 1
        plan = node.post("/platform/file/upload/prepare?fileName=t.tsv&contentLength=8").json
        assert node.post("/platform/file/upload/" + plan["uploadToken"], b"a\tb\n1\t,\n").status == 200
        assert node.post("/g/ingest?uploadToken=" + plan["uploadToken"]).json["records"]["added"] == 1
        assert [(r["a"], r["b"]) for r in ws.rows("g")] == [("1", ",")]
        # With a key a repeat adds nothing.
        key = {"Idempotency-Key": "k1"}
        assert node.call("POST", ingest, headers=key).json["status"] == "committed"
        assert node.call("POST", ingest, headers=key).json["status"] == "duplicate"
        # What goes wrong.
        unknown = node.post("/platform/file/upload/prepare?fileName=x&contentLength=3").json["uploadToken"]
        problem(node.post("/platform/file/upload/" + unknown, b"four"), 400,
                "Actual content length 4 does not match the initially declared length 3")
        assert node.post("/platform/file/upload/" + unknown, b"abc").status == 200
        problem(node.post("/f/ingest?uploadToken=" + unknown), 404, "no source")
        problem(node.post("/f/ingest?uploadToken=" + unknown, b"x"), 400, "not both")
        a_refused_upload_leaves_nothing(node, "f")
        problem(node.post("/nowhere/ingest?uploadToken=" + unknown), 404, "Dataset not found")
        problem(node.post(f"/d/ingest?uploadToken={unknown}&uploadToken={unknown}"), 400, "2 times")
        for bad in ["x", unknown[:-6], unknown[:-6] + "AAAAAA", "A" + unknown, unknown + "A", unknown + ".", "B" * 9000]:
            problem(node.post("/f/ingest?uploadToken=" + bad), 400, "not an upload token")
            problem(node.post("/platform/file/upload/" + bad, b"x"), 400, "not an upload token")
        for query in ["", "fileName=x", "contentLength=3", "fileName=&contentLength=3", "fileName=x&contentLength=-1",
                      "fileName=x&contentLength=abc", "fileName=a%0Ab&contentLength=1"]:
            problem(node.post("/platform/file/upload/prepare?" + query), 400)
        problem(node.post("/platform/file/upload/prepare?fileName=x&contentLength=99999999999"), 400, "Content too large")
        problem(node.post("/platform/file/upload/prepare?fileName=x&contentLength=1&contentType=text/html"), 415)
        assert node.post("/platform/file/upload/prepare?fileName=%FF%FE&contentLength=1").status == 200
        for broken in [b"", b"--XX", b"--XX\r\n\r\nabc", form.replace(b'"file"', b'"nofile"'), form[:-12]]:
            problem(node.post(path, broken, Content_Type="multipart/form-data; boundary=XX"), 400)
        problem(node.post(path, form, Content_Type="multipart/form-data"), 400, "boundary")
        assert os.stat(os.path.join(ws.home, "upload-key")).st_mode & 0o777 == 0o600
        ws.check_sound("d", "e")


def uploads_belong_to_an_account_and_expire():
    with node_with("d") as ws:
        kim, bob = token(ws, "kim", "push:d"), token(ws, "bob", "admin")
        path = ws.write("node.yaml", "limits: {uploadTime: 3s, upload: 1KiB, uploads: 1KiB}\n")
        with Node(ws, "--config", path) as node:
            row = records([1])
            prepare = f"/platform/file/upload/prepare?fileName=t.ndjson&contentLength={len(row)}"
            plan = node.call("POST", prepare, headers=kim)
            assert kim["Authorization"].split()[1] not in plan.body.decode(), plan
            upload = plan.json["uploadToken"]
            address = "/platform/file/upload/" + upload
            problem(node.call("POST", address, row, bob), 403, "another account")
            problem(node.call("POST", address, row), 403)
            problem(node.call("GET", address, headers={"Authorization": "Bearer x"}), 401)
            assert node.call("POST", address, row, kim).status == 200
            problem(node.call("GET", address, headers=bob), 403)
            problem(node.call("POST", "/d/ingest?uploadToken=" + upload, headers=bob), 403, "another account")
            assert node.call("POST", "/d/ingest?uploadToken=" + upload, headers=kim).json["records"]["added"] == 1
            problem(node.call("POST", "/platform/file/upload/prepare?fileName=x&contentLength=1000", headers=bob), 503, "wait")
            problem(node.call("POST", "/platform/file/upload/prepare?fileName=x&contentLength=1025", headers=bob), 400, "at most 1024")
            assert node.call("POST", address, b"x" * 200000, kim).status == 413
            time.sleep(3.2)
            problem(node.call("GET", address, headers=kim), 401, "expired")
            assert node.call("POST", prepare, headers=kim).status == 200
            assert not [n for n in os.listdir(os.path.join(ws.home, "uploads")) if not n.startswith(".")]


def uploads_are_as_large_as_the_workspace_says():
    with node_with("d") as ws:
        prepare = "/platform/file/upload/prepare?fileName=x.csv&contentLength=%d"
        ws.run("config", "set", "uploads.maxFileSizeInMb", "1")
        with Node(ws) as node:
            assert node.post(prepare % (1 << 20)).status == 200
            problem(node.post(prepare % ((1 << 20) + 1)), 400, "at most 1048576")
        path = ws.write("node.yaml", "limits: {upload: 2MiB}\n")
        with Node(ws, "--config", path) as node:
            assert node.post(prepare % (2 << 20)).status == 200
        ws.run("config", "set", "uploads.maxFileSizeInMb", "65")
        for said in (Node(ws, start=False).refuses(), ws.run("serve", "--check-config", code=1).err.decode()):
            assert "uploads.maxFileSizeInMb of" in said and "at most 64MiB" in said, said


if __name__ == "__main__":
    main([datasets_are_made_listed_and_deleted, bad_manifests_are_refused, inputs_are_not_deleted_under_their_dependants, sources_are_added_replaced_and_disabled, a_dataset_switches_to_polling_and_back, metadata_is_committed, manifests_may_not_use_the_machine, other_methods_are_refused, names_are_right_while_others_change_them, what_was_taken_before_is_settled_first,
          changes_need_the_right_to_administer, tenants_see_their_own, capabilities_are_granted_by_account, an_account_has_so_many_datasets, history_is_paged, newest_rows_are_shown, schemas_are_shown,
          queries_are_answered_and_fenced, the_sql_command_asks_a_node, large_results_are_bounded, queries_do_not_hold_up_pushes, a_query_has_its_time,
          a_node_ends_in_the_midst_of_queries, verification_is_served, contents_are_pulled, only_what_the_chain_holds_is_served,
          reading_needs_the_right_to_read, files_are_uploaded_then_ingested, uploads_belong_to_an_account_and_expire,
          uploads_are_as_large_as_the_workspace_says])
