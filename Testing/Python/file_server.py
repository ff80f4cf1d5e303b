"""A web server on this computer that gives one file, whole, in parts, or broken off in the middle."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PATH = "/folder/model.zip"


class FileServer:
    """Serves `content` at `url`; the other attributes change how.

    Args:
        breaks_after: bytes of the body after which the connection is closed.
        knows_ranges: whether parts can be asked for.
        ranges: the Range header of each request, '' where it had none.
    """

    def __init__(self, content: bytes):
        self.content = content
        self.breaks_after: int | None = None
        self.knows_ranges = True
        self.ranges: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self) -> FileServer:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{_PATH}"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def _handler(server):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                if self.path.split("?")[0] != _PATH:
                    self.send_error(404)
                    return
                wanted = self.headers.get("Range", "")
                server.ranges.append(wanted)
                version = f'"{server.sha256}"'
                fits = server.knows_ranges and wanted and self.headers.get("If-Range", version) == version
                start = int(wanted.removeprefix("bytes=").removesuffix("-")) if fits else 0
                self._give(start, version)

            def _give(self, start, version):
                size = len(server.content)
                if start >= size:
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
                self.send_header("Content-Length", str(size - start))
                self.send_header("ETag", version)
                self.end_headers()
                self.wfile.write(server.content[start : server.breaks_after])

        return Handler
