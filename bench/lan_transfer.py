"""How fast a paired machine copies a model, against a bare copy over TLS by Python's own `ssl`.

Owns one case of `lan.py`: both copies run between the same two namespaces, in turn, from file to
file, each begun in a program of its own that has imported what it needs; both encrypt by the same
cipher. What `edgeroute pull` takes in all, with the program's start and the hash, is told besides.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.lan_rig import Machine, Network, linked, pair_quietly, until
from tests.unit.wire.gguf_files import TENSORS, Tensor, gguf

_EVERY_TOKEN = 34 * 64 // 32
"""Bytes of one row of the tensor that makes the file as large as wished."""

GIVE = """
import socket, ssl, sys
path, pem, address, times = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(pem)
with socket.create_server((address, 0)) as server:
    print(server.getsockname()[1], flush=True)
    for _ in range(int(times)):
        plain, _ = server.accept()
        with context.wrap_socket(plain, server_side=True) as to, open(path, "rb", 0) as file:
            block = memoryview(bytearray(1 << 18))
            while count := file.readinto(block):
                to.sendall(block[:count])
"""
TAKE = """
import socket, ssl, sys, time
path, address, port = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
began = time.perf_counter()
with socket.create_connection((address, int(port))) as plain, open(path, "wb") as file:
    with context.wrap_socket(plain) as of:
        block = memoryview(bytearray(1 << 18))
        while count := of.recv_into(block):
            file.write(block[:count])
print(time.perf_counter() - began)
"""
OURS = """
import sys, time
from contextlib import closing
from edgeroute.config import Folders
from edgeroute.mesh.identity import Identity
from edgeroute.mesh.taking import Taking
from edgeroute.mesh.trust import TrustStore
path, address, port = sys.argv[1:]
folder = Folders.from_environment().mesh
identity, trust = Identity.load(folder), TrustStore(folder / "peers.json")
(peer,) = trust
began = time.perf_counter()
taking = Taking(identity, peer, [(address, int(port))], trust.still_trusts)
with closing(taking), open(path, "w+b") as file:
    (size,) = taking.want("large").sizes
    taking.fetch(0, size, file, lambda _done: None)
print(time.perf_counter() - began)
"""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Seconds of each copy, and of one `edgeroute pull`."""

    ours_s: list[float]
    bare_s: list[float]
    pull_s: float
    size: int

    @property
    def share(self) -> float:
        """Our rate over the bare one's, in the median."""
        return statistics.median(self.bare_s) / statistics.median(self.ours_s)

    def __str__(self) -> str:
        """The rates, for people."""
        ours, bare = (
            self.size / 1e6 / statistics.median(times) for times in (self.ours_s, self.bare_s)
        )
        return f"{ours:.0f} MB/s against {bare:.0f}, pull of it in {self.pull_s:.2f} s"


def transfer(net: Network, mib: int, rounds: int) -> Transfer:
    """Copy a file of so many MiB between two machines of their own, in both ways, in turn."""
    giver, taker = net.add(name="giver", lan="give_mb_s = 1e6"), net.add(name="taker")
    for machine in (giver, taker):
        machine.house.start()
    file = giver.house.root / "large.gguf"
    weights = Tensor("token_embd.weight", (64, (mib << 20) // _EVERY_TOKEN), "Q8_0")
    file.write_bytes(gguf(tensors=(weights, *TENSORS[1:])))
    giver.house.json("models", "link", str(file))
    pair_quietly(giver, taker)
    until(lambda: linked(taker))
    pem = giver.house.folders.mesh / "device.pem"
    command = [sys.executable, "-c", GIVE, str(file), str(pem), giver.address, str(rounds + 1)]
    ours, bare = [], []
    with subprocess.Popen(
        [*giver.house.wrapper, *command], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        for _ in range(rounds + 1):  # the first warms the page cache
            bare.append(_copied(taker, TAKE, giver.address, port))
            ours.append(_copied(taker, OURS, giver.address, "47433"))
    began = time.perf_counter()
    taker.house.json("pull", "peer:giver/large")
    return Transfer(ours[1:], bare[1:], time.perf_counter() - began, file.stat().st_size)


def _copied(machine: Machine, program: str, address: str, port: str) -> float:
    """Seconds of a copy by a program in a machine's namespace."""
    path = Path(machine.house.root / "copied")
    command = [*machine.house.wrapper, sys.executable, "-c", program, str(path), address, port]
    done = subprocess.run(
        command, env=machine.house.env, capture_output=True, text=True, check=True, timeout=120
    )
    path.unlink()
    return float(done.stdout)
