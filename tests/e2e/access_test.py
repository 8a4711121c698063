#!/usr/bin/env python3
"""Who may do what on a node: anonymous callers, tokens, listeners that others can reach; its access log and scheduled compaction."""
import http.client
import json
import os
import ssl
import subprocess
import time

from harness import APPEND, Workspace, main, records
from node import Node, check_problem

EXIT_USAGE = 2


def token(ws, *scopes, account="kim", **options):
    args = [part for scope in scopes for part in ("--scope", scope)]
    return ws.run("token", "create", "--account", account, *args, **options).out.decode().strip()


def bearer(text):
    return {"Authorization": "Bearer " + text}


def call(node, method, path, text, body=None):
    return node.request(method, path, body, bearer(text))


def status_for_host(node, host):
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    connection.putrequest("GET", "/d/sources", skip_host=True)
    connection.putheader("Host", host)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def anonymous_callers_are_programs_of_this_machine():
    with Workspace() as ws:
        ws.add("d", APPEND)
        with Node(ws) as node:
            assert any("without a token" in line for line in node.said), node.said
            for host in ["localhost", "127.0.0.1:80", "[::1]:99", "LOCALHOST"]:
                assert status_for_host(node, host) == 200, host
            for host in ["example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "127.0.0.1:80@example.com",
                         "[::1].example.com", "localhost:x"]:
                assert status_for_host(node, host) == 403, host
            # What stands in the request line counts, whatever Host says.
            absolute = b"GET http://%s/d/sources HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            assert node.raw(absolute % b"example.com").startswith(b"HTTP/1.1 403 ")
            assert node.raw(absolute % b"127.0.0.1:80").startswith(b"HTTP/1.1 200 ")
            check_problem(node.request("POST", "/d/ingest", records([1]), {"Origin": "null"}), 403)
            check_problem(node.get("/d/sources", headers={"Authorization": "Basic abc"}), 401)
            for path in ("/d/sources", "/livez"):
                two = node.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\n"
                               "Connection: close\r\n\r\n".encode())
                assert two.startswith(b"HTTP/1.1 400 ") and b"Authorization is given more than once" in two, two
            wrong = node.get("/d/sources", headers=bearer("sluice_aaaaaaaaaa_" + "b" * 43))
            check_problem(wrong, 401)
            assert wrong.headers["WWW-Authenticate"] == "Bearer"
            check_problem(node.get("/operator/status"), 403)
            assert not ws.rows("d")


def tokens_give_what_their_scopes_say():
    with Workspace() as ws:
        ws.add("d", APPEND)
        ws.add("e", APPEND)
        ws.add("own", APPEND)
        ws.run("rename", "own", "kim/own")
        tokens = {scope: token(ws, scope) for scope in ["admin", "read", "push", "push:d", "push:d/default", "push:d/other",
                                                        "push:kim/own", "push:kim/own/default", "push:kim/own/other"]}
        with Node(ws) as node:
            expected = {
                ("GET", "/d/sources", None): {"admin": 200, "read": 200, "push:d": 200, "push:d/other": 200, "push:e": 404},
                ("GET", "/d/log", None): {"admin": 200, "read": 200, "push:d": 403, "push:e": 404},
                ("GET", "/d/sources/default", None): {"read": 200, "push:d": 200, "push:d/default": 200, "push:d/other": 403},
                ("POST", "/d/ingest?sourceName=default", records([1])):
                    {"admin": 200, "read": 403, "push": 200, "push:d": 200, "push:d/default": 200, "push:d/other": 403},
                ("POST", "/d/ingest", records([2])): {"push:d": 200, "push:d/default": 403},
                ("POST", "/e/ingest", records([1])): {"push": 200, "read": 403, "push:d": 404, "push:d/default": 404},
                ("GET", "/d/queue", None): {"admin": 200, "read": 403},
                ("POST", "/kim/own/ingest?sourceName=default", records([1])):
                    {"push:kim/own": 200, "push:kim/own/default": 200, "push:kim/own/other": 403, "push:d": 404},
                ("GET", "/operator/status", None): {"admin": 403},
            }
            tokens["push:e"] = token(ws, "push:e")
            time.sleep(0.5)
            for (method, path, body), answers in expected.items():
                for scope, status in answers.items():
                    answer = call(node, method, path, tokens[scope], body)
                    assert answer.status == status, f"{scope}: {method} {path}: {answer}"
            # What goes on at the node, as far as it is theirs.
            ours, theirs = (call(node, "GET", "/platform/status", tokens[scope]).json["datasets"] for scope in ("admin", "push:d"))
            assert "d" in [one["dataset"] for one in ours] and theirs == [], (ours, theirs)
            shown = ws.run("status", "--url", f"http://127.0.0.1:{node.port}", "--token", tokens["admin"], "-o", "csv").out.decode()
            assert "d,default," in shown, shown
            # Absent and not shown are one answer.
            absent, hidden = (call(node, "GET", f"/{name}/sources", tokens["push:d"]).json for name in ("x", "e"))
            assert absent["detail"] == "Dataset not found: x" and hidden["detail"] == "Dataset not found: e", (absent, hidden)


