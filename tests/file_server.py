"""A file server on loopback that speaks as a hub does, and fails as networks do."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_COMMIT = "0" * 40


@dataclass
class FileServer:
    """What it serves by path, and how.

    Attributes:
        cut_after: Bytes after which it hangs up; `None` never.
        ranges: Whether it understands them.
        asked: Path and range of every GET.
        authorised: The `Authorization` header of every GET.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    authorised: list[str | None] = field(default_factory=list)
    url: str = ""

    def sha256(self, path: str) -> str:
        return hashlib.sha256(self.files[path]).hexdigest()


@contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    class Connection(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            body = server.files.get(self.path)
            if body is None:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
            else:
                self.send_response(200)
                self.send_header("X-Repo-Commit", _COMMIT)
                self.send_header("X-Linked-Etag", f'"{server.sha256(self.path)}"')
                self.send_header("X-Linked-Size", str(len(body)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            server.asked.append((self.path, self.headers.get("Range")))
            server.authorised.append(self.headers.get("Authorization"))
            if self.path in server.moved:
                self.send_response(302)
                self.send_header("Location", server.moved[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = server.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(wanted[1]) if wanted and server.ranges else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            end = len(body) if server.cut_after is None else start + server.cut_after
            self.wfile.write(body[start:end])
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Connection) as listening:
        server.url = f"http://127.0.0.1:{listening.server_address[1]}"
        thread = Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
