#!/usr/bin/env python3
"""The oracle of pushing: 32 clients at once, and everything that can happen to a node; every 2xx is an obligation.

At the end each acknowledged record must be stored once and unchanged, nothing else may be stored, the chain must verify, the
states must have gone forwards only, every receipt must have settled, and a new record must go through. The short form is part
of `make test`, the long one is `make campaign`.

usage: push_oracle.py [--sluice FILE] [--only NAME]      SLUICE_SEED repeats a run, SLUICE_CAMPAIGN=1 is the long form
"""
import asyncio
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
# pylint: disable=wrong-import-position
import harness
from clients import Book, KeyClient, LedgerClient, RaceClient, StateClient, Wrong
from node import Node, check_committed

SEED = int(os.environ.get("SLUICE_SEED", time.time_ns() % 1_000_000))
LONG = bool(os.environ.get("SLUICE_CAMPAIGN"))
STATE_SOURCES = 6
FIELDS = [("event_time", "{kind: Option, inner: Timestamp}"), ("k", "Int64"), ("v", "String")]


def source(name, merge):
    fields = ", ".join(f"{{name: {n}, type: {t}}}" for n, t in FIELDS)
    return (f"    - kind: AddPushSource\n      sourceName: {name}\n      read: {{kind: NdJson, schema: {{fields: [{fields}]}}}}\n"
            f"      merge: {merge}\n")


def make_datasets(ws):
    sources = [source("keys", harness.APPEND), source("race", harness.APPEND)]
    sources += [source(f"state{i}", harness.APPEND) for i in range(STATE_SOURCES)]
    for name, events in (("a", sources), ("l", [source("default", harness.LEDGER)]), ("k", [source("default", harness.APPEND)])):
        text = f"kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: {name}\n  kind: Root\n  metadata:\n{''.join(events)}"
        ws.run("add", ws.write(name + ".yaml", text))


def make_clients(book, node):
    """32 of them."""
    clients = [KeyClient(book, node, "a", "keys") for _ in range(10)] + [KeyClient(book, node, "k") for _ in range(8)]
    clients += [StateClient(book, node, "a", f"state{i}") for i in range(STATE_SOURCES)]
    clients += [RaceClient(book, node, "a", "race", name) for name in "xy"]
    return clients + [LedgerClient(book, node, "l") for _ in range(32 - len(clients))]


def storm(ws, node, trouble, grace=90):
    """Runs the clients while `trouble(book)` (called in a thread of its own) lasts, then lets them come to an end."""
    book = Book(SEED)
    failures = []

    async def go():
        tasks = [asyncio.create_task(client.run()) for client in make_clients(book, node)]
        making = asyncio.get_running_loop().run_in_executor(None, trouble, book)
        pending = {making, *tasks}
        while making in pending and not failures:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            failures.extend(task.exception() for task in done - {making} if task.exception())
        book.stopping = True
        try:
            await making
        except (AssertionError, OSError) as error:
            failures.append(error)
        done, late = await asyncio.wait(tasks, timeout=grace)
        failures.extend(task.exception() for task in done if task.exception())
        for task in late:
            task.cancel()
        if late and not failures:
            failures.append(Wrong(f"{len(late)} clients get no answer"))

    asyncio.run(go())
    print(f"       {book.next_batch} batches, {book.next_record} records, answers {book.answers}", flush=True)
    if failures:
        raise failures[0]
    settle(ws, node, book)
    return book


def state_numbers(ws, dataset, name):
    """The numbers of a source's states, in the order of the chain."""
    log = ws.run("log", dataset, "--limit", 10_000_000, "-o", "yaml", timeout=120).out.decode()
    numbers, in_source = [], False
    for line in log.splitlines():
        text = line.strip()
        if text.startswith("sourceName:"):
            in_source = text == f"sourceName: {name}"
        elif text.startswith("value:") and in_source:
            numbers.append(int(text.split(":", 1)[1].strip().strip("'\"").split("-")[0]))
            in_source = False
    return list(reversed(numbers))


def settle(ws, node, book):
    """Everything that was promised must be there."""
    def queued():
        return [s for d in node.operator("GET", "/operator/status").json["datasets"] for s in d["sources"] if s["queued"]]
    node.eventually(queued, lambda found: not found, 60)
    assert node.get("/readyz").status == 200
    dice = random.Random(SEED)
    for receipt in dice.sample(sorted(book.receipts), min(200, len(book.receipts))):
        told = node.receipt(receipt)
        if told["status"] not in ("committed", "up-to-date"):
            raise Wrong(f"the receipt of batch {book.receipts[receipt].number} says {told}")
    check_committed(node.push("k", harness.record(0, "last")), 1, 1)
    node.stop()
    for dataset in ("a", "l", "k"):
        rows = [(r["k"], r["v"]) for r in ws.rows(dataset)]
        book.check(dataset, [row for row in rows if row != (0, "last")])
    ws.run("verify", "a", "l", "k", timeout=120)
    for i in range(STATE_SOURCES):
        numbers = state_numbers(ws, "a", f"state{i}")
        assert numbers == sorted(set(numbers)), f"states of state{i} went back: {numbers}"
        assert numbers, f"no states of state{i}"
    numbers = state_numbers(ws, "a", "race")
    assert numbers == sorted(set(numbers)), f"states of race went back: {numbers}"
    assert book.must["a"] and book.must["k"] and book.must["l"], "nothing was acknowledged"


def kill_9_at_random():
    kills, dice = 2000 if LONG else 50, random.Random(SEED)
    with harness.Workspace() as ws:
        make_datasets(ws)
        with Node(ws, "--block-budget", "unlimited") as node:
            def trouble(book):
                for _ in range(kills):
                    time.sleep(dice.uniform(0, 0.1) if dice.random() < 0.3 else dice.uniform(0.1, 0.8))
                    node.restart()
                    if book.stopping:
                        return
                time.sleep(1)
            storm(ws, node, trouble)


