#!/usr/bin/env python3
"""The node's HTTP API beside the push path: datasets, sources, reading, queries, the simple transfer protocol."""
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import urllib.parse

import harness
from harness import APPEND, LEDGER, PRIVATE_PYTHON, SNAPSHOT, VERIFIER, Workspace, main, manifest, records
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
        problem(node.get("/river.gauges"), 404, "dataset not found: river.gauges")
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
        assert csv.status == 200 and csv.json["records"]["added"] == 1, csv
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


def other_methods_are_refused():
    with node_with("d") as ws, Node(ws) as node:
        for method, path, allow in [("PUT", "/d", "GET, HEAD, DELETE"), 
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
            problem(node.call("GET", "/e", headers=push), 404, "dataset not found: e")
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
            problem(node.call("GET", "/" + did, headers=bob), 404, "dataset not found: did:odf:")
            made = node.call("POST", "/datasets", manifest("acme/new", APPEND), acme)
            assert made.status == 201 and made.headers["Location"] == "/acme/new", made
            problem(node.call("POST", "/datasets", manifest("bob/new", APPEND), acme), 404)
            derivative = ("kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: acme/der\n  kind: Derivative\n  metadata:\n"
                          "    - kind: SetTransform\n      inputs: [{datasetRef: bob/d, alias: i}]\n      transform:\n"
                          "        {kind: Sql, engine: datafusion, query: select * from i}\n")
            problem(node.call("POST", "/datasets", derivative, acme), 400, "dataset not found: bob/d")
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
            assert node.call("POST", "/datasets", manifest("a", APPEND), kim).status == 201
            problem(node.call("POST", "/datasets", manifest("b", APPEND), kim), 429, "may have 2 dataset(s)")
            assert node.post("/datasets", manifest("b", APPEND)).status == 201


if __name__ == "__main__":
    main([datasets_are_made_listed_and_deleted, bad_manifests_are_refused, inputs_are_not_deleted_under_their_dependants, sources_are_added_replaced_and_disabled, a_dataset_switches_to_polling_and_back, metadata_is_committed, manifests_may_not_use_the_machine, other_methods_are_refused, names_are_right_while_others_change_them, what_was_taken_before_is_settled_first,
          changes_need_the_right_to_administer, tenants_see_their_own, capabilities_are_granted_by_account, an_account_has_so_many_datasets])