def a_right_to_push_reads_its_sources_alone():
    """Whatever the query says: every call that reads, with every kind of right to push, as the node itself lists them."""
    with Workspace() as ws:
        ws.add("d", APPEND)
        ws.run("ingest", "d", "--stdin", data=records([1]))
        folder = ws.run("system", "path", "d").out.decode().strip()
        names = {"blocks": ws.head("d"), "data": os.listdir(os.path.join(folder, "data"))[0]}
        tokens = [token(ws, scope) for scope in ["push", "push:d", "push:d/default"]]
        reader = token(ws, "read")
        with Node(ws) as node:
            calls = []
            for path, item in node.get("/openapi.json").json["paths"].items():
                if "{source}" in path or path.startswith(("/platform", "/receipts", "/operator")) or path.endswith("/sources"):
                    continue
                part = path.strip("/").split("/")[1:2]
                concrete = path.replace("{account}/", "").replace("{dataset}", "d").replace("{hash}", names.get("".join(part), "x"))
                calls += [(method.upper(), concrete) for method in item
                          if method == "get" and (path.startswith("/{") or path == "/datasets")
                          or method == "post" and path.endswith("/query")]
            paths = {path for _, path in calls}
            assert {"/d", "/d/log", "/d/tail", "/d/query", "/d/schema", "/d/verify", "/d/refs/head", "/datasets", "/query",
                    "/d/blocks/" + names["blocks"], "/d/data/" + names["data"], "/d/sources/odf/polling"} <= paths, paths
            for method, path in calls:
                body = None if method == "GET" else b"select 1"
                for query in ["?sourceName=default", "?sql=select%201&sourceName=default", "?sourceName=x&sourceName=default", ""]:
                    for text in tokens:
                        check_problem(call(node, method, path + query, text, body), 403)
                if "checkpoints" not in path and "queue" not in path and "polling" not in path:
                    assert call(node, method, path + "?sql=select%201", reader, body).status == 200, (method, path)
            for text in tokens:
                assert call(node, "GET", "/d/sources/default", text).status == 200
            check_problem(call(node, "GET", "/d/sources/other?sourceName=default", tokens[2]), 403)


def who_may_not_push_is_refused_before_the_body():
    with Workspace() as ws:
        ws.add("d", APPEND)
        read, push = token(ws, "read"), token(ws, "push")
        with Node(ws) as node:
            for text, status in [(read, b"403"), ("sluice_aaaaaaaaaa_" + "b" * 43, b"401"), (push, b"100")]:
                head = (f"POST /d/ingest HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {text}\r\nContent-Length: 50000000\r\n"
                        "Expect: 100-continue\r\n\r\n").encode()
                answer = node.raw(head)
                assert answer.split()[1] == status, answer
            # One that sends all the same is answered too, and what it sent is not kept.
            try:
                check_problem(call(node, "POST", "/d/ingest", read, records(range(5000))), 403)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert call(node, "POST", "/d/ingest", push, records(range(5000))).status == 200
        assert len(ws.rows("d")) == 5000


def a_receipt_is_for_its_account():
    with Workspace() as ws:
        ws.add("d", APPEND)
        mine, same, other = token(ws, "push"), token(ws, "push"), token(ws, "admin", account="bob")
        with Node(ws) as node:
            answer = node.request("POST", "/d/ingest", records([1]), {**bearer(mine), "Prefer": "respond-async"})
            path = "/receipts/" + answer.json["receipt"]
            assert call(node, "GET", path, same).status == 200
            check_problem(call(node, "GET", path, other), 404)
            check_problem(node.get(path), 404)


