#!/usr/bin/env python3
"""`sluice push`: exactly once through kills of either side, from files, pipes and growing logs, with and without a node."""
import json
import os
import random
import signal
import subprocess
import time

import harness
from harness import APPEND, EXIT_CHANGED, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_RECORDS, EXIT_USAGE, SNAPSHOT, Workspace, record, records
from pushing import CuttingProxy, Node

ROWS = 2000


def keys(workspace, dataset="events"):
    return [row["k"] for row in workspace.rows(dataset)]


def check_once(workspace, count, dataset="events"):
    got = keys(workspace, dataset)
    assert got == list(range(count)), f"{len(got)} rows of {count}, {len(set(got))} different, or not in order"
    workspace.check_sound(dataset)


def test_without_a_node():
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        file = workspace.write("in.ndjson", records(range(ROWS)))
        done = workspace.run("push", "events", file, "--batch-rows", 300)
        assert f"Pushed {ROWS} record(s) in 7 batch(es), {ROWS} added".encode() in done.err, done
        assert b"Nothing new to push" in workspace.run("push", "events", file).err
        with open(file, "ab") as more:
            more.write(record(ROWS).encode())
        assert b"Pushed 1 record(s)" in workspace.run("push", "events", file).err
        check_once(workspace, ROWS + 1)


def test_through_a_node_and_without_one_by_turns():
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        file = workspace.write("in.ndjson", records(range(100)))
        workspace.run("push", "events", file)
        node = Node(workspace)
        node.start()
        with open(file, "ab") as more:
            more.write(records(range(100, 200)))
        assert b"Pushed 100 record(s)" in workspace.run("push", "events", file).err
        with open(file, "ab") as more:
            more.write(records(range(200, 300)))
        assert b"Pushed 100 record(s)" in workspace.run("push", node.url + "/events", file).err, "by URL, from the same state"
        node.stop()
        with open(file, "ab") as more:
            more.write(records(range(300, 400)))
        workspace.run("push", "events", file)
        check_once(workspace, 400)


def killed_at_random(seed, serve):
    """Client and node are killed again and again; connections are cut."""
    chance = random.Random(seed)
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        file = workspace.write("in.ndjson", records(range(ROWS)))
        node = Node(workspace, "--block-budget", "unlimited") if serve else None
        if node:
            node.start()
        try:
            with CuttingProxy(node.port if node else 1, share=0.1, seed=seed) as proxy:
                target = proxy.url + "/events" if node else "events"
                for _ in range(12):
                    client = workspace.start("push", target, file, "--batch-rows", 25, stdout=subprocess.DEVNULL,
                                             stderr=subprocess.DEVNULL)
                    time.sleep(chance.uniform(0.02, 0.5))
                    if node and chance.random() < 0.5:
                        node.kill()
                        node.start()
                        time.sleep(chance.uniform(0.02, 0.3))
                    client.kill()
                    client.wait()
                workspace.run("push", target, file, timeout=120)
        finally:
            if node:
                node.stop()
        check_once(workspace, ROWS)


def test_kills():
    for seed in range(2):
        yield f"with a node, seed {seed}", lambda seed=seed: killed_at_random(seed, True)
    yield "without a node", lambda: killed_at_random(7, False)


def test_a_node_that_comes_back():
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        file = workspace.write("in.ndjson", records(range(500)))
        node = Node(workspace)
        client = workspace.start("push", node.url + "/events", file, "--batch-rows", 50)
        time.sleep(0.5)  # nobody listens yet
        node.start()
        done = harness.wait(client)
        assert done.code == 0 and b"trying again" in done.err, done
        node.stop()
        check_once(workspace, 500)


def test_pipes():
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        whole = records(range(1000))
        workspace.run("push", "events", "--batch-rows", 100, data=whole)
        assert b"Nothing new" in workspace.run("push", "events", data=whole).err, "the same again"
        workspace.run("push", "events", data=whole + records(range(1000, 1100)))
        workspace.run("push", "events", "-", data=records(range(1100, 1200)))  # begins differently: new
        check_once(workspace, 1200)


