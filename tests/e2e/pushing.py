"""A node under test, and a proxy that cuts connections."""
import http.client
import os
import random
import signal
import socket
import subprocess
import threading
import time

import harness


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    """`sluice serve` in a workspace, on one port through all its lives."""

    def __init__(self, workspace, *options):
        self.workspace, self.options = workspace, options
        self.port = free_port()
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.log = open(os.path.join(self.workspace.folder, "node.log"), "ab")
        self.process = self.workspace.start("serve", "--listen", f"127.0.0.1:{self.port}", *self.options,
                                            stdout=subprocess.DEVNULL, stderr=self.log)
        deadline = time.monotonic() + harness.TIMEOUT
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the node ended: {self.said()}"
            try:
                if self.call("GET", "/livez")[0] == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"the node does not answer: {self.said()}")

    def said(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as log:
            return log.read()[-3000:]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(harness.TIMEOUT)
        self.log.close()

    def call(self, method, path, body=None, headers=None):
        """(status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=harness.TIMEOUT)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


class CuttingProxy:
    """Passes connections on to a port, and cuts some at a random byte, in either direction."""

    def __init__(self, port, share, seed=1):
        self.target, self.share = port, share
        self.random = random.Random(seed)
        self.cuts = 0
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Wakes the thread that accepts: closing alone would not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                node = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                client.close()
                continue
            cut = self.random.random() < self.share
            limits = [self.random.randrange(6000) if cut and self.random.random() < 0.5 else None, None]
            if cut and limits[0] is None:
                limits[1] = self.random.randrange(500)
            self.cuts += cut
            for source, target, limit in ((client, node, limits[0]), (node, client, limits[1])):
                threading.Thread(target=self.pass_on, args=(source, target, limit), daemon=True).start()

    @staticmethod
    def pass_on(source, target, limit):
        passed = 0
        try:
            while data := source.recv(65536):
                if limit is not None and passed + len(data) > limit:
                    target.sendall(data[:limit - passed])
                    break
                target.sendall(data)
                passed += len(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
