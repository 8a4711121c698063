#!/usr/bin/env python3
"""What a node gets from clients that are broken, slow or hostile: the right status or a closed connection, never a crash, a leak,
or a byte written."""
import json
import os
import re
import socket
import time

from harness import APPEND, Workspace, fingerprint, in_parallel, main, record
from node import Node, check_committed, check_problem

ONE = record(1, "one").encode()


class Fort:
    """A node that must be as it was after each attack."""

    def __enter__(self):
        self.ws = Workspace()
        self.ws.add("d", APPEND)
        self.node = Node(self.ws, "--block-budget", "unlimited")
        check_committed(self.node.push("d", ONE), 1, 1)
        self.before = fingerprint(os.path.join(self.ws.home, "datasets"))
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.check()
                self.node.stop()
                self.ws.run("verify", "d")
        finally:
            self.node.__exit__()
            self.ws.__exit__()

    def check(self):
        assert self.node.process.poll() is None, f"the node has ended: {self.node.said[-20:]}"
        assert self.node.get("/livez").status == 200
        assert fingerprint(os.path.join(self.ws.home, "datasets")) == self.before, "something was written"

    def files(self):
        return len(os.listdir(f"/proc/{self.node.process.pid}/fd"))

    def status(self, data, **options):
        """The status of the first answer, 0 when there was none."""
        found = re.match(rb"HTTP/1\.1 (\d\d\d) ", self.node.raw(data, **options))
        return int(found.group(1)) if found else 0


