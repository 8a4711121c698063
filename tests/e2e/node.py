"""A node of the tests: `sluice serve` on a free port of the loopback, and a plain HTTP client for it."""
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import harness

START_TIMEOUT = 60


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:1000]!r}"


class Node:
    """Serves a workspace until it is stopped or killed; may be started again."""

    def __init__(self, ws, *args, start=True, env=None, **options):
        self.ws, self.args, self.options = ws, args, options
        self.env = {**os.environ, **(env or {})}
        self.process = self.port = None
        self.said = []
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.kill()

    def launch(self, *more):
        self.said = []
        port = f"127.0.0.1:{self.port or 0}"  # the same one again, as clients know it
        self.process = self.ws.start("serve", "--listen", port, *self.args, *more, stdout=subprocess.DEVNULL, env=self.env,
                                     **self.options)

    def start(self, *more):
        """Returns once it listens."""
        self.launch(*more)
        ready = threading.Event()
        process, said = self.process, self.said

        def read():
            for line in process.stderr:
                said.append(line.decode(errors="replace").rstrip())
                if " on http://" in said[-1]:
                    self.port = int(said[-1].rsplit(":", 1)[1].rstrip("/"))
                    ready.set()
            ready.set()
            process.stderr.close()

        threading.Thread(target=read, daemon=True).start()
        assert ready.wait(START_TIMEOUT), f"the node does not start: {said}"
        assert process.poll() is None and any(" on http://" in line for line in said), f"the node ended: {said}"

    def refuses(self, *more):
        """Starts it, expecting that it ends by itself; what it said."""
        self.launch(*more)
        done = harness.wait(self.process)
        assert done.code not in (0,) and done.code < 128, done
        return done.err.decode(errors="replace")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout=30):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout) in (0, harness.EXIT_INTERRUPTED), f"exit {self.process.returncode}: {self.said[-20:]}"

    def restart(self, kill=True):
        (self.kill if kill else self.stop)()
        self.start()

    def request(self, method, path, body=None, headers=(), timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in dict(headers).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def push(self, dataset, body, *, source=None, key=None, state=None, before=None, kind=None, respond_async=False,
             event_time=None, media_type=None, query="", **headers):
        """POST ingest; header names with `_` for `-`."""
        named = {"Idempotency-Key": key, "ODF-Source-State": state, "ODF-If-Source-State": before, "ODF-Source-State-Kind": kind,
                 "ODF-Event-Time": event_time, "Content-Type": media_type,
                 "Prefer": "respond-async" if respond_async else None}
        named.update({name.replace("_", "-"): value for name, value in headers.items()})
        parameters = [query] if query else []
        if source is not None:
            parameters.append("sourceName=" + urllib.parse.quote(source))
        path = f"/{dataset}/ingest" + ("?" + "&".join(parameters) if parameters else "")
        body = body.encode() if isinstance(body, str) else body
        return self.request("POST", path, body, {name: str(value) for name, value in named.items() if value is not None})

    def state(self, dataset, source="default"):
        """(accepted, committed), or nothing when there is none."""
        answer = self.get(f"/{dataset}/sources/{source}/state")
        if answer.status == 404:
            return None
        assert answer.status == 200, answer
        return answer.json["accepted"], answer.json["committed"]

    def receipt(self, receipt):
        answer = self.get("/receipts/" + receipt)
        assert answer.status == 200, answer
        return answer.json

    def settled(self, receipt, timeout=30):
        """What became of a queued batch."""
        return self.eventually(lambda: self.receipt(receipt), lambda found: found["status"] != "queued", timeout)

    def eventually(self, look, is_right, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            found = look()
            if is_right(found):
                return found
            assert time.monotonic() < deadline, f"still {found}; the node said {self.said[-10:]}"
            time.sleep(0.02)

    def operator(self, method, path, timeout=60):
        """A request on the workspace's socket."""
        class Socket(http.client.HTTPConnection):
            def connect(connection):
                connection.sock = socket.socket(socket.AF_UNIX)
                connection.sock.settimeout(timeout)
                connection.sock.connect(os.path.join(self.ws.home, "node.sock"))
        connection = Socket("localhost")
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def raw(self, data, timeout=20, half_close=False, silence=1):
        """Bytes as they are; all that comes back until the node closes, or says nothing more for so many seconds."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            while True:
                try:
                    piece = connection.recv(1 << 16)
                except socket.timeout:
                    break
                except ConnectionResetError:
                    break
                if not piece:
                    break
                received += piece
                connection.settimeout(silence)
            return received


def check_problem(answer, status, *words):
    """An answer of push-protocol.md 3: problem+json with `message`, naming what is wrong."""
    assert answer.status == status, f"expected {status}: {answer}"
    assert answer.headers["Content-Type"] == "application/problem+json", answer
    body = answer.json
    assert body["status"] == status and body["title"] and body["type"] == "about:blank", body
    assert body["message"] == body["detail"] != "", body
    assert body["requestId"] == answer.headers["X-Request-Id"], answer
    for word in words:
        assert word in body["message"], f"'{word}' is not in {body['message']!r}"
    if status in (429, 503):
        assert int(answer.headers["Retry-After"]) > 0, answer
    return body


def check_committed(answer, received=None, added=None, status="committed"):
    assert answer.status == 200, answer
    body = answer.json
    assert body["status"] == status, body
    assert set(body) >= {"status", "oldHead", "newHead", "blockHash", "sequence", "offsets", "records", "sourceState",
                         "watermark"}, body
    if received is not None:
        assert body["records"]["received"] == received, body
    if added is not None:
        assert body["records"]["added"] == added, body
        if added:
            assert body["offsets"]["end"] - body["offsets"]["start"] + 1 == added, body
        else:
            assert body["offsets"] is None, body
    return body
