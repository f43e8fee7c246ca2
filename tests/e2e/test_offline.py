"""A cable that is pulled out and put in again: no request pays for it, and it is noticed soon."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import chat
from tests.e2e.lan_rig import Machine, network, until

pytestmark = pytest.mark.e2e

PORT = 8080
SERVER = """
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Box(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.tell({"data": [{"id": "gpt-4o-mini"}]})
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "from afar"}
        self.tell({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    def tell(self, told):
        data = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("", 8080), Box).serve_forever()
"""


@contextmanager
def serving(at: Machine) -> Iterator[None]:
    with subprocess.Popen([*at.house.wrapper, sys.executable, "-c", SERVER]) as process:
        try:
            yield
        finally:
            process.kill()


def answered_by(machine: Machine) -> tuple[str, list[str]]:
    """Who answered a question, and what went wrong before."""
    with machine.house.client() as client:
        body = chat("hello", edgeroute={"label": "internal", "explain": True})
        account = client.post("/v1/chat/completions", body)["edgeroute"]
    return account["target"], [a["error"] for a in account["attempts"] if a["error"]]


def reaches(machine: Machine) -> bool:
    with machine.house.client() as client:
        providers = client.get("/edgeroute/status")["providers"]
    return bool(next(p["reachable"] for p in providers if p["name"] == "box"))


def test_a_link_that_goes_costs_no_request_and_its_return_is_noticed_within_five_seconds() -> None:
    with network() as net:
        box, lap = net.add(name="box"), net.add(name="lap")
        lap.house.configure(
            f"""
            [[destinations]]
            name = "box"
            url = "http://{box.address}:{PORT}/v1"
            zone = "peer"
            max_label = "internal"
            """
        )
        lap.house.add_echo("own", quality=0.6)
        with serving(box):
            lap.house.start()
            until(lambda: reaches(lap), 30.0)
            assert answered_by(lap) == ("box/gpt-4o-mini", [])
            lap.set_link("down")
            until(lambda: not reaches(lap), 30.0)  # the kernel tells, and nobody had to ask
            for _ in range(3):
                assert answered_by(lap) == ("own", [])
            lap.set_link("up")
            until(lambda: reaches(lap), 5.0 + 1.0)  # and what the look itself takes
            assert answered_by(lap) == ("box/gpt-4o-mini", [])
