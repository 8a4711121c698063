#!/usr/bin/env python3
"""What stands between a polling source and its data: proxies, certificates, redirects, servers that lie, stall or change the
content under way; big archives."""
import gzip
import http.client
import io
import os
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from harness import EXIT_BUSY, Workspace, main
from pull_test import BIG, CSV, Page, Server, add, fails, names, outcome, polling_state, pull, url_step

PLAIN = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}


class QuietServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # what clients do to it is what is tested


class Proxy:
    """A forward proxy: absolute URLs, and tunnels by CONNECT."""

    def __init__(self, status=None):
        self.seen = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                owner.seen.append(("GET", self.path))
                if status:
                    self.send_response(status)
                    self.send_header("Content-Length", "11")
                    self.end_headers()
                    self.wfile.write(b"not for you")
                    return
                url = urlsplit(self.path)
                there = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
                there.request("GET", url.path + ("?" + url.query if url.query else ""), headers=dict(self.headers))
                answer = there.getresponse()
                body = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_CONNECT(self):
                owner.seen.append(("CONNECT", self.path))
                host, port = self.path.rsplit(":", 1)
                with socket.create_connection((host, int(port)), 20) as there:
                    self.send_response(200)
                    self.end_headers()

                    def copy(source, sink):
                        try:
                            while data := source.recv(65536):
                                sink.sendall(data)
                            sink.shutdown(socket.SHUT_WR)
                        except OSError:
                            pass

                    back = threading.Thread(target=copy, args=(there, self.connection), daemon=True)
                    back.start()
                    copy(self.connection, there)
                    back.join(20)

            def log_message(self, *_):
                pass

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Certificate:
    """A self-signed one, with the names and the time that it is good for."""

    def __init__(self, names="DNS:localhost", days=2):
        self.folder = tempfile.mkdtemp(prefix="sluice-cert-")
        self.path, self.key = self.folder + "/cert.pem", self.folder + "/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(days), "-subj", "/CN=nobody", "-addext",
                        "subjectAltName=" + names, "-keyout", self.key, "-out", self.path], check=True, capture_output=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


