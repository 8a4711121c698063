#!/usr/bin/env python3
"""A schema-driven fuzzer (schemathesis) against a real node: every answer is one that /openapi.json tells of, whatever is asked.

Its program comes with `tools/setup --integration`; without it the test fails.
"""
import json
import os
import re
import subprocess
import sys

import harness
from harness import APPEND, LEDGER, Workspace, main, records
from node import Node
from sources_test import POLLING

SCHEMATHESIS = os.path.join(harness.DEPS, "python-integration", "bin", "schemathesis")
CHECKS = ("status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,"
          "unsupported_method,allow_header_conformance,not_a_server_error")
EXAMPLES = os.environ.get("SLUICE_FUZZ_EXAMPLES", "40")
# What takes more than a guess: receipts, manifests, checkpoints, sources that can be ended.
MAY_FAIL = {("DELETE", "/{dataset}"), ("GET", "/receipts/{id}"), ("POST", "/{dataset}/queue/{receipt}/{action}"),
            ("GET", "/{dataset}/checkpoints/{hash}"), ("POST", "/datasets"), ("POST", "/{dataset}/commit"),
            ("POST", "/{dataset}/sources"), ("DELETE", "/{dataset}/sources/{source}"),
            ("DELETE", "/{dataset}/sources/odf/polling"), ("GET", "/platform/file/upload/{token}"),
            ("GET", "/{dataset}/sources/{source}/state")}


def fuzz(node, folder, names, *args):
    """`names` gives values of path and query parameters that mean something here: calls then get further than the first 404.
    None leaves a parameter out."""
    described = node.get("/openapi.json").json
    for item in described["paths"].values():
        operations = [operation for method, operation in item.items() if method != "parameters"]
        for operation in operations:
            operation["parameters"] = [p for p in operation["parameters"] if names.get(p["name"], "") is not None]
        for parameter in item["parameters"] + [p for operation in operations for p in operation["parameters"]]:
            if parameter["name"] in names:
                parameter["schema"] = {"type": "string", "enum": names[parameter["name"]]}
        for operation in operations:
            bodies = operation.get("requestBody", {}).get("content", {})
            for kind in list(bodies):
                if operation["operationId"] in names:
                    bodies[kind]["schema"] = {"type": "string", "enum": names[operation["operationId"]]}
                if operation["operationId"] in names and kind in ("application/json", "multipart/form-data"):
                    del bodies[kind]
    path = os.path.join(folder, "openapi.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(described, file)
    assert os.path.exists(SCHEMATHESIS), "schemathesis is missing: run tools/setup --integration"
    done = subprocess.run([SCHEMATHESIS, "run", path, "--url", f"http://127.0.0.1:{node.port}", "--checks", CHECKS,
                           "--max-examples", EXAMPLES, "--seed", "20240501", "--continue-on-failure", "--warnings", "off",
                           "--suppress-health-check", "all", "--request-timeout", "60", *args],
                          cwd=folder, capture_output=True, timeout=1500, check=False)
    out = done.stdout.decode(errors="replace")
    assert node.process.poll() is None, f"the node has ended: {node.said[-20:]}"
    assert done.returncode == 0, out[-20000:] + done.stderr.decode(errors="replace")[-2000:]
    return out


def names_of(ws, token="x"):
    return {"dataset": ["d", "e", "p", "nowhere"], "source": ["default", "nowhere"], "sourceName": ["default", "nowhere"],
            "token": [token, "x"], "from": [ws.head("d"), "x"], "sql": ["select * from d", "select 1", "drop table d"],
            "hash": [ws.head("d"), os.listdir(os.path.join(ws.path("d"), "data"))[0], "x"]}


def prepared():
    ws = Workspace()
    ws.add("d", LEDGER)
    ws.add("e", APPEND)
    for name in "de":
        ws.run("ingest", name, "--stdin", data=records(range(3)))
    ws.run("add", ws.write("p.yaml", POLLING.format(path=ws.write("p.ndjson", records(range(3))))))
    ws.run("pull", "p")
    return ws


def answers_are_those_that_are_described():
    with prepared() as ws, Node(ws) as node:
        print(fuzz(node, ws.folder, {}).splitlines()[-3:], file=sys.stderr)
        ws.run("verify")


def answers_about_datasets_that_exist_are_too():
    with prepared() as ws, Node(ws, "--block-budget", "unlimited") as node:
        upload = node.request("POST", "/platform/file/upload/prepare?fileName=a.ndjson&contentLength=4").json["uploadToken"]
        names = names_of(ws, upload)
        sql = ["select * from d", "select 1 as n", "copy d to 'x'", "select"]
        names.update({"uploadToken": None, "ODF-If-Source-State": ["*"], "ODF-Source-State-Kind": None, "ODF-Event-Time": None})
        names.update({"postQuery": sql, "postDatasetQuery": sql, "pushBatch": [harness.record(k) for k in range(20)],
                      "upload": ["abc\n", "x"], "commitMetadata": ["kind: SetInfo\ndescription: x\n", "kind: Seed\n"]})
        # Deleting what the other calls are about would end the test early.
        print(fuzz(node, ws.folder, names, "--exclude-operation-id", "deleteDataset",
                   "--exclude-operation-id", "disablePolling").splitlines()[-3:], file=sys.stderr)
        assert node.get("/d").status == 200
        # Most calls must have got as far as a good answer, or this would say little.
        metrics = node.get("/metrics").body.decode()
        good = {(method, route) for route, method in re.findall(r'route="([^"]*)",method="([A-Z]+)",status="20[012]"', metrics)}
        described = {(method.upper(), path) for path, item in node.get("/openapi.json").json["paths"].items()
                     for method in item if method != "parameters"}
        missed = described - good - MAY_FAIL
        assert not missed, f"no call got a good answer: {sorted(missed)}"
        ws.run("verify")


def a_caller_without_the_right_is_answered_as_described():
    with prepared() as ws:
        token = ws.run("token", "create", "--account", "kim", "--scope", "push:d").out.decode().strip()
        with Node(ws) as node:
            fuzz(node, ws.folder, names_of(ws), "-H", f"Authorization: Bearer {token}",
                 "--mode", "positive")


if __name__ == "__main__":
    main([answers_are_those_that_are_described, answers_about_datasets_that_exist_are_too,
          a_caller_without_the_right_is_answered_as_described])
