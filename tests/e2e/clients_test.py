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


def test_clients():
    folder = tempfile.mkdtemp(prefix="sluice-clients-")
    try:
        for name, command in commands(folder):
            yield name, lambda command=command: push_through_trouble(command)
            yield f"{name}, unknown dataset", lambda command=command: stop_for_a_person(command)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    harness.main([test_clients])