def secure(server, certificate):
    """The same server over TLS; its URLs then start with https://localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key)
    server.server.handle_error = lambda *_: None
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True, do_handshake_on_connect=False)
    server.url = lambda path="/data.csv": f"https://localhost:{server.port}{path}"
    return server


def proxies():
    def configured():
        with Server(data__csv=Page(etag='"1"')) as server, Proxy() as proxy, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            ws.run("config", "set", "source.http.proxy", proxy.url)
            assert outcome(ws, "d")["records"]["added"] == 2
            assert outcome(ws, "d")["status"] == "up-to-date"
            assert proxy.seen == [("GET", server.url())] * 2, proxy.seen
            server.pages["/data.csv"] = Page(CSV + "3,c\n", etag='"2"', cut=13, cuts=1)
            assert outcome(ws, "d")["status"] in ("updated", "failed")

    yield "the one of the configuration", configured

    def environment():
        with Server(data__csv=Page(etag='"1"')) as server, Proxy() as proxy, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            env = {**PLAIN, "http_proxy": proxy.url}
            ws.run("pull", "d", env=env)
            assert len(proxy.seen) == 1, proxy.seen
            ws.run("pull", "d", env={**env, "no_proxy": "127.0.0.1"})
            assert len(proxy.seen) == 1, proxy.seen
            ws.run("config", "set", "source.http.proxy", "")  # none, whatever the environment says
            ws.run("pull", "d", env=env)
            assert len(proxy.seen) == 1 and len(server.requests) == 3, (proxy.seen, server.requests)

    yield "the one of the environment", environment

    def tunnel():
        with Certificate() as certificate, secure(Server(data__csv=Page(etag='"1"')), certificate) as server, Proxy() as proxy, \
                Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            ws.run("config", "set", "source.http.proxy", proxy.url)
            ws.run("config", "set", "source.http.caFile", certificate.path)
            assert outcome(ws, "d")["records"]["added"] == 2
            assert proxy.seen[0] == ("CONNECT", f"localhost:{server.port}"), proxy.seen

    yield "https goes through a tunnel", tunnel

    def broken():
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            ws.run("config", "set", "source.http.maxRetries", "0")
            with Proxy() as proxy:
                ws.run("config", "set", "source.http.proxy", proxy.url)
            fails(ws, "connect", code=EXIT_BUSY)
            with Proxy(status=407) as proxy:
                ws.run("config", "set", "source.http.proxy", proxy.url)
                fails(ws, "407", "not for you")
            ws.run("config", "set", "source.http.proxy", "")
            assert outcome(ws, "d")["records"]["added"] == 2
            assert len(server.requests) == 1

    yield "a proxy that is gone, and one that refuses", broken


def certificates():
    def wrong(names, word):
        def test():
            with Certificate(names=names) as certificate, secure(Server(data__csv=Page(etag='"1"')), certificate) as server, \
                    Workspace() as ws:
                add(ws, "d", url_step(server.url()))
                fails(ws, "certificate")
                ws.run("config", "set", "source.http.caFile", certificate.path)
                if word is None:
                    assert outcome(ws, "d")["records"]["added"] == 2
                else:
                    fails(ws, word)
                    assert not server.requests, "a request was sent to somebody else"

        return test

    yield "not trusted, then trusted", wrong("DNS:localhost", None)
    yield "of another name", wrong("DNS:example.org", "localhost")

    def no_tls():
        with Server(data__csv=Page()) as server, Workspace() as ws:
            ws.run("config", "set", "source.http.maxRetries", "0")
            add(ws, "d", url_step(server.url().replace("http:", "https:")))
            fails(ws, "https://")

    yield "a server that speaks no TLS", no_tls


def redirects():
    def chain():
        pages = {f"r{i}": Page(location=f"/r{i + 1}") for i in range(12)}
        pages["r12"] = Page(etag='"1"')
        with Server(**pages) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url("/r2")))
            assert outcome(ws, "d")["records"]["added"] == 2  # ten
            add(ws, "e", url_step(server.url("/r1")))
            fails(ws, "redirects", "10", command=("pull", "e"))
            ws.run("config", "set", "source.http.maxRedirects", "11")
            assert outcome(ws, "e")["records"]["added"] == 2

    yield "source.http.maxRedirects", chain

    def elsewhere():
        with Workspace() as ws:
            path = ws.write("secret.csv", CSV)
            for i, to in enumerate(("file://" + path, "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "http://", "//")):
                with Server(data__csv=Page(location=to)) as server:
                    ws.run("config", "set", "source.http.maxRetries", "0")
                    add(ws, f"d{i}", url_step(server.url()))
                    fails(ws, "data.csv", command=("pull", f"d{i}"))

    yield "to other schemes: refused", elsewhere


class Script:
    """A server that plays one raw answer a connection, the last one again and again."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                request = b""
                while b"\r\n\r\n" not in request:
                    data = self.request.recv(65536)
                    if not data:
                        return
                    request += data
                owner.requests.append(request.decode(errors="replace"))
                answer = owner.answers.pop(0) if len(owner.answers) > 1 else owner.answers[0]
                for part in answer if isinstance(answer, tuple) else (answer,):
                    if isinstance(part, (int, float)):
                        time.sleep(part)
                    else:
                        try:
                            self.request.sendall(part.encode() if isinstance(part, str) else part)
                        except OSError:
                            return

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/data.csv"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def answer(body, status="200 OK", length=None, **headers):
    lines = [f"HTTP/1.1 {status}", "Content-Type: text/csv", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines) + "\r\n\r\n" + body