def test_csv_repeats_its_header():
    fields = [("k", "Int64"), ("v", "String")]
    with Workspace() as workspace:
        workspace.add("events", APPEND, read="Csv", options="\n        header: true", fields=fields)
        text = "k,v\n" + "".join(f'{k},"line {k}\nof ""two"""\n' for k in range(25))
        file = workspace.write("in.csv", text)
        workspace.run("push", "events", file, "--batch-rows", 10)
        assert [row["v"] for row in workspace.rows("events")] == [f'line {k}\nof "two"' for k in range(25)]
        with Node(workspace) as node:
            with open(file, "a", encoding="utf-8") as more:
                more.write("25,x\n")
            workspace.run("push", node.url + "/events", file)
        check_once(workspace, 26)


def test_tabs():
    fields = [("k", "Int64"), ("v", "String")]
    with Workspace() as workspace:
        workspace.add("events", APPEND, read="Csv", options='\n        separator: "\\t"', fields=fields)
        file = workspace.write("in.tsv", "".join(f"{k}\tx\n" for k in range(30)))
        workspace.run("push", "events", file, "--batch-rows", 7)
        check_once(workspace, 30)


def test_what_would_lose_or_double_is_refused():
    fields = [("k", "Int64"), ("v", "String")]
    with Workspace() as workspace:
        workspace.add("whole", SNAPSHOT)
        workspace.add("plain", APPEND, read="Csv", options="\n        header: false", fields=fields)
        file = workspace.write("in.ndjson", records(range(10)))
        lines = workspace.write("in.csv", "k,v\n1,a\n2,b\n")

        def refused(target):
            # In parts each of them would be the whole of what there is.
            done = workspace.run("push", target + "whole", file, "--batch-rows", 3, code=EXIT_FAILURE)
            assert b"Snapshot" in done.err and b"sluice ingest" in done.err, done
            done = workspace.run("push", target + "plain", lines, "--header", code=EXIT_USAGE)
            assert b"without a header" in done.err, done

        refused("")
        with Node(workspace) as node:
            refused(node.url + "/")
        assert workspace.rows("whole") == [] and workspace.rows("plain") == []


def test_anew_from_where_it_stands():
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        file = workspace.write("in.ndjson", records(range(10)))
        for _ in range(3):
            assert b"Pushed 10 record(s)" in workspace.run("push", "events", file, "--new").err
        assert b"Nothing new to push" in workspace.run("push", "events", file).err
        assert len(workspace.rows("events")) == 30


def wait_for(workspace, count, dataset="events"):
    deadline = time.monotonic() + harness.TIMEOUT
    while len(keys(workspace, dataset)) < count:
        assert time.monotonic() < deadline, f"{len(keys(workspace, dataset))} of {count} rows"
        time.sleep(0.1)


def test_follow_over_rotation_and_kills():
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        log = workspace.write("app.log", records(range(10)))
        arguments = ("push", "events", log, "--follow", "--batch-age", 50)
        client = workspace.start(*arguments)
        wait_for(workspace, 10)
        with open(log, "ab") as more:
            more.write(records(range(10, 20)))
        wait_for(workspace, 20)
        client.kill()
        client.communicate()
        with open(log, "ab") as more:
            more.write(records(range(20, 30)))
        os.rename(log, log + ".1")  # while nobody looked
        workspace.write("app.log", records(range(30, 40)))
        client = workspace.start(*arguments)
        wait_for(workspace, 40)
        os.rename(log + ".1", log + ".2")
        os.rename(log, log + ".1")  # and while somebody did
        workspace.write("app.log", records(range(40, 50)))
        wait_for(workspace, 50)
        client.send_signal(signal.SIGTERM)
        done = harness.wait(client)
        assert done.code == EXIT_INTERRUPTED, done
        check_once(workspace, 50)


