#!/usr/bin/env python3
"""A node whose disk fails one call at a time: what it tells meanwhile, and afterwards without help."""
import contextlib
import json
import os
import subprocess
import time

import harness
from harness import APPEND, Workspace, record
from node import Node as PlainNode, check_committed
from pushing import Node

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* While the file FAIL_SYNC_SWITCH is there, syncing a path that fits the pattern FAIL_SYNC_OF fails. */
int fsync(int fd) {
  static int (*real)(int);
  char link[64], path[4096];
  const char *pattern = getenv("FAIL_SYNC_OF"), *name = getenv("FAIL_SYNC_SWITCH");
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n > 0 && name && access(name, F_OK) == 0) {
    path[n] = 0;
    if (fnmatch(pattern, path, 0) == 0) { errno = EIO; return -1; }
  }
  return real(fd);
}
"""


@contextlib.contextmanager
def failing_sync(workspace, of):
    """A switch: the syncs of what is named so fail while its file is there, in programs started meanwhile."""
    shim, switch = os.path.join(workspace.folder, "shim.so"), os.path.join(workspace.folder, "fail")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", shim, workspace.write("shim.c", SHIM), "-ldl"],
                   check=True)
    settings = {"LD_PRELOAD": shim, "FAIL_SYNC_OF": of, "FAIL_SYNC_SWITCH": switch}
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield switch
    finally:
        os.environ.clear()
        os.environ.update(before)


def state(node):
    answer = json.loads(node.call("GET", "/events/sources/default/state")[2])
    return answer["accepted"], answer["committed"]


def push(node, before, after, *more):
    headers = {"ODF-If-Source-State": before, "ODF-Source-State": after, "Content-Type": "application/x-ndjson", **dict(more)}
    return node.call("POST", "/events/ingest", record(int(after)).encode(), headers)


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)


def test_a_head_that_moved_but_was_not_synced():
    """Nobody pushes afterwards: the state is told all the same, and a queued batch is not forgotten."""
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        with failing_sync(workspace, "*/refs") as switch, Node(workspace, "--block-budget", "unlimited") as node:
            assert push(node, "*", "1")[0] == 200
            workspace.write("fail", "")
            status, _, body = push(node, "1", "2", ("Prefer", "respond-async"))
            assert status == 202, (status, body)
            wait_until(lambda: node.call("GET", "/readyz")[0] == 503)
            assert state(node)[0] == "2", state(node)
            time.sleep(2.5)  # it tries again, and fails again
            os.remove(switch)
            wait_until(lambda: node.call("GET", "/readyz")[0] == 200)
            wait_until(lambda: state(node) == ("2", "2"))
            status, _, body = push(node, "2", "3")
            assert status == 200, (status, body)
        assert [row["k"] for row in workspace.rows("events")] == [1, 2, 3]
        workspace.check_sound("events")


@contextlib.contextmanager
def with_a_commit_that_failed(count=1):
    """A node whose last commit, of key `lost`, is in its log and did not move the head. Its lane is idle."""
    with Workspace() as workspace:
        workspace.add("events", APPEND)
        with failing_sync(workspace, "*/refs/*") as switch, PlainNode(workspace, "--block-budget", "unlimited") as node:
            for k in range(count):
                check_committed(node.push("events", record(k), key=f"k{k}"))
            workspace.write("fail", "")
            answer = node.push("events", record(100), key="lost")
            assert answer.status in (500, 503, 507), answer
            os.remove(switch)
            node.eventually(lambda: node.get("/readyz").status, lambda status: status == 200)
            yield node
            kept = sorted(row["k"] for row in workspace.rows("events"))
            assert kept == [*range(count), 100], kept
            workspace.check_sound("events")


def test_a_lease_after_a_commit_that_failed():
    """What is noted for the one who takes the workspace does not make the commit seem to have come to be."""
    for path in ("/operator/lease?dataset=events", "/operator/lease"):
        with with_a_commit_that_failed() as node:
            assert node.operator("POST", path).status == 200
            node.kill()
            node.start()
            check_committed(node.push("events", record(100), key="lost"), 1, 1)
            node.restart()
            check_committed(node.push("events", record(100), key="lost"), status="duplicate")


def test_a_compaction_after_a_commit_that_failed():
    for restarts in (False, True):
        with with_a_commit_that_failed(3) as node:
            answer = node.operator("POST", "/operator/compact?dataset=events")
            assert answer.status == 200 and answer.json["changed"], answer
            if restarts:
                node.restart()
            check_committed(node.push("events", record(100), key="lost"), 1, 1)
            node.restart()
            check_committed(node.push("events", record(100), key="lost"), status="duplicate")
            # Blocks that were merged are found where they are now.
            for k in range(3):
                repeated = check_committed(node.push("events", record(k), key=f"k{k}"), status="duplicate")
                assert repeated["sequence"] is not None, repeated


def test_a_compaction_that_failed():
    """Whether its head moved is found out, not taken for granted."""
    for pattern in ("*/refs", "*/refs/*"):
        with Workspace() as workspace:
            workspace.add("events", APPEND)
            with failing_sync(workspace, pattern) as switch, PlainNode(workspace, "--block-budget", "unlimited") as node:
                for k in range(3):
                    check_committed(node.push("events", record(k), key=f"k{k}"))
                workspace.write("fail", "")
                assert node.operator("POST", "/operator/compact?dataset=events").status >= 500
                os.remove(switch)
                check_committed(node.push("events", record(3), key="k3"), 1, 1)
                for _ in range(2):
                    for k in range(4):
                        check_committed(node.push("events", record(k), key=f"k{k}"), status="duplicate")
                    node.restart()
            assert sorted(row["k"] for row in workspace.rows("events")) == [0, 1, 2, 3]
            workspace.check_sound("events")


if __name__ == "__main__":
    harness.main([test_a_head_that_moved_but_was_not_synced, test_a_lease_after_a_commit_that_failed,
                  test_a_compaction_after_a_commit_that_failed, test_a_compaction_that_failed])
