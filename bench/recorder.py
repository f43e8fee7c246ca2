"""What keeps every byte that it gets: a server in the place of a cloud, and a paired machine."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from house import SERVE, House

ANSWER = {
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "From afar."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 3},
}


_LATE_S = 0.5
"""Many times what it usually takes, so that somebody else is asked besides."""
_HELD_S = 10.0
_RECORDING = """
import sys, edgeroute.mesh.link
link = edgeroute.mesh.link.Link
taken = link.data_received
def keep(self, data):
    with open({file!r}, "ab") as file:
        file.write(data)
    taken(self, data)
link.data_received = keep
from edgeroute.cli.main import main
main(["serve"])
"""


class Cloud(ThreadingHTTPServer):
    """Keeps every byte that it gets, and answers or fails as it is told.

    Attributes:
        got: When, and what.
        mode: `ok`, `500`, `429`, `reset`, `slow`, or `held`, which fails once `release` is set.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Recorder)
        self.got: list[tuple[float, bytes]] = []
        self.mode = "ok"
        self.release = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up is no news."""


class _Recorder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Cloud

    def do_GET(self) -> None:
        self._answer(200, {"data": [{"id": "gpt-4o"}, {"id": "gpt-4o-mini"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.got.append((time.monotonic(), f"{self.headers}".encode() + body))
        match self.server.mode:
            case "ok" if self.path.endswith("/embeddings"):
                self._answer(200, {"data": [{"index": 0, "embedding": [0.1, 0.2]}]})
            case "ok":
                self._answer(200, ANSWER)
            case "slow":
                time.sleep(_LATE_S)
                self._answer(200, ANSWER)
            case "held":
                self.server.release.wait(_HELD_S)
                self._answer(500, {"error": {"message": "no"}})
            case "reset":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            case code:
                self._answer(int(code), {"error": {"message": "no"}})

    def _answer(self, status: int, told: Any) -> None:
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing on the screen."""


def lan(port: int, name: str) -> str:
    """The part of a configuration that lets machines on loopback be paired."""
    return f'[lan]\nenabled = true\nnetworks = ["127.0.0.0/8"]\nport = {port}\nname = "{name}"\n'


class Neighbour(House):
    """A paired machine with one model, which keeps every byte of its links as it decrypts them.

    Attributes:
        port: On loopback.
        got: The file of those bytes, beside its folders.
    """

    def __init__(self, port: int, quality: str) -> None:
        super().__init__(lan(port, "neighbour"))
        self.port = port
        self.got = Path(f"{self.root}.got")
        self.got.touch()
        self.add_model("theirs", f"[scores]\n{quality}\n[echo]\n")

    def begin(self) -> None:
        """Start it."""
        self.start([SERVE[0], "-c", _RECORDING.format(file=str(self.got))])

    def remove(self) -> None:
        """End it, where it runs, and forget everything."""
        super().remove()
        self.got.unlink()