def test_stops_where_a_person_must_decide():
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        first = workspace.write("1.ndjson", records(range(10)))
        second = workspace.write("2.ndjson", records(range(10, 20)))
        workspace.run("push", "events", first)
        done = workspace.run("push", "events", second, code=EXIT_CHANGED)
        assert b"byte" in done.err and b"1.ndjson" in done.err and b"--new" in done.err, done
        workspace.run("push", "events", first, second)
        check_once(workspace, 20)
        third = workspace.write("3.ndjson", records(range(20, 30)))
        workspace.run("push", "events", third, "--new")
        check_once(workspace, 30)
        workspace.add("theirs", APPEND)
        workspace.run("ingest", "theirs", first, "--state", "token", "--if-state", "*")
        for options in ([], ["--new"]):
            done = workspace.run("push", "theirs", first, *options, code=EXIT_CHANGED)
            assert b"another client has written" in done.err, done
        assert keys(workspace, "theirs") == list(range(10))


def test_bad_input():
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        workspace.add("documents", APPEND, read="Json")
        bad = workspace.write("bad.ndjson", records(range(10)) + b'{"event_time": "2024-01-01T00:00:00Z", "k": "x"}\n')
        done = workspace.run("push", "events", bad, "--batch-rows", 5, code=EXIT_RECORDS)
        assert b"'k'" in done.err and b"bad.ndjson" in done.err and b"Pushed 10 record(s)" in done.err, done
        with Node(workspace) as node:
            done = workspace.run("push", node.url + "/events", bad, code=EXIT_RECORDS)
            assert b"column \"k\"" in done.err, done
            done = workspace.run("push", node.url + "/none", bad, code=EXIT_FAILURE)
            assert b"none" in done.err, done
        assert keys(workspace) == list(range(10))
        done = workspace.run("push", "documents", bad, code=EXIT_FAILURE)
        assert b"sluice ingest" in done.err, done
        workspace.run("push", "events", "nowhere.ndjson", code=EXIT_FAILURE)
        workspace.run("push", "events", "-", bad, code=EXIT_USAGE)
        workspace.run("push", "events", "--follow", code=EXIT_USAGE, data=b"")
        workspace.run("push", "http://127.0.0.1:1", bad, code={EXIT_FAILURE, EXIT_USAGE})
        done = workspace.run("push", "http://127.0.0.1:1/events", bad, "--retry-for", 1, code=None)
        assert done.code != 0 and b"gave up after 1 s" in done.err, done


def test_tokens():
    with Workspace() as workspace:
        done = workspace.run("token", "create", "--account", "kim", "--scope", "push:events", "--scope", "read", "--expires", "30d")
        token = done.out.decode()
        assert token.startswith("sluice_") and token.endswith("\n") and len(token.split()) == 1, done
        path = os.path.join(workspace.home, "tokens")
        assert os.stat(path).st_mode & 0o777 == 0o600
        with open(path, encoding="utf-8") as file:
            kept = file.read()
        assert token.strip().rsplit("_", 1)[1] not in kept
        listed = [json.loads(line) for line in workspace.run("token", "list", "-o", "ndjson").out.splitlines()]
        assert len(listed) == 1 and listed[0]["Scopes"] == "push:events read", listed
        workspace.run("token", "revoke", listed[0]["Id"])
        workspace.run("token", "revoke", listed[0]["Id"], code=EXIT_FAILURE)
        assert workspace.run("token", "list", "-o", "ndjson").out == b""
        for bad in (["--scope", "write"], ["--scope", "read", "--expires", "never"], ["--scope", "read", "--expires", "2001-01-01T00:00:00Z"],
                    []):
            done = workspace.run("token", "create", "--account", "kim", *bad, code=EXIT_USAGE)
            assert done.out == b"", done
        workspace.run("token", "create", "--account", "a/b", "--scope", "read", code=None)


if __name__ == "__main__":
    harness.main([
        test_without_a_node, test_through_a_node_and_without_one_by_turns, test_kills, test_a_node_that_comes_back, test_pipes,
        test_csv_repeats_its_header, test_tabs, test_follow_over_rotation_and_kills, test_stops_where_a_person_must_decide,
        test_what_would_lose_or_double_is_refused, test_anew_from_where_it_stands, test_bad_input, test_tokens
    ])
