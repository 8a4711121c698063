#!/usr/bin/env python3
"""The clients of examples/clients, each against a node that is killed, through connections that are cut."""
import os
import shutil
import subprocess
import tempfile
import time

import harness
from harness import APPEND, Workspace, records
from pushing import CuttingProxy, Node

CLIENTS = os.path.join(harness.ROOT, "examples", "clients")
ROWS = 2500


def commands(folder):
    yield "shell", ["sh", os.path.join(CLIENTS, "shell", "push.sh")]
    yield "python", ["python3", os.path.join(CLIENTS, "python", "push.py")]
    go = os.path.join(folder, "push-go")
    subprocess.run(["go", "build", "-o", go, os.path.join(CLIENTS, "go", "push.go")], check=True, timeout=300,
                   env={**os.environ, "GOFLAGS": "-mod=mod", "GOCACHE": os.path.join(folder, "go-cache")})
    yield "go", [go]
    yield "javascript", ["node", os.path.join(CLIENTS, "javascript", "push.mjs")]


def push_through_trouble(command):
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        file = workspace.write("in.ndjson", records(range(ROWS)))
        with Node(workspace, "--block-budget", "unlimited") as node, CuttingProxy(node.port, share=0.15) as proxy:
            client = None
            deadline = time.monotonic() + 240
            kills = 0
            while True:
                assert time.monotonic() < deadline, f"does not end; node: {node.said()}"
                if client is None:
                    client = subprocess.Popen([*command, proxy.url + "/events", "default", file], stderr=subprocess.PIPE)
                time.sleep(0.3)
                if client.poll() is not None:
                    error = client.stderr.read()
                    client.stderr.close()
                    assert client.returncode == 0, f"exit {client.returncode}: {error.decode()} node: {node.said()}"
                    break
                if kills < 4:
                    kills += 1
                    if kills % 2 == 1:
                        node.kill()
                        node.start()
                    else:
                        client.kill()
                        client.wait()
                        client.stderr.close()
                        client = None
            again = subprocess.run([*command, node.url + "/events", "default", file], timeout=120, check=False)
            assert again.returncode == 0, "a repeat finds nothing to do"
        rows = workspace.rows("events")
        assert [row["k"] for row in rows] == list(range(ROWS)), f"{len(rows)} rows of {ROWS}, or not in order"
        assert workspace.state("events") == str(ROWS), workspace.state("events")
        workspace.check_sound("events")


def stop_for_a_person(command):
    """A source that was added again has lost its state: nobody guesses."""
    with Workspace() as workspace, Node(workspace) as node:
        file = workspace.write("in.ndjson", records(range(10)))
        done = subprocess.run([*command, node.url + "/none", "default", file], capture_output=True, timeout=120, check=False)
        assert done.returncode != 0 and b"404" in done.stderr, done


def every_line_of_a_growing_file(command):
    """No line is left behind: an unfinished last one, empty ones by the hundred, ends of another system."""
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        with Node(workspace) as node:
            def push(content):
                file = workspace.write("in.ndjson", content)
                done = subprocess.run([*command, node.url + "/events", "default", file], capture_output=True, timeout=120, check=False)
                assert done.returncode == 0, done
            push(b"")
            whole = records(range(101))
            push(whole.rstrip(b"\n"))
            assert workspace.state("events") == "101", workspace.state("events")
            whole += records(range(101, 150)).replace(b"\n", b"\r\n") + b"\n" * 250
            push(whole)
            assert workspace.state("events") == "400", workspace.state("events")
            push(whole + records(range(150, 310)).rstrip(b"\n"))
        rows = workspace.rows("events")
        assert [row["k"] for row in rows] == list(range(310)), f"{len(rows)} rows of 310, or not in order"
        assert workspace.state("events") == "560", workspace.state("events")


def state_of_another_kind(command):
    """A state that counts no lines is not taken for the beginning."""
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        file = workspace.write("in.ndjson", records(range(10)))
        with Node(workspace) as node:
            status, _, text = node.call("POST", "/events/ingest", records([99]),
                                        {"ODF-If-Source-State": "*", "ODF-Source-State": "offset-7"})
            assert status == 200, text
            done = subprocess.run([*command, node.url + "/events", "default", file], capture_output=True, timeout=120, check=False)
            assert done.returncode != 0 and b"no number of lines: " in done.stderr and b"offset-7" in done.stderr, done
        assert [row["k"] for row in workspace.rows("events")] == [99]


def test_clients():
    folder = tempfile.mkdtemp(prefix="sluice-clients-")
    try:
        for name, command in commands(folder):
            yield name, lambda command=command: push_through_trouble(command)
            yield f"{name}, growing file", lambda command=command: every_line_of_a_growing_file(command)
            yield f"{name}, foreign state", lambda command=command: state_of_another_kind(command)
            yield f"{name}, unknown dataset", lambda command=command: stop_for_a_person(command)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    harness.main([test_clients])