def metrics_name_what_their_reader_may_see():
    with Workspace() as ws:
        for name in ["acme/d", "bob/e"]:
            ws.add(name.replace("/", "."), APPEND)
            ws.run("rename", name.replace("/", "."), name)
        acme, bob = token(ws, "push", "read", account="acme"), token(ws, "push", "read", account="bob")
        with Node(ws, "--listen", "0.0.0.0:0", "--insecure-http") as node:
            assert call(node, "POST", "/acme/d/ingest", acme, records([1])).status == 200
            assert call(node, "POST", "/bob/e/ingest", bob, records([1])).status == 200
            everything = {'dataset="acme/d"', 'dataset="bob/e"', 'tenant="acme"', 'tenant="bob"'}
            for answer, shown in [(node.get("/metrics"), set()), (call(node, "GET", "/metrics", "nonsense"), set()),
                                  (call(node, "GET", "/metrics", acme), {'dataset="acme/d"', 'tenant="acme"'}),
                                  (node.operator("GET", "/metrics"), everything)]:
                text = answer.body.decode()
                assert answer.status == 200 and "sluice_ready 1" in text, answer
                assert {name for name in everything if name in text} == shown, text


def a_revoked_token_is_refused_soon():
    with Workspace() as ws:
        ws.add("d", APPEND)
        text = token(ws, "push")
        with Node(ws) as node:
            assert call(node, "POST", "/d/ingest", text, records([1])).status == 200
            ws.run("token", "revoke", text.split("_")[1])
            time.sleep(1)
            check_problem(call(node, "POST", "/d/ingest", text, records([2])), 401)


def a_listener_that_others_reach_needs_tls():
    with Workspace() as ws:
        done = ws.run("serve", "--listen", "0.0.0.0:0", code=EXIT_USAGE)
        assert b"--tls-certificate" in done.err, done
        done = ws.run("serve", "--tls-key", "x", code=EXIT_USAGE)
        assert b"go together" in done.err, done


def tls_and_tokens_on_an_open_listener():
    with Workspace() as ws:
        ws.add("d", APPEND)
        certificate, key = os.path.join(ws.folder, "c.pem"), os.path.join(ws.folder, "k.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        text = token(ws, "push")
        with Node(ws, "--listen", "0.0.0.0:0", "--tls-certificate", certificate, "--tls-key", key, start=False) as node:
            node.launch()
            port = None
            for line in node.process.stderr:
                node.said.append(line.decode())
                if "https://" in node.said[-1]:
                    port = int(node.said[-1].rsplit(":", 1)[1])
                    break
            assert port, node.said
            context = ssl.create_default_context(cafile=certificate)
            for headers, status in [({}, 401), (bearer(text), 200)]:
                connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=20)
                connection.request("POST", "/d/ingest", records([1]), headers)
                assert connection.getresponse().status == status, status
                connection.close()
        assert len(ws.rows("d")) == 1


def every_request_is_logged():
    with Workspace() as ws:
        ws.add("d", APPEND)
        log = os.path.join(ws.folder, "access.log")
        with Node(ws, "--access-log", log) as node:
            node.request("POST", "/d/ingest", records([1]), {"X-Request-Id": "mine"})
            node.get("/nowhere")
            node.stop()
        with open(log, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        assert [(line["method"], line["status"]) for line in lines] == [("POST", 200), ("GET", 404)], lines
        assert lines[0]["id"] == "mine" and lines[0]["bytesIn"] == len(records([1])), lines


def datasets_are_compacted_by_rule():
    with Workspace() as ws:
        ws.add("d", APPEND)
        with Node(ws, "--block-budget", "unlimited", "--compact", "d=1s") as node:
            for n in range(5):
                assert node.push("d", records([n]), key=f"k{n}").status == 200
            node.eventually(lambda: len(os.listdir(os.path.join(ws.run("system", "path", "d").out.decode().strip(), "data"))),
                            lambda slices: slices == 1, 20)
            assert node.push("d", records([3]), key="k3").json["status"] == "duplicate"
        ws.run("verify", "d")
        assert len(ws.rows("d")) == 5


if __name__ == "__main__":
    main([metrics_name_what_their_reader_may_see, anonymous_callers_are_programs_of_this_machine, tokens_give_what_their_scopes_say,
          a_right_to_push_reads_its_sources_alone,
          who_may_not_push_is_refused_before_the_body, a_receipt_is_for_its_account,
          a_revoked_token_is_refused_soon, a_listener_that_others_reach_needs_tls, tls_and_tokens_on_an_open_listener,
          every_request_is_logged, datasets_are_compacted_by_rule])
