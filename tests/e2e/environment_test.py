#!/usr/bin/env python3
"""What a caller may do to the program: standard files that are closed, little memory, few threads."""
import os
import resource
import signal
import subprocess
import time

from harness import (EXIT_BUSY, EXIT_FAILURE, EXIT_SPACE, LEDGER, SNAPSHOT, Workspace, fingerprint, main, record,
                     records, wait)
from node import Node


def without(*closed):
    """What a shell's `<&- >&- 2>&-` does."""
    def close():
        for fd in closed:
            os.close(fd)
    return close


def closed_standard_input():
    """Nobody's data: not an empty input, and not what the program itself opened under number 0."""
    commands = {
        "ingest": (["ingest", "d", "--stdin"], {}),
        "add": (["add", "--stdin"], {}),
        "commit": (["commit", "d", "-"], {}),
        "sql": (["sql"], {}),
        "system decode": (["system", "decode", "-"], {}),
        "run": (["run", "p.yaml"], {"p.yaml": "name: p\ningestors: [{type: stdio}]\nwriter: {type: stdio}\n"}),
    }
    for name, (command, files) in commands.items():
        def case(command=command, files=files):
            with Workspace() as ws:
                ws.add("d", SNAPSHOT)
                ws.run("ingest", "d", "--stdin", data=records(range(3)))
                for file, text in files.items():
                    ws.write(file, text)
                before = fingerprint(ws.path("d"))
                done = ws.run(*command, code=(EXIT_FAILURE, EXIT_BUSY), stdin=None, preexec_fn=without(0))
                assert b"standard input is closed" in done.err or b"Bad file descriptor" in done.err, done
                assert fingerprint(ws.path("d")) == before, "the dataset has changed"
        yield name, case

    def push():
        with Workspace() as ws:
            ws.add("d", LEDGER)
            with Node(ws) as node:
                before = fingerprint(ws.path("d"))
                done = ws.run("push", f"http://127.0.0.1:{node.port}/d", "-", code=EXIT_FAILURE, stdin=None,
                              preexec_fn=without(0))
                assert b"standard input is closed" in done.err, done
                assert fingerprint(ws.path("d")) == before
    yield "push", push


def node_without_standard_files():
    """Its messages go nowhere, above all not into its journal."""
    with Workspace() as ws:
        ws.add("d", LEDGER)
        place = os.path.join(ws.folder, "s")
        process = ws.start("serve", "--listen", "unix:" + place, stdin=None, stdout=None, stderr=None,
                           preexec_fn=without(0, 1, 2))
        end = time.monotonic() + 60
        while not os.path.exists(place):
            assert process.poll() is None and time.monotonic() < end, "the node does not start"
            time.sleep(0.05)
        files = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)]
        curl = ["curl", "-sS", "--max-time", "30", "--unix-socket", place, "--data-binary", record(1),
                "-H", "Prefer: respond-async", "http://node/d/ingest"]
        pushed = subprocess.run(curl, capture_output=True, check=True)
        assert b"queued" in pushed.stdout, pushed
        process.send_signal(signal.SIGTERM)
        assert wait(process).code == 0
        assert files == [os.devnull] * 3, files
        for folder, _, names in os.walk(ws.home):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    assert b"Serving" not in file.read(), f"{name} has the node's messages"
        assert len(ws.rows("d")) == 1
        ws.check_sound("d")


def closed_standard_output():
    with Workspace() as ws:
        ws.add("d", LEDGER)
        done = ws.run("list", code=EXIT_BUSY, preexec_fn=without(1))
        assert b"cannot write to standard output" in done.err, done


def little_memory():
    """Also no threads, whose stacks count: a plain error, and the dataset as before."""
    def limit(megabytes):
        return lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    with Workspace() as ws:
        ws.add("d", LEDGER)
        ws.run("ingest", "d", "--stdin", data=records(range(20_000)))
        big = ws.write("big", records(range(400_000)))
        met = 0
        for megabytes in range(250, 700, 50):
            for command in (["ingest", "d", big, "--dry-run"], ["verify", "d"], ["ingest", "d", "--stdin"]):
                done = ws.run(*command, code=(0, EXIT_SPACE, 127), preexec_fn=limit(megabytes))  # 127: libraries do not fit
                if done.code == EXIT_SPACE:
                    met += 1
                    assert b"out of memory" in done.err or b"thread" in done.err, done
        assert met, "no limit was met"
        ws.check_sound("d")


if __name__ == "__main__":
    main([closed_standard_input, node_without_standard_files, closed_standard_output, little_memory])
