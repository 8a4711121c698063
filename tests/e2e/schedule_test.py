#!/usr/bin/env python3
"""A node that runs the schedules of its workspace: beside pushes, changes and compaction, within what a source may do, and ending when told."""
import json
import os
import signal
import threading
import time

from harness import APPEND, EXIT_BUSY, Workspace, main, records
from node import Node, check_problem
from pull_test import CSV, Page, Server, add, manifest

SCHEDULE = "schedule:\n  - {datasets: 'd%', every: 1s, firstBackoff: 100ms}\n"
LEDGER = "{kind: Ledger, primaryKey: [id]}"


def url_step(url):
    return "{kind: Url, url: '%s'}" % url


def scheduled(node, dataset="d"):
    status = node.operator("GET", "/operator/status").json
    return {pull["dataset"]: pull for pull in status["schedule"]}.get(dataset)


def metric(node, name, dataset="d"):
    for line in node.get("/metrics").body.decode().splitlines():
        if line.startswith(f'{name}{{dataset="{dataset}"}} '):
            return float(line.split()[-1])
    return None


def a_node_pulls_at_its_times():
    with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
        add(ws, "d", url_step(server.url()))
        ws.add("pushed", APPEND)
        ws.write(".sluice/config.yaml", SCHEDULE)
        with Node(ws) as node:
            node.eventually(lambda: metric(node, "sluice_records_total"), lambda n: True)
            node.eventually(lambda: scheduled(node), lambda pull: pull and pull["records"] == 2)
            assert node.push("pushed", records([1])).status == 200
            server.pages["/data.csv"] = Page(CSV + "3,c\n", etag='"2"')
            found = node.eventually(lambda: scheduled(node), lambda pull: pull["records"] == 3)
            assert found["runs"] >= 2 and found["lastError"] is None and found["nextRun"], found
            assert metric(node, "sluice_pull_records_total") == 3 and metric(node, "sluice_pull_failures") == 0
            row = [r for r in json.loads(ws.run("list", "-w", "-o", "json").out) if r["Name"] == "d"][0]
            assert row["LastResult"] in ("ok", "running") and row["NextPull"], row
            said = ws.run("status").err.decode()
            assert "d is pulled next at" in said or "d is being pulled" in said, said
            # A source that fails is tried again, and the failure is seen.
            server.pages["/data.csv"] = Page(status=500)
            found = node.eventually(lambda: scheduled(node), lambda pull: pull["lastError"])
            assert "500" in found["lastError"] and metric(node, "sluice_pull_failures") >= 1, found
            # What is scheduled is read anew; a pull by hand takes its turn beside the node.
            server.pages["/data.csv"] = Page(CSV + "3,c\n4,d\n", etag='"3"')
            ws.run("pull", "d")
            node.eventually(lambda: scheduled(node), lambda pull: pull["lastError"] is None)
            assert any("Failed to pull d" in line for line in node.said), node.said
            node.stop()
        assert sorted(r["id"] for r in ws.rows("d")) == [1, 2, 3, 4]
        ws.check_sound("d", "pushed")


def only_one_runs_the_schedules():
    with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
        add(ws, "d", url_step(server.url()))
        ws.write(".sluice/config.yaml", SCHEDULE)
        with Node(ws) as node:
            done = ws.run("pull", "--watch", code=EXIT_BUSY)
            assert b"run already" in done.err, done
            node.stop()
        process = ws.start("pull", "--watch")
        try:
            for _ in range(100):
                if server.requests:
                    break
                time.sleep(0.1)
            assert "--schedules false" in Node(ws, start=False).refuses()
            with Node(ws, "--schedules", "false") as node:
                assert scheduled(node) is None and metric(node, "sluice_pulls_total") is None
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
        ws.write(".sluice/config.yaml", "schedule:\n  - {datasets: d, cron: 'every day'}\n")
        assert "every day" in Node(ws, start=False).refuses()


def a_source_from_elsewhere_reaches_nothing_here():
    with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
        ws.write("data.csv", CSV)
        path = os.path.join(ws.folder, "data.csv")
        add(ws, "d.private", url_step(server.url()))
        add(ws, "d.file", url_step("file://" + path))
        add(ws, "d.glob", "{kind: FilesGlob, path: '%s/*.csv'}" % ws.folder, merge=LEDGER)
        add(ws, "d.env", url_step("http://example.invalid/${{ env.HOME }}"))
        ws.run("config", "set", "variables.SHARED", "of-the-workspace")
        add(ws, "d.shared", url_step("http://example.invalid/${{ env.SHARED }}"))
        text = open(os.path.join(ws.home, "config.yaml"), encoding="utf-8").read()
        ws.write(".sluice/config.yaml", text + SCHEDULE)
        os.remove(os.path.join(ws.home, "trusted-sources"))
        expected = {"d.private": "private", "d.file": "may not", "d.glob": "may not", "d.env": "env.HOME", "d.shared": "env.SHARED"}
        with Node(ws) as node:
            for name, word in expected.items():
                found = node.eventually(lambda name=name: scheduled(node, name), lambda pull: pull and pull["lastError"])
                assert word in found["lastError"], (name, found)
                assert os.environ["HOME"] not in found["lastError"].replace(ws.folder, ""), found
            assert not server.requests
            ws.run("source", "trust", "d.file")
            node.eventually(lambda: scheduled(node, "d.file"), lambda pull: pull["records"] == 2)
            node.stop()
        assert len(ws.rows("d.file")) == 2


