"""A small HTTP server over a scenario's folder, with entity tags."""
import hashlib
import http.server
import pathlib
import threading


class FolderServer:
    """Serves the files of `folder` on a free port of the loopback, one thread a connection."""

    def __init__(self, folder):
        owner_folder = pathlib.Path(folder)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = owner_folder / self.path.split("?")[0].lstrip("/")
                body = path.read_bytes() if path.is_file() else None
                tag = '"' + hashlib.sha1(body).hexdigest()[:12] + '"' if body is not None else None
                if body is None:
                    status, body = 404, b"nothing here\n"
                elif self.headers.get("If-None-Match") == tag:
                    status, body = 304, b""
                else:
                    status = 200
                self.send_response(status)
                if tag:
                    self.send_header("ETag", tag)
                if status != 304:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