def changes():
    """The content changes between the parts of a download: rows of two versions are never mixed."""
    old, new = BIG, BIG.replace("x", "y")
    date, later = "Sun, 09 Sep 2001 01:46:40 GMT", "Sun, 09 Sep 2001 01:47:40 GMT"
    cut = 300_000

    def case(*answers):
        def test():
            with Script(*answers) as server, Workspace() as ws:
                ws.run("config", "set", "source.http.maxRetries", "5")
                add(ws, "d", url_step(server.url()))
                assert outcome(ws, "d")["records"]["added"] == 20000
                assert set(names(ws).values()) == {"y" * 80}, "rows of two versions are mixed"
                ws.check_sound("d")

        return test

    first = answer(old[:cut], length=len(old), ETag='"1"')
    yield "by the date", case(answer(old[:cut], length=len(old), Last_Modified=date), answer(new, Last_Modified=later))
    yield "by a weak ETag: no range is asked for", case(answer(old[:cut], length=len(old), ETag='W/"1"'), answer(new, ETag='W/"2"'))
    grown = new + "x,x\n"
    yield "a range of another length", case(
        first, answer(grown[cut:], "206 Partial Content", ETag='"1"', Content_Range=f"bytes {cut}-{len(grown) - 1}/{len(grown)}"),
        answer(new, ETag='"2"'))
    yield "a range of another place", case(
        first, answer(old[:cut], "206 Partial Content", ETag='"1"', Content_Range=f"bytes 0-{cut - 1}/{len(old)}"), answer(new, ETag='"2"'))
    yield "a range of another ETag", case(
        first, answer(new[cut:], "206 Partial Content", ETag='"2"', Content_Range=f"bytes {cut}-{len(new) - 1}/{len(new)}"),
        answer(new, ETag='"2"'))
    yield "a range without its place", case(first, answer(new[cut:], "206 Partial Content", ETag='"1"'), answer(new, ETag='"2"'))
    yield "a part that is longer than what there is", case(
        first, answer("", "416 Range Not Satisfiable", Content_Range="bytes */10"), answer(new, ETag='"2"'))


def servers():
    def stalls():
        with Script((answer("id,name\n1,", length=100, ETag='"1"'), 30)) as server, Workspace() as ws:
            ws.run("config", "set", "source.http.stallTimeout", "1s")
            ws.run("config", "set", "source.http.maxRetries", "0")
            add(ws, "d", url_step(server.url()))
            done = fails(ws, "data.csv", code=EXIT_BUSY)
            assert done.seconds < 15, done

    yield "one that stalls", stalls

    def busy():
        with Script("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", answer(CSV, ETag='"1"')) as server, \
                Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            start = time.monotonic()
            assert outcome(ws, "d")["records"]["added"] == 2
            assert time.monotonic() - start >= 1 and len(server.requests) == 2

    yield "one that says when to come back", busy

    def rubbish():
        cases = ("", "\x00\x01\x02\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/9.9 abc\r\n\r\n",
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                 "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
                 "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
                 "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
        for text in cases:
            with Script(text) as server, Workspace() as ws:
                ws.run("config", "set", "source.http.maxRetries", "0")
                add(ws, "d", url_step(server.url()))
                fails(ws, "data.csv")
                server.answers = [answer(CSV, ETag='"1"')]
                done = outcome(ws, "d")
                assert done["status"] == "updated" and done["records"]["added"] == 2, (text, done)

    yield "what is no answer", rubbish

    def chunked():
        """A body without a length that is cut is continued, too."""
        head = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        part = BIG[:100_000]
        rest = answer(BIG[100_000:], "206 Partial Content", ETag='"1"', Content_Range=f"bytes 100000-{len(BIG) - 1}/{len(BIG)}")
        with Script(head + f"{len(part):x}\r\n{part}\r\n", rest) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            assert outcome(ws, "d")["records"]["added"] == 20000
            assert "Range: bytes=100000-" in server.requests[1]

    yield "a body without a length", chunked

    def close_delimited():
        """Where the end of the connection is the end of the body, a cut cannot be seen in it: nothing but the format tells."""
        with Script("HTTP/1.0 200 OK\r\nETag: \"1\"\r\n\r\n" + CSV) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url()))
            assert outcome(ws, "d")["records"]["added"] == 2

    yield "HTTP/1.0", close_delimited

    def moved_workspace():
        """Caching is in the chain: a copy of the dataset elsewhere is up to date with one conditional request."""
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as one, Workspace() as two:
            add(one, "d", url_step(server.url()))
            pull(one, "d")
            source = one.path("d")
            shutil.copytree(source, os.path.join(two.home, "datasets", os.path.basename(source)))
            two.run("source", "trust", "d")
            server.requests.clear()
            assert outcome(two, "d")["status"] == "up-to-date"
            assert len(server.requests) == 1 and server.requests[0][1]["If-None-Match"] == '"1"'
            assert names(two) == {1: "a", 2: "b"}

    yield "a dataset that has moved asks as before", moved_workspace


