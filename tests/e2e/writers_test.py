#!/usr/bin/env python3
"""Several processes write to one dataset at once: every success is one commit, and every row is there once."""
import fcntl
import os
import random
import signal
import struct
import threading
import time

from harness import APPEND, EXIT_BUSY, EXIT_CHANGED, LEDGER, UPSERT, Workspace, in_parallel, live, main, record, records, wait
from node import Node


def hold(path):
    """Takes the kernel lock of an open file description, as another process would."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))  # F_OFD_SETLK
    return fd


def together(merge, writers, batches):
    """Each writer sends its batches; Ledger's keys overlap with everybody's."""
    with Workspace() as ws:
        ws.add("d", merge)

        def writer(number):
            added = 0
            for n in range(batches):
                first = (n * writers + number) * 10
                keys = range(first, first + 10) if merge == APPEND else range(n * 10, n * 10 + 10 + 5 * number)
                # A file can be read again when another writer's first commit defines the schema meanwhile; a stream cannot.
                rows = records(keys, f"{number}/{n}")
                done = (ws.run("ingest", "d", "--stdin", data=rows, timeout=60) if n % 2 else
                        ws.run("ingest", "d", ws.write(f"batch{number}", rows), timeout=60))
                added += b" 0 added" not in done.err
            return added

        commits = sum(in_parallel([lambda i=i: writer(i) for i in range(writers)]))
        rows = ws.rows("d")
        assert [r["offset"] for r in rows] == list(range(len(rows)))
        keys = sorted(r["k"] for r in rows)
        top = writers * batches * 10 if merge == APPEND else (batches - 1) * 10 + 10 + 5 * (writers - 1)
        assert keys == list(range(top)), f"{len(keys)} rows, expected {top}"
        assert len(ws.data_blocks("d")) == commits, f"{len(ws.data_blocks('d'))} commits for {commits} successes"
        times = [r["system_time"].removesuffix("Z") for r in rows]  # a whole second has no fraction: "06" is before "06.001"
        assert times == sorted(times)
        ws.check_sound("d")
        ws.check_clean()


def append_from_several():
    yield "two", lambda: together(APPEND, 2, 15)
    yield "four", lambda: together(APPEND, 4, 6)


def ledger_from_several():
    yield "two", lambda: together(LEDGER, 2, 15)
    yield "four", lambda: together(LEDGER, 4, 6)


def compare_and_set_lets_one_through():
    """Four processes try each step of one token: exactly one commits, the others say that the state has moved."""
    with Workspace() as ws:
        ws.add("d", APPEND)
        ws.run("ingest", "d", "--stdin", "--state", 0, data=records([0]))
        for step in range(1, 7):
            expected = str(step - 1)

            def attempt(number, step=step, expected=expected):
                # Every one writes other rows under another token: none is a repeat.
                return ws.run("ingest", "d", "--stdin", "--state", f"{step}-{number}", "--if-state", expected,
                              data=records([step * 10 + number]), code=(0, EXIT_CHANGED), timeout=60).code

            codes = in_parallel([lambda n=n: attempt(n) for n in range(4)])
            assert sorted(codes) == [0, EXIT_CHANGED, EXIT_CHANGED, EXIT_CHANGED], codes
            ws.run("ingest", "d", "--stdin", "--state", str(step), "--if-state", f"{step}-{codes.index(0)}", data=b"")
        assert len(ws.rows("d")) == 7
        ws.check_sound("d")


def one_token_from_several_is_one_commit():
    with Workspace() as ws:
        ws.add("d", APPEND)
        ws.run("ingest", "d", "--stdin", "--state", 0, data=records([0]))
        for step in range(1, 6):
            in_parallel([lambda: ws.run("ingest", "d", "--stdin", "--state", step, data=records([step]), timeout=60)] * 4)
        assert [r["k"] for r in ws.rows("d")] == list(range(6))


def upserts_from_several_keep_a_history_that_adds_up():
    with Workspace() as ws:
        ws.add("d", UPSERT)
        ws.run("ingest", "d", "--stdin", data=records([0]))

        def writer(number):
            dice = random.Random(number)
            for n in range(8):
                batch = "".join(record(k, f"{number}/{n}") for k in dice.sample(range(12), 6))
                ws.run("ingest", "d", "--stdin", data=batch.encode(), timeout=60)

        in_parallel([lambda i=i: writer(i) for i in range(3)])
        assert set(live(ws.rows("d"))) == set(range(12))
        ws.check_sound("d")


def readers_beside_writers():
    with Workspace() as ws:
        ws.add("d", LEDGER)
        ws.run("ingest", "d", "--stdin", data=records(range(10)))
        stop = time.monotonic() + 8

        def writer():
            n = 1
            while time.monotonic() < stop:
                ws.run("ingest", "d", "--stdin", data=records(range(n * 10 - 5, n * 10 + 10)))
                n += 1
            return n

        def reader():
            while time.monotonic() < stop:
                keys = [r["k"] for r in ws.rows("d")]
                assert keys == list(range(len(keys))), "a reader saw half a commit"
                ws.run("verify", "d")
                ws.run("log", "d")

        batches = in_parallel([writer, reader])[0]
        assert [r["k"] for r in ws.rows("d")] == list(range(batches * 10))
        ws.check_sound("d")


def held_locks_time_out():
    for name in ("workspace", "dataset"):
        for seconds in (0, 1):
            def case(name=name, seconds=seconds):
                with Workspace() as ws:
                    ws.add("d", LEDGER)
                    ws.run("ingest", "d", "--stdin", data=records([1]))
                    lock = os.path.join(ws.home, "locks", name if name == "workspace" else os.path.basename(ws.path("d")))
                    head, fd = ws.head("d"), hold(lock)
                    for command in (["ingest", "d", "--stdin"], ["reset", "d", head, "--yes"],
                                    ["system", "compact", "--hard", "d", "--yes"]):
                        done = ws.run(*command, "--lock-timeout", seconds, data=records([2]), code=EXIT_BUSY)
                        assert seconds <= done.seconds < seconds + 5, done.seconds
                        assert lock.encode() in done.err and b"held by" in done.err, done
                    assert ws.head("d") == head
                    assert len(ws.rows("d")) == 1, "readers need no lock"
                    ws.run("verify", "d")
                    os.close(fd)
                    ws.run("ingest", "d", "--stdin", "--lock-timeout", 0, data=records([2]))
                    assert len(ws.rows("d")) == 2
            yield f"{name}, {seconds} s", case


def a_silent_node_is_waited_for_no_longer_than_asked():
    with Workspace() as ws:
        ws.add("d", LEDGER)
        with Node(ws) as node:
            node.process.send_signal(signal.SIGSTOP)
            try:
                head = ws.head("d")
                commands = (["ingest", "d", "--stdin"], ["reset", "d", head, "--yes"],
                            ["system", "compact", "--hard", "d", "--yes"], ["status"])
                for seconds, most, tried in ((0, 1, 4), (1, 2, 4), (60, 8, 1)):
                    for command in commands[:tried]:
                        done = ws.run(*command, "--lock-timeout", seconds, data=records([2]), code=EXIT_BUSY)
                        assert min(seconds, 5) <= done.seconds < most, (command, done.seconds)
                        assert b"has been silent for" in done.err, done
            finally:
                node.process.send_signal(signal.SIGCONT)
            ws.run("ingest", "d", "--stdin", "--lock-timeout", 2, data=records([2]))
            assert len(ws.rows("d")) == 1


def readers_beside_compaction():
    """A compaction removes no file that a command still reads: the reader ends as if nothing had happened."""

    def case(command, check):
        with Workspace() as ws:
            ws.add("d", APPEND)
            wide = "w" * 600  # more than a pipe takes, so that the reader waits for us in the middle
            for n in range(6):
                ws.run("ingest", "d", "--stdin", "--state", n, data=records(range(n * 1000, n * 1000 + 1000), wide))
            reader = ws.start(*command)
            first = os.read(reader.stdout.fileno(), 1)  # past no buffer: wait() reads the rest
            done = ws.run("system", "compact", "--hard", "d", "--yes")
            assert b"old files stay" in done.err, done
            rest = wait(reader)
            assert rest.code == 0, rest
            check(first + rest.out)
            ws.run("verify", "d")
            ws.run("system", "compact", "--hard", "d", "--yes")
            assert len(os.listdir(os.path.join(ws.path("d"), "data"))) == 1

    def has_every_row(out):
        assert out.count(b"\n") == 6000, out.count(b"\n")

    yield "sql", lambda: case(["sql", "-o", "ndjson", "-c", 'select * from "d"'], has_every_row)
    yield "tail", lambda: case(["tail", "d", "-o", "ndjson", "-n", 6000], has_every_row)


def readers_beside_many_compactions():
    with Workspace() as ws:
        ws.add("d", APPEND)
        stop = threading.Event()

        def write():
            try:
                for n in range(8):
                    for part in range(3):
                        ws.run("ingest", "d", "--stdin", "--state", f"{n}-{part}", data=records([3 * n + part]))
                    ws.run("system", "compact", "--hard", "d", "--yes")
            finally:
                stop.set()

        def read(*command):
            while not stop.is_set():
                ws.run(*command)

        ws.run("ingest", "d", "--stdin", "--state", "first", data=records([-1]))
        in_parallel([write, lambda: read("verify", "d"), lambda: read("log", "d"), lambda: read("tail", "d", "-n", 100),
                     lambda: read("sql", "-c", 'select count(*) from "d"'), lambda: read("list")])
        assert len(ws.rows("d")) == 25
        ws.check_sound("d")


if __name__ == "__main__":
    main([append_from_several, ledger_from_several, compare_and_set_lets_one_through, one_token_from_several_is_one_commit,
          upserts_from_several_keep_a_history_that_adds_up, readers_beside_writers, readers_beside_compaction,
          readers_beside_many_compactions, held_locks_time_out, a_silent_node_is_waited_for_no_longer_than_asked])
