"""Pipelines under test: the real program running pipeline files, a client, and a repository that keeps records by uuid."""
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import harness


def manifest(*columns):
    """Of an Append dataset that takes records of pipelines; `%` puts its name in."""
    schema = ", ".join(f'"{column}"' for column in columns)
    return """kind: DatasetSnapshot
version: 1
content:
  name: %s
  kind: Root
  metadata:
    - kind: AddPushSource
      sourceName: default
      read:
        kind: NdJson
        schema: [""" + schema + """]
      merge: {kind: Append}
    - {kind: SetVocab, eventTimeColumn: created_at}
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Folder:
    """A scratch folder, removed at the end together with the pipelines that were started in it."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="sluice-pipe-")
        self.pipes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pipe in self.pipes:
            pipe.kill()
        shutil.rmtree(self.path, ignore_errors=True)

    def write(self, name, content):
        path = os.path.join(self.path, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def read(self, name):
        path = os.path.join(self.path, name)
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def run(self, name, text, code=0, data=None, timeout=60):
        """A pipeline that ends by itself."""
        self.write(name, text)
        process = subprocess.Popen([harness.program, "run", name], cwd=self.path, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        done = harness.wait(process, data or b"", timeout)
        assert done.code == code, f"expected exit {code}: {done}"
        return done

    def start(self, name, text, port=None, env=None):
        self.write(name, text)
        pipe = Pipe(self.path, name, port, env)
        self.pipes.append(pipe)
        return pipe


class Pipe:
    """A pipeline that runs until it is stopped; `port` is waited for."""

    def __init__(self, folder, name, port, env=None):
        self.folder, self.name, self.port, self.env = folder, name, port, env
        self.log = os.path.join(folder, name + ".log")
        self.process = None
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([harness.program, "run", self.name], cwd=self.folder, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**os.environ, **(self.env or {})})
        end = time.monotonic() + 30
        while self.port:
            assert self.process.poll() is None, f"it ended: {self.said()}"
            assert time.monotonic() < end, f"it does not listen: {self.said()}"
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout=30):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        assert code == 0, f"exit {code}: {self.said()}"

    def memory(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
            return int(next(line for line in status if line.startswith("VmRSS:")).split()[1]) * 1024


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


def post(port, body, path="/ingest", method="POST", timeout=20, **headers):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, body, {"Content-Type": "application/json",
                                                **{name.replace("_", "-"): value for name, value in headers.items()}})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


class Handler(http.server.BaseHTTPRequestHandler):
    """Keeps connections, says nothing, answers without a body."""

    protocol_version = "HTTP/1.1"

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    def log_message(self, *_):
        pass


class Listener:
    """An HTTP server of the test's own on a free port, ended with the object."""

    def __init__(self, handler):
        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Repository(Listener):
    """What stands at the end of a chain: an ingestor as the original's, which keeps records by uuid."""

    def __init__(self):
        self.records, self.requests, self.status, self.delay = {}, 0, 200, 0.0
        self.lock = threading.Lock()
        repository = self

        class Taking(Handler):
            def do_POST(self):  # noqa: N802
                body = self.body()
                time.sleep(repository.delay)
                if repository.status == 200:
                    with repository.lock:
                        repository.requests += 1
                        record = json.loads(body)
                        repository.records[record["uuid"]] = record
                self.answer(repository.status)

            def do_GET(self):  # noqa: N802
                self.answer(405)

        super().__init__(Taking)