def archives():
    def pulled(ws, path, sub_path, limit=None):
        if limit:
            ws.run("config", "set", *limit)
        add(ws, "d", url_step("file://" + path), prepare="[{kind: Decompress, format: Zip" + (f", subPath: {sub_path}" if sub_path else "") + "}]")
        assert outcome(ws, "d")["records"]["added"] == 2
        assert names(ws) == {1: "a", 2: "b"}

    def zip64_fields():
        with Workspace() as ws:
            path = os.path.join(ws.folder, "a.zip")
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, text in (("x.txt", "x"), ("data.csv", CSV)):
                    with archive.open(name, "w", force_zip64=True) as entry:
                        entry.write(text.encode())
            pulled(ws, path, "data.csv")

    yield "zip64: sizes", zip64_fields

    def many():
        with Workspace() as ws:
            path = os.path.join(ws.folder, "a.zip")
            with zipfile.ZipFile(path, "w") as archive:
                for i in range(66_000):
                    archive.writestr(f"f{i}", b"")
                archive.writestr("data.csv", CSV)
            pulled(ws, path, "'*.csv'")

    yield "zip64: more than 65,535 entries", many

    def far():
        """An entry behind 5 GB of another one; the file is full of holes."""
        with Workspace() as ws:
            path = os.path.join(ws.folder, "a.zip")
            body, pad = CSV.encode(), 5 << 30
            crc = __import__("zlib").crc32(body)
            with open(path, "wb") as file:
                def local(name, crc32, size):
                    extra = struct.pack("<HHQQ", 1, 16, size, size)
                    file.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0x21, crc32, 0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra)))
                    file.write(name + extra)

                local(b"pad", 0, pad)
                file.seek(pad, io.SEEK_CUR)
                offset = file.tell()
                local(b"data.csv", crc, len(body))
                file.write(body)
                directory = file.tell()
                for name, crc32, size, at in ((b"pad", 0, pad, 0), (b"data.csv", crc, len(body), offset)):
                    extra = struct.pack("<HHQQQ", 1, 24, size, size, at)
                    file.write(struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 0, 0, 0x21, crc32, 0xFFFFFFFF, 0xFFFFFFFF, len(name),
                                           len(extra), 0, 0, 0, 0, 0xFFFFFFFF) + name + extra)
                end = file.tell()
                file.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 2, 2, end - directory, directory))
                file.write(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
                file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
            pulled(ws, path, "data.csv")

    yield "zip64: an entry behind 5 GB", far

    def damaged():
        """Every cut, and a byte changed here and there, is an error that names the archive."""
        good = io.BytesIO()
        with zipfile.ZipFile(good, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data.csv", CSV * 1)
        good = good.getvalue()
        with Workspace() as ws:
            path = os.path.join(ws.folder, "a.zip")
            ws.write("a.zip", good)
            add(ws, "d", url_step("file://" + path), prepare="[{kind: Decompress, format: Zip}]")
            for i, body in enumerate([good[:n] for n in (0, 3, 20, len(good) // 2, len(good) - 5)] +
                                     [good[:n] + bytes([good[n] ^ 0xFF]) + good[n + 1:] for n in (14, 42, 45)]):
                ws.write("a.zip", body)
                if body:
                    fails(ws, "a.zip")
                else:
                    ws.run("pull", "d", code=None)
            ws.write("a.zip", good)
            pull(ws, "d")
            assert names(ws) == {1: "a", 2: "b"}

    yield "damaged archives", damaged

    def big():
        """Three hundred megabytes that come compressed over HTTP, in less memory."""
        tail = "".join(chr(97 + i * 7 % 26) for i in range(750))
        text = "id,name\n" + "".join(f"{i},{i % 977}{tail}\n" for i in range(400_000))
        body = gzip.compress(text.encode(), 1)
        with Server(data__gz=Page(body, etag='"1"')) as server, Workspace() as ws:
            add(ws, "d", url_step(server.url("/data.gz")), prepare="[{kind: Decompress, format: Gzip}]", merge="{kind: Append}")
            process = ws.start("pull", "d", "-o", "json")
            most = 0
            while process.poll() is None:
                try:
                    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                        most = max([most] + [int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM:")])
                except OSError:
                    pass
                time.sleep(0.02)
            out, err = process.communicate()
            assert process.returncode == 0 and b'"added": 400000' in out, (out, err)
            assert 10 < most < 250, f"{most} MiB"

    yield "much that comes compressed", big


if __name__ == "__main__":
    main([proxies, certificates, redirects, changes, servers, archives])