def retry_storm():
    with harness.Workspace() as ws:
        make_datasets(ws)
        with Node(ws, "--block-budget", "unlimited") as node:
            book = storm(ws, node, lambda book: time.sleep(120 if LONG else 8))
            assert book.answers.get(422, 0) > 0 or not LONG, book.answers


def stop_and_start_in_order():
    with harness.Workspace() as ws:
        make_datasets(ws)
        with Node(ws, "--block-budget", "unlimited", "--shutdown-seconds", "2") as node:
            def trouble(_):
                for _ in range(50 if LONG else 4):
                    time.sleep(0.7)
                    node.restart(kill=False)
            storm(ws, node, trouble)


def one_of_two_processes_is_stopped():
    """A command beside the node, each in turn frozen in the middle of what it does."""
    dice = random.Random(SEED)
    with harness.Workspace() as ws:
        make_datasets(ws)
        ws.run("add", ws.write("c.yaml", "kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: c\n  kind: Root\n  metadata:\n"
                               + source("default", harness.APPEND)))
        with Node(ws, "--block-budget", "unlimited") as node:
            taken = []

            def trouble(book):
                for i in range(60 if LONG else 8):
                    body = harness.record(i, f"command {i}").encode()
                    command = ws.start("ingest", "c", "--stdin", "--state", i + 1, "--if-state", i or "*", stdin=subprocess.PIPE)
                    victim = node.process if i % 2 else command
                    timer = dice.uniform(0, 0.3)
                    command.stdin.write(body)
                    command.stdin.flush()
                    time.sleep(timer)
                    victim.send_signal(signal.SIGSTOP)
                    time.sleep(dice.uniform(0.2, 1.5))
                    victim.send_signal(signal.SIGCONT)
                    done = harness.wait(command, timeout=90)
                    while done.code != 0:  # busy, or a silent node: said, and then it goes through
                        assert done.code == harness.EXIT_BUSY, done
                        done = ws.run("ingest", "c", "--stdin", "--state", i + 1, "--if-state", i or "*", data=body, timeout=90,
                                      code=(0, harness.EXIT_BUSY))
                    taken.append((i, f"command {i}"))
                    if book.stopping:
                        return
            storm(ws, node, trouble)
            assert [(r["k"], r["v"]) for r in ws.rows("c")] == taken
            ws.run("verify", "c")


def trouble_with_the_disk(node, break_it, mend_it, rounds):
    def trouble(book):
        for _ in range(rounds):
            time.sleep(1)
            break_it()
            try:
                red = node.eventually(lambda: node.get("/readyz"), lambda found: found.status == 503, 20)
                assert int(red.headers["Retry-After"]) > 0 and "not ready" in red.json["message"], red
                # What is taken and new is not acknowledged any more.
                answer = node.push("k", book.batch("k").body)
                assert answer.status == 503, answer
                time.sleep(0.5)
            finally:
                mend_it()
            node.eventually(lambda: node.get("/readyz"), lambda found: found.status == 200, 30)
            if book.stopping:
                return
        time.sleep(1)
    return trouble


def full_disk():
    folder = tempfile.mkdtemp(prefix="sluice-oracle-full-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "none", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        os.rmdir(folder)
        harness.left_out.add("full file system: mounting is not allowed; the limit on file sizes stands for it")
        return
    ballast = os.path.join(folder, "ballast")

    def fill():
        with open(ballast, "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    pass

    try:
        ws = harness.Workspace(folder=folder)
        make_datasets(ws)
        with Node(ws, "--block-budget", "unlimited") as node:
            storm(ws, node, trouble_with_the_disk(node, fill, lambda: os.remove(ballast), 20 if LONG else 2))
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        os.rmdir(folder)


def file_size_limit():
    with harness.Workspace() as ws:
        make_datasets(ws)
        with Node(ws, "--block-budget", "unlimited") as node:
            def limit(size):
                resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            storm(ws, node, trouble_with_the_disk(node, lambda: limit(16), lambda: limit(resource.RLIM_INFINITY),
                                                  20 if LONG else 2))


SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
/* Syncing fails while the file that SLUICE_FAIL_SYNC names is there. */
static int fails(void) {
  const char* path = getenv("SLUICE_FAIL_SYNC");
  return path && access(path, F_OK) == 0;
}
#define SHIM(name) \\
  int name(int fd) { \\
    static int (*real)(int); \\
    if (fails()) { errno = EIO; return -1; } \\
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, #name); \\
    return real(fd); \\
  }
SHIM(fsync)
SHIM(fdatasync)
SHIM(syncfs)
"""


def failing_fsync():
    with harness.Workspace() as ws:
        make_datasets(ws)
        shim, switch = os.path.join(ws.folder, "shim.so"), os.path.join(ws.folder, "fail")
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, ws.write("shim.c", SHIM), "-ldl"], check=True)
        with Node(ws, "--block-budget", "unlimited", env={"LD_PRELOAD": shim, "SLUICE_FAIL_SYNC": switch}) as node:
            storm(ws, node, trouble_with_the_disk(node, lambda: ws.write("fail", ""), lambda: os.remove(switch),
                                                  20 if LONG else 3))


if __name__ == "__main__":
    print(f"seed {SEED} (SLUICE_SEED repeats it)")
    harness.main([retry_storm, kill_9_at_random, stop_and_start_in_order, one_of_two_processes_is_stopped, full_disk,
                  file_size_limit, failing_fsync])
