#!/usr/bin/env python3
"""A full disk: a clear error, the dataset as before, and all is well once there is space again."""
import os
import resource
import shutil
import subprocess
import tempfile

import harness
from harness import APPEND, EXIT_SPACE, LEDGER, UPSERT, Workspace, fingerprint, main, record, records
from node import Node, check_committed, check_problem

KEYS = range(40_000)


def fill(folder):
    """Takes all the space there is."""
    path = os.path.join(folder, "ballast")
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1 << 8, 1):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                pass
    return path


def mount_small(size="16m"):
    """A tmpfs of 16 MiB or so, or None where mounting is not allowed."""
    folder = tempfile.mkdtemp(prefix="sluice-e2e-full-")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True, check=False)
    if done.returncode == 0:
        return folder
    os.rmdir(folder)
    return None


def limited(size):
    """No file may grow beyond `size`: what a process without rights can have instead of a full disk."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


def check_fails_and_recovers(ws, rows, full, free, **options):
    for merge, name in ((APPEND, "a"), (LEDGER, "l"), (UPSERT, "u")):
        ws.add(name, merge)
        ws.run("ingest", name, "--stdin", data=records(range(10)))
        before = fingerprint(os.path.join(ws.home, "datasets"))
        full()
        done = ws.run("ingest", name, "--stdin", data=rows, code=EXIT_SPACE, **options)
        assert b"Error" in done.err, done
        assert any(word in done.err for word in (b"o space left", b"ile too large")), done
        assert fingerprint(os.path.join(ws.home, "datasets")) == before, "the dataset has changed"
        for command in (["verify", name], ["tail", name], ["list"]):
            ws.run(*command, **options)
        free()
        assert not ws.leftovers(), ws.leftovers()
        ws.run("ingest", name, "--stdin", data=rows)
        count = ws.run("sql", "-o", "csv", "-c", f'select count(distinct k) from "{name}"').out.split()[-1]
        assert int(count) == len(KEYS)
        ws.check_sound(name)
        ws.run("delete", name, "--yes")


def full_file_system():
    folder = mount_small()
    if folder is None:  # the next test does the same with a limit
        return file_size_limit()
    ballast = []
    try:
        ws = Workspace(folder=folder)
        return check_fails_and_recovers(ws, records(KEYS, "some text to fill the disk with"),
                                        lambda: ballast.append(fill(folder)), lambda: os.remove(ballast.pop()))
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        os.rmdir(folder)


def file_size_limit():
    with Workspace() as ws:
        check_fails_and_recovers(ws, records(KEYS, "some text to fill the disk with"), lambda: None, lambda: None,
                                 preexec_fn=limited(64 << 10))


def every_size_of_the_limit():
    """The limit met in whatever file is written first, second, last: all or nothing each time."""
    for size in (0, 10, 100, 500, 1000, 1500, 2000, 4000):
        def case(size=size):
            with Workspace() as ws:
                ws.add("d", LEDGER)
                ws.run("ingest", "d", "--stdin", data=records(range(3)))
                head, before = ws.head("d"), fingerprint(ws.path("d"))
                done = ws.run("ingest", "d", "--stdin", data=records(range(60)), code=(0, EXIT_SPACE), preexec_fn=limited(size))
                if done.code:
                    assert ws.head("d") == head and fingerprint(ws.path("d")) == before, done
                else:
                    assert len(ws.rows("d")) == 60
                ws.run("verify", "d")
                ws.run("ingest", "d", "--stdin", data=records(range(61)))
                assert [r["k"] for r in ws.rows("d")] == list(range(61))
                ws.check_clean()
        yield f"{size} bytes", case


def a_node_on_a_full_disk():
    """It starts, says that it is not ready, acknowledges nothing that is not on disk, and recovers by itself."""
    folder = mount_small("220m")
    if folder is None:
        harness.left_out.add("a node on a full disk: mounting is not allowed")
        return
    try:
        ws = Workspace(folder=folder)
        ws.add("d", APPEND)
        with Node(ws, "--block-budget", "unlimited") as node:
            check_committed(node.push("d", record(0)))
            for restarts in (False, True):
                ballast = fill(folder)
                if restarts:
                    node.restart()
                keys = range(2000, 3000) if restarts else range(1000)
                large, key = records(keys), f"large-{restarts}"
                check_problem(node.push("d", large, key=key), 503)
                # Anybody may ask why, and not where the node keeps its files; that is for who runs it.
                reason = check_problem(node.get("/readyz"), 503, "No space left", "<path>")["message"]
                assert ws.home not in reason and "/" not in reason.replace("<path>", ""), reason
                assert ws.home in node.operator("GET", "/readyz").json["message"]
                assert node.get("/livez").status == 200 and node.get("/d/tail").status == 200
                os.remove(ballast)
                node.eventually(lambda: node.get("/readyz").status, lambda status: status == 200)
                check_committed(node.push("d", large, key=key), 1000, 1000)
            node.stop()
        assert [r["k"] for r in ws.rows("d")] == [0, *range(1000), *range(2000, 3000)]
        ws.check_sound("d")
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        os.rmdir(folder)


def output_that_takes_no_more():
    with Workspace() as ws:
        ws.add("d", APPEND)
        ws.run("ingest", "d", "--stdin", data=records(range(10)))
        for command in (["tail", "d"], ["sql", "-c", 'select * from "d"'], ["log", "d"], ["list", "-o", "json"]):
            with open("/dev/full", "wb") as full:
                done = ws.run(*command, stdout=full, code=EXIT_SPACE)
            assert b"o space left" in done.err, done


if __name__ == "__main__":
    main([full_file_system, file_size_limit, every_size_of_the_limit, a_node_on_a_full_disk, output_that_takes_no_more])