def head(*lines, path="/d/ingest", method="POST"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def refused(status):
    return status == 0 or 400 <= status < 500 or status in (501, 505)


def refusals_before_routing_carry_request_ids():
    with Fort() as fort:
        refusals = [
            (400, b"GARBAGE\r\n\r\n", None), (400, head("X-Request-Id: abc-1", "Content-Length: -1"), None),
            (400, head("Content-Length: 10", "X-Request-Id: abc-1")[:-2], None),
            (413, head("X-Request-Id: abc-1", "Content-Length: 99999999999"), "abc-1"),
            (431, head("X-Request-Id: abc-1", "X-Long: " + "x" * 200_000), None),
            (400, head("X-Request-Id: abc-1", "Content-Length: 3", "Content-Encoding: gzip") + b"abc", "abc-1"),
            (415, head("X-Request-Id: abc-1", "Content-Length: 3", "Content-Encoding: br") + b"abc", "abc-1"),
            (417, head("X-Request-Id: abc-1", "Content-Length: 3", "Expect: miracles"), "abc-1"),
            (400, head("X-Request-Id: abc-1", "Content-Length: 30") + b"abc", "abc-1"),
        ]
        for status, data, given in refusals:
            answer = fort.node.raw(data, half_close=True, timeout=5)
            headers, body = answer.split(b"\r\n\r\n", 1)
            assert headers.startswith(b"HTTP/1.1 %d " % status), (status, data[:100], answer[:300])
            told = json.loads(body)["requestId"]
            assert told and f"X-Request-Id: {told}".encode() in headers, answer
            assert given in (None, told), (given, told)


def malformed_requests():
    with Fort() as fort:
        attacks = [
            b"\r\n\r\n\r\n", b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200), b"\x00" * 1000,
            b"POST /d/ingest\r\n\r\n", b"POST /d/ingest HTTP/9.9\r\nHost: x\r\n\r\n", b"POST  /d/ingest  HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /d/ingest HTTP/1.1\r\nHost x\r\nContent-Length: 1\r\n\r\nx",
            b"POST /d/ingest HTTP/1.1\nHost: x\nContent-Length: 5\n\n" + ONE,
            head("Content-Length: -1") + ONE, head("Content-Length: 1e3") + ONE, head("Content-Length: 0x10") + ONE,
            head("Content-Length: 99999999999999999999999") + ONE, head("Content-Length:") + ONE,
            head("Content-Length: 5, 6") + ONE, head("Content-Length: 5", "Content-Length: 6") + ONE,
            head(f"Content-Length: {len(ONE)}", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
            head("Transfer-Encoding: gzip") + ONE, head("Transfer-Encoding: chunked, gzip") + ONE,
            head("Transfer-Encoding: xchunked") + ONE,
            head("Transfer-Encoding: chunked") + b"zz\r\n" + ONE, head("Transfer-Encoding: chunked") + b"-5\r\n" + ONE,
            head("Transfer-Encoding: chunked") + b"fffffffffffffffffff\r\n" + ONE,
            head("Transfer-Encoding: chunked") + b"5\r\nabcdefgh\r\n0\r\n\r\n",
            head("X\x00: y", f"Content-Length: {len(ONE)}") + ONE, head("X y: z", f"Content-Length: {len(ONE)}") + ONE,
            head("X : y", f"Content-Length: {len(ONE)}") + ONE, head(": y", f"Content-Length: {len(ONE)}") + ONE,
            head("ODF-Source-State: a\x01b", "ODF-If-Source-State: *", f"Content-Length: {len(ONE)}") + ONE,
        ]
        for attack in attacks:
            status = fort.status(attack, half_close=True, timeout=5)
            assert refused(status), f"{status} to {attack[:150]!r}"
            fort.check()


def bodies_that_do_not_come_whole():
    with Fort() as fort:
        for attack in (head(f"Content-Length: {len(ONE) + 1}") + ONE, head("Content-Length: 1000"),
                       head("Transfer-Encoding: chunked") + b"%x\r\n" % len(ONE) + ONE,
                       head("Transfer-Encoding: chunked") + b"%x\r\n" % len(ONE) + ONE + b"\r\n",
                       head("Transfer-Encoding: chunked") + b"%x\r\n" % (len(ONE) + 9) + ONE):
            status = fort.status(attack, half_close=True, timeout=5)
            assert status == 400, f"{status} to {attack[:150]!r}"
            status = fort.status(attack, half_close=False, timeout=1)
            assert refused(status) or status == 408, f"{status} to {attack[:150]!r}"
            fort.check()
        for attack in (b"POST", head()[:-2], head("Content-Length: 5")[:-4]):
            assert fort.status(attack, half_close=True, timeout=5) == 400, attack


def slow_clients_cost_a_connection_only():
    with Fort() as fort:
        calm = fort.files()
        slow = []
        for attack in (b"", b"POST /d/ing", head("Content-Length: 1000")[:-2], head("Content-Length: 1000") + b"{"):
            for _ in range(20):
                connection = socket.create_connection(("127.0.0.1", fort.node.port), timeout=60)
                connection.sendall(attack)
                slow.append((connection, attack))
        fort.node.eventually(fort.files, lambda found: found >= calm + len(slow) - 2)
        start = time.monotonic()
        for _ in range(20):
            assert fort.node.get("/livez").status == 200
        assert time.monotonic() - start < 10, "slow clients hold others up"
        # A header that does not end is cut off after ten seconds, with or without an answer.
        for connection, attack in slow:
            if attack.startswith(b"POST") and b"{" not in attack:
                connection.settimeout(30)
                answer = connection.recv(1000)
                assert answer == b"" or answer.startswith(b"HTTP/1.1 408"), answer
        for connection, _ in slow:
            connection.close()
        fort.node.eventually(fort.files, lambda found: found <= calm + 2)


def drops_that_trickle():
    """A whole request, byte by byte, is a request all the same."""
    with Fort() as fort:
        with socket.create_connection(("127.0.0.1", fort.node.port), timeout=30) as connection:
            for byte in head("Connection: close", path="/livez", method="GET"):
                connection.sendall(bytes([byte]))
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def oversized_requests():
    with Fort() as fort:
        assert fort.status(head(f"Content-Length: {1 << 40}") + ONE) == 413
        assert fort.status(head(f"Content-Length: {(64 << 20) + 1}") + ONE) == 413
        assert fort.status(head("Content-Length: 70000", path="/d/queue/x/drop")) in (404, 413)
        answer = fort.node.raw(head(f"Content-Length: {1 << 40}", "Expect: 100-continue"))
        assert answer.startswith(b"HTTP/1.1 413"), answer[:200]
        fort.check()
        # Chunks add up.
        with socket.create_connection(("127.0.0.1", fort.node.port), timeout=60) as connection:
            connection.sendall(head("Transfer-Encoding: chunked"))
            chunk = b"%x\r\n" % (1 << 20) + b" " * (1 << 20) + b"\r\n"
            try:
                for _ in range(80):
                    connection.sendall(chunk)
            except OSError:
                pass
            try:
                answer = connection.recv(1000)
            except OSError:
                answer = b""
            assert answer == b"" or answer.startswith(b"HTTP/1.1 413"), answer[:200]


def header_floods():
    with Fort() as fort:
        many = [f"X-{i}: {'y' * 50}" for i in range(5000)]
        for attack in (head("X: " + "y" * 100_000), head(*many), head(path="/" + "d" * 100_000),
                       head("ODF-Source-State: " + "y" * 70_000, "ODF-If-Source-State: *", "Content-Length: 0"),
                       b"POST /d/ingest HTTP/1.1\r\n" + b"X: y\r\n" * 200_000):
            status = fort.status(attack)
            assert status in (0, 400, 413, 414, 431), f"{status} to {attack[:80]!r}"
            fort.check()


def bodies_nested_very_deep():
    """Neither reading such a body nor saying what is wrong with it may go down with it."""
    deep, most = 500_000, 30_000
    with Fort() as fort:
        lists, tables = "[" * deep + "]" * deep, '{"a":' * (deep // 4) + "1" + "}" * (deep // 4)
        as_json = {"Content-Type": "application/json"}
        for key in ("a", "limit", "query", "format"):
            for value in (lists, tables):
                for path in ("/query", "/d/query"):
                    answer = fort.node.request("POST", path, f'{{"{key}": {value}}}'.encode(), as_json)
                    problem = check_problem(answer, 400, f"'{key}'")
                    assert len(problem["message"]) < 1000, problem["message"][:2000]
        check_problem(fort.node.request("POST", "/query", lists.encode(), as_json), 400, "JSON object")
        check_problem(fort.node.request("POST", "/query", f'{{"{"x" * most}": 1}}'.encode(), as_json), 400)
        for sql in ("select " + "(" * most + "1" + ")" * most, "select " + "[" * most + "]" * most, "select " + "not " * most + "true",
                    "select " + "-" * 1 + " -" * most + "1", "select * from " + "(select * from " * 5000 + "d" + ")" * 5000):
            assert fort.node.request("POST", "/query", sql.encode()).status in (400, 403, 422), sql[:50]
            fort.check()
        for body in (lists, "{a: " * most, "- " * most, "kind: SetInfo\nx: " + lists):
            for path in ("/datasets", "/d/commit", "/d/sources"):
                check_problem(fort.node.request("POST", path, body.encode()), 400)
        for body in (lists, f'{{"k": {lists}}}', tables):
            check_problem(fort.node.push("d", body, source="default"), 422)


def paths_that_lead_elsewhere():
    with Fort() as fort:
        length = f"Content-Length: {len(ONE)}"
        for path in ("/../d/ingest", "/%2e%2e/d/ingest", "/d/../d/ingest", "/d/%2e%2e/d/ingest", "/d/./ingest", "/d%2fingest", "/d/ingest%00",
                     "/d%00/ingest", "/d/ingest;x", "/./d/ingest", "//d/ingest", "/d//ingest", "/d/ingest/", "d/ingest", "/d\\ingest",
                     "/..%2f..%2fetc/ingest", "/%ff%fe/ingest", "/d%zz/ingest", "/d%/ingest", "*", "/.sluice/ingest", "/%2e/ingest",
                     "/did:odf:fed01/ingest", "/livez/ingest", "/operator/ingest", "/d/ingest?sourceName=%00",
                     "/d/ingest?sourceName=../x", "/d/ingest?sourceName=", "/d/ingest?sourceName=default%20"):
            status = fort.status(head(length, path=path) + ONE)
            assert status in (400, 404, 405), f"{status} to {path}"
        for path in ("/receipts/..%2f..%2fversion", "/receipts/%00", "/d/sources/..%2f..", "/d/sources/%2e%2e/state",
                     "/d/queue/..%2f..%2fx/drop", "/d/queue/%2e%2e/retry"):
            method = "POST" if "queue" in path else "GET"
            status = fort.status(head("Content-Length: 0", path=path, method=method))
            assert status in (400, 404), f"{status} to {path}"


def headers_said_twice():
    """Which one counts must not depend on who reads them."""
    with Fort() as fort:
        length = f"Content-Length: {len(ONE)}"
        for twice in (["Idempotency-Key: a", "Idempotency-Key: b"],
                      ["ODF-Source-State: 1", "ODF-Source-State: 2", "ODF-If-Source-State: *"],
                      ["ODF-Source-State: 1", "ODF-If-Source-State: *", "ODF-If-Source-State: 0"],
                      ["ODF-Event-Time: 2020-01-01T00:00:00Z", "ODF-Event-Time: 2021-01-01T00:00:00Z"],
                      ["Content-Type: text/csv", "Content-Type: application/json"]):
            status = fort.status(head(length, *twice) + ONE)
            assert status == 400, f"{status} to {twice}"
        status = fort.status(head(length, path="/d/ingest?sourceName=default&sourceName=other") + ONE)
        assert status == 400, status
        status = fort.status(head(length, path="/d/ingest?allowEmpty=perhaps") + ONE)
        assert status == 400, status


def pipelined_and_half_closed_requests_are_answered():
    with Fort() as fort:
        two = record(2, "two").encode()
        answer = fort.node.raw(head(f"Content-Length: {len(two)}") + two + head(f"Content-Length: {len(two)}", "Connection: close") + two,
                               half_close=True)
        assert answer.count(b"HTTP/1.1 200") == 2, answer
        answer = fort.node.raw(head("Transfer-Encoding: chunked", "Connection: close") + b"%x\r\n" % len(two) + two + b"\r\n0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        answer = fort.node.raw(head(f"Content-Length: {len(two)}", "Expect: 100-continue", "Connection: close") + two)
        assert b"HTTP/1.1 200" in answer, answer
        assert len(fort.ws.rows("d")) == 5
        # Also one that takes longer than it takes to look whether anybody waits.
        query = b"select count(*) as n from range(3000000) a, range(2000) b where a.range % 7 = b.range % 11"
        answer = fort.node.raw(head(f"Content-Length: {len(query)}", "Connection: close", path="/query") + query, timeout=60,
                               half_close=True, silence=60)
        assert b"HTTP/1.1 200" in answer and b'"n"' in answer, answer
        # Empty lines before a request are passed over.
        answer = fort.node.raw(b"\r\n\r\n" + head("Connection: close", path="/livez", method="GET"))
        assert answer.startswith(b"HTTP/1.1 200"), answer
        fort.before = fingerprint(os.path.join(fort.ws.home, "datasets"))


def clients_that_vanish():
    with Fort() as fort:
        calm = fort.files()

        def vanish():
            for _ in range(30):
                connection = socket.create_connection(("127.0.0.1", fort.node.port), timeout=10)
                connection.sendall(head("Content-Length: 5", path="/d/sources", method="GET") + b"12345")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                connection.close()  # a reset

        in_parallel([vanish] * 6)
        fort.node.eventually(fort.files, lambda found: found <= calm + 2)


def many_idle_connections():
    with Fort() as fort:
        calm = fort.files()
        held = []
        try:
            for _ in range(1100):
                held.append(socket.create_connection(("127.0.0.1", fort.node.port), timeout=10))
            held[-1].sendall(head(path="/livez", method="GET"))
            answer = held[-1].recv(1000)
            assert answer == b"" or answer.startswith((b"HTTP/1.1 503", b"HTTP/1.1 200")), answer
            held[0].sendall(head(path="/livez", method="GET"))
            assert held[0].recv(1000).startswith(b"HTTP/1.1 200")
        finally:
            for connection in held:
                connection.close()
        fort.node.eventually(fort.files, lambda found: found <= calm + 2)


def much_rubbish_leaks_nothing():
    with Fort() as fort:
        def rubbish(n):
            for i in range(n):
                fort.node.push("d", b"\xff" * 50_000 + b"\n{")
                fort.node.push("d", ONE, source=f"nothing{i}")
                fort.node.get(f"/receipts/{i}")
        rubbish(30)
        calm, size = fort.files(), resident(fort)
        in_parallel([lambda: rubbish(40)] * 4)
        assert resident(fort) < size + (64 << 20), (size, resident(fort))
        fort.node.eventually(fort.files, lambda found: found <= calm + 2)
        check_problem(fort.node.push("d", b"\xff"), 422)


def resident(fort):
    with open(f"/proc/{fort.node.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main([refusals_before_routing_carry_request_ids, malformed_requests, bodies_that_do_not_come_whole, slow_clients_cost_a_connection_only, drops_that_trickle,
          oversized_requests, header_floods, bodies_nested_very_deep, paths_that_lead_elsewhere, headers_said_twice,
          pipelined_and_half_closed_requests_are_answered, clients_that_vanish, many_idle_connections,
          much_rubbish_leaks_nothing])