def a_source_sent_over_http_reaches_what_it_was_granted():
    with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
        ws.write("data.csv", CSV)
        ws.write(".sluice/config.yaml", SCHEDULE + "variables: {SHARED: of-the-workspace}\n")
        tokens = {name: {"Authorization": "Bearer " + ws.run("token", "create", "--account", name, "--scope", "admin").out.decode().strip()}
                  for name in ("kim", "bob", "eve", "ann")}
        path = ws.write("node.yaml", "capabilities:\n  accounts:\n    bob: [privateAddresses]\n    eve: [env]\n    ann: [file]\n")
        with Node(ws, "--config", path) as node:
            def send(account, name, url):
                return node.request("POST", "/datasets", manifest(name, url_step(url)).encode(), tokens[account])

            check_problem(send("kim", "d.file", "file://" + os.path.join(ws.folder, "data.csv")), 403, "file")
            assert send("kim", "d.kim", server.url()).status == 201
            found = node.eventually(lambda: scheduled(node, "d.kim"), lambda pull: pull and pull["lastError"], timeout=90)
            assert "private" in found["lastError"] and not server.requests, found
            # To be granted something else opens no door to the node's network.
            assert send("eve", "d.eve", server.url("/data.csv?x=${{ env.SHARED }}")).status == 201
            found = node.eventually(lambda: scheduled(node, "d.eve"), lambda pull: pull and pull["lastError"], timeout=90)
            assert "private" in found["lastError"] and not server.requests, found
            done = ws.run("pull", "d.eve", code=None)
            assert done.code != 0 and b"private" in done.err and not server.requests, done
            assert send("ann", "d.ann", "file://" + os.path.join(ws.folder, "data.csv")).status == 201
            node.eventually(lambda: scheduled(node, "d.ann"), lambda pull: pull and pull["records"] == 2, timeout=90)
            assert send("bob", "d.bob", server.url("/data.csv?bob")).status == 201
            node.eventually(lambda: scheduled(node, "d.bob"), lambda pull: pull and pull["records"] == 2, timeout=90)
            assert all(path.endswith("?bob") for path, _ in server.requests), server.requests
            node.stop()


def a_node_ends_while_it_pulls():
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        slow = Page("id,name\n" + "".join(f"{i},x\n" for i in range(1000)), etag='"1"', delay=20)
        with Server(data__csv=slow) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            ws.write(".sluice/config.yaml", SCHEDULE)
            with Node(ws) as node:
                node.eventually(lambda: len(server.requests), lambda count: count > 0)
                start = time.monotonic()
                node.process.send_signal(signal_number)
                node.process.wait(30)
                assert time.monotonic() - start < 12, "waits for the download"
            slow.delay = 0
            with Node(ws) as node:
                node.eventually(lambda: scheduled(node), lambda pull: pull and pull["lastEnd"] and not pull["isRunning"]
                                and metric(node, "sluice_pull_records_total") == 1000)
                node.stop()
            assert len(ws.rows("d")) == 1000
            ws.check_sound("d")


def pulls_take_turns_with_everything_else():
    """Pulls of a growing source while the node compacts the dataset and other commands change it."""
    with Server(data__csv=Page(etag='"0"')) as server, Workspace() as ws:
        add(ws, "d", url_step(server.url()), merge=LEDGER)
        ws.add("pushed", APPEND)
        ws.write(".sluice/config.yaml", SCHEDULE)
        with Node(ws, "--block-budget", "unlimited", "--compact", "d=1s") as node:
            stop = threading.Event()

            def grow():
                n = 0
                while not stop.is_set():
                    n += 1
                    server.pages["/data.csv"] = Page("id,name\n" + "".join(f"{i},x{i}\n" for i in range(1, 10 * n)), etag=f'"{n}"')
                    time.sleep(0.3)

            thread = threading.Thread(target=grow)
            thread.start()
            try:
                for k in range(8):
                    assert node.push("pushed", records([k])).status == 200
                    ws.write("info.yaml", f"kind: MetadataEvent\nversion: 1\ncontent: {{kind: SetInfo, description: step {k}}}\n")
                    ws.run("commit", "d", "info.yaml")
                    time.sleep(0.5)
            finally:
                stop.set()
                thread.join()
            node.stop()
        ids = [r["id"] for r in ws.rows("d")]
        assert len(ids) == len(set(ids)) and len(ids) > 20, ids
        assert len(ws.rows("pushed")) == 8
        ws.check_sound("d", "pushed")


if __name__ == "__main__":
    main([a_node_pulls_at_its_times, only_one_runs_the_schedules, a_source_from_elsewhere_reaches_nothing_here,
          a_source_sent_over_http_reaches_what_it_was_granted,
          a_node_ends_while_it_pulls, pulls_take_turns_with_everything_else])
