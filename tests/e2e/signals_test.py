#!/usr/bin/env python3
"""Ctrl-C, SIGTERM and readers that go away."""
import os
import signal
import subprocess
import time

from harness import APPEND, EXIT_INTERRUPTED, LEDGER, SNAPSHOT, Workspace, fingerprint, main, record, records, wait


def begun(ws, process):
    """Waits until the program has taken its scratch folder: from then on it is writing."""
    while process.poll() is None and not os.listdir(os.path.join(ws.home, "tmp")):
        time.sleep(0.002)


def interrupted(merge, through_stdin, number=signal.SIGINT):
    with Workspace() as ws:
        ws.add("d", merge)
        ws.run("ingest", "d", "--stdin", data=records(range(10)))
        big = ws.write("big", records(range(400_000)))
        before = fingerprint(ws.path("d"))
        met = 0
        for delay in (0, 0.03, 0.1, 0.2):
            with open(big, "rb") as source:
                process = ws.start("ingest", "d", *(["--stdin"] if through_stdin else [big]), stdin=source)
                begun(ws, process)
                time.sleep(delay)
                process.send_signal(number)
                done = wait(process)
            if done.code == 0:  # was faster
                break
            assert done.code == EXIT_INTERRUPTED, done
            met += 1
            assert not ws.leftovers(), ws.leftovers()
            assert done.seconds < 15, f"took {done.seconds:.1f} s to stop"
            assert fingerprint(ws.path("d")) == before, "the dataset has changed"
        assert met, "no run was interrupted"
        ws.run("verify", "d")
        ws.run("ingest", "d", big, timeout=60)
        ws.check_clean()


def interrupted_ingest():
    for merge, name in ((APPEND, "Append"), (LEDGER, "Ledger"), (SNAPSHOT, "Snapshot")):
        for through_stdin in (False, True):
            yield f"{name}, {'standard input' if through_stdin else 'file'}", lambda m=merge, s=through_stdin: interrupted(m, s)
    yield "Append, SIGTERM", lambda: interrupted(APPEND, False, signal.SIGTERM)


def interrupted_while_waiting_for_input():
    """Nothing comes and nothing closes: a terminal, an idle pipe."""
    for kind in ("pipe", "half a record"):
        def case(kind=kind):
            with Workspace() as ws:
                ws.add("d", APPEND)
                before = fingerprint(ws.path("d"))
                process = ws.start("ingest", "d", "--stdin", stdin=subprocess.PIPE)
                if kind == "half a record":
                    process.stdin.write((record(1) + record(2)[:10]).encode())
                    process.stdin.flush()
                begun(ws, process)
                time.sleep(0.3)
                process.send_signal(signal.SIGINT)
                start = time.monotonic()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise AssertionError("does not stop") from None
                assert time.monotonic() - start < 15
                assert process.returncode == EXIT_INTERRUPTED, process.returncode
                process.stdin.close()
                process.stdout.close()
                process.stderr.close()
                assert fingerprint(ws.path("d")) == before
                ws.check_clean()
        yield kind, case


def interrupted_while_nobody_writes_to_a_fifo():
    for merge, name in ((APPEND, "Append"), (LEDGER, "Ledger")):
        def case(merge=merge):
            with Workspace() as ws:
                ws.add("d", merge)
                fifo = os.path.join(ws.folder, "fifo")
                os.mkfifo(fifo)
                process = ws.start("ingest", "d", fifo)
                begun(ws, process)
                time.sleep(0.3)
                process.send_signal(signal.SIGINT)
                assert wait(process, timeout=20).code == EXIT_INTERRUPTED
                ws.check_clean()
                # With a writer it is an input like any other.
                process = ws.start("ingest", "d", fifo)
                begun(ws, process)
                with open(fifo, "wb") as target:
                    target.write(records(range(10)))
                    target.flush()
                    time.sleep(0.3)
                    target.write(records(range(10, 20)))
                assert wait(process).code == 0
                assert len(ws.rows("d")) == 20
        yield name, case


def interrupted_while_waiting_for_a_lock():
    from writers_test import hold
    with Workspace() as ws:
        ws.add("d", APPEND)
        fd = hold(os.path.join(ws.home, "locks", "workspace"))
        process = ws.start("ingest", "d", "--stdin", stdin=subprocess.PIPE)
        process.stdin.write(record(1).encode())
        process.stdin.close()
        process.stdin = None
        begun(ws, process)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert wait(process, timeout=20).code == EXIT_INTERRUPTED
        os.close(fd)
        assert not ws.data_blocks("d")
        ws.check_clean()


def readers_that_go_away():
    with Workspace() as ws:
        ws.add("d", APPEND)
        ws.run("ingest", "d", "--stdin", data=records(range(100_000)), timeout=60)
        for command in (["tail", "d", "-n", "100000", "-o", "ndjson"], ["sql", "-o", "csv", "-c", 'select * from "d"'],
                        ["sql", "-o", "json", "-c", 'select * from "d"'], ["sql", "-o", "table", "-c", 'select * from "d"']):
            process = ws.start(*command)
            process.stdout.read(10)
            process.stdout.close()
            err = process.stderr.read()
            process.stderr.close()
            code = process.wait(20)
            assert code == 0 and b"Error" not in err, (command, code, err)


if __name__ == "__main__":
    main([interrupted_ingest, interrupted_while_waiting_for_input, interrupted_while_nobody_writes_to_a_fifo,
          interrupted_while_waiting_for_a_lock, readers_that_go_away])
