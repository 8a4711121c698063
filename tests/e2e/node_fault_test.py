#!/usr/bin/env python3
"""A node whose disk fails one call at a time: what it tells meanwhile, and afterwards without help."""
import contextlib
import json
import os
import subprocess
import time

import harness
from harness import APPEND, Workspace, record
from pushing import Node

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* While the file FAIL_SYNC_SWITCH is there, syncing a path that ends with FAIL_SYNC_OF fails. */
int fsync(int fd) {
  static int (*real)(int);
  char link[64], path[4096];
  const char *end = getenv("FAIL_SYNC_OF"), *name = getenv("FAIL_SYNC_SWITCH");
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n > 0 && name && access(name, F_OK) == 0) {
    path[n] = 0;
    if ((size_t)n >= strlen(end) && strcmp(path + n - strlen(end), end) == 0) { errno = EIO; return -1; }
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
        with failing_sync(workspace, "/refs") as switch, Node(workspace, "--block-budget", "unlimited") as node:
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


if __name__ == "__main__":
    harness.main([test_a_head_that_moved_but_was_not_synced])
