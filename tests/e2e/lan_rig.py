"""A network of real machines: namespaces joined by a bridge, with real multicast between them.

Where namespaces cannot be made, tests fail: what they show cannot be shown without. Set
EDGEROUTE_NO_NAMESPACES=1 to excuse a machine on which nobody may make them.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import cable
from tests.e2e.conftest import COMMAND, House, chat

_numbers = itertools.count(1)
SUBNET = "10.213.7"
FIRST_OF_1970 = {
    "LD_PRELOAD": str(
        distribution("libfaketime").locate_file(
            "libfaketime/vendor/libfaketime/src/libfaketime.so.1"
        )
    ),
    "FAKETIME": "@1970-01-01 00:01:00",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "NO_FAKE_STAT": "1",
    "TZ": "UTC",
}
"""A process's clock alone: that of the machine cannot be set for a test."""
WORDS = "one two three four five six seven eight nine ten"


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@dataclass
class Machine:
    """A namespace with one network card, and a house in it.

    Attributes:
        carrying: Carries the card's frames, where its cable is one that can be made bad.
    """

    name: str
    address: str
    house: House
    carrying: subprocess.Popen[str] | None = None

    def set_link(self, state: str) -> None:
        """Plug the card in, `up`, or pull it out, `down`."""
        _ip("-n", self.name, "link", "set", "eth0", state)
        if state == "up":
            _ip("-n", self.name, "route", "replace", "default", "dev", "eth0")

    def impair(self, delay_s: float = 0.0, loss: float = 0.0) -> None:
        """Have every frame, in either way, come so late, and so many of them never."""
        assert self.carrying is not None
        assert self.carrying.stdin is not None
        assert self.carrying.stdout is not None
        self.carrying.stdin.write(f"{delay_s} {loss}\n")
        self.carrying.stdin.flush()
        assert self.carrying.stdout.readline() == "ok\n"


class Network:
    """A bridge, and the machines at it."""

    def __init__(self) -> None:
        self._tag = f"er{os.getpid() % 10000}x{next(_numbers)}"
        self._switch = f"{self._tag}sw"
        self.machines: list[Machine] = []

    def open(self) -> None:
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        _ip("-n", self._switch, "link", "set", "br0", "up")

    def add(
        self,
        lan: str = "",
        config: str = "",
        wrapper: Sequence[str] = (),
        name: str = "",
        *,
        bad_cable: bool = False,
        networks: Sequence[str] = (f"{SUBNET}.0/24", "fe80::/10"),
    ) -> Machine:
        """One more machine; `lan` has further keys of its `[lan]`."""
        number = len(self.machines) + 1
        space, address = f"{self._tag}m{number}", f"{SUBNET}.{number}"
        _ip("netns", "add", space)
        root = Path(tempfile.mkdtemp(prefix="er-"))
        house = House(root, wrapper=("ip", "netns", "exec", space, *wrapper))
        house.configure(
            f"{config}\n[lan]\nenabled = true\nnetworks = {json.dumps(networks)}\n"
            f'name = "{name or f"box{number}"}"\n{lan}\n'
        )
        machine = Machine(space, address, house)
        self.machines.append(machine)
        port = f"p{number}"
        _ip("-n", space, "link", "set", "lo", "up")
        if bad_cable:
            machine.carrying = self._cable(space, port)
        else:
            _ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns",
                self._switch)  # fmt: skip
        _ip("-n", self._switch, "link", "set", port, "master", "br0", "up")
        _ip("-n", space, "address", "add", f"{address}/24", "dev", "eth0")
        machine.set_link("up")
        return machine

    def add_card(self, machine: Machine) -> None:
        """One more card, at the same bridge; it has the address that it gives itself."""
        port = f"second{self.machines.index(machine)}"
        _ip("-n", machine.name, "link", "add", "eth1", "type", "veth", "peer", "name", port,
            "netns", self._switch)  # fmt: skip
        _ip("-n", self._switch, "link", "set", port, "master", "br0", "up")
        _ip("-n", machine.name, "link", "set", "eth1", "up")

    def settle(self, machine: Machine) -> None:
        """Wait until its addresses may be used: the kernel looks first whether others have them."""
        shown = ["ip", "-n", machine.name, "-6", "address", "show", "tentative"]
        until(lambda: not subprocess.run(shown, capture_output=True, check=True).stdout)

    def _cable(self, space: str, port: str) -> subprocess.Popen[str]:
        """A process between a machine's card and the bridge, which makes both its ends."""
        near = f"near{port}"
        command = ["ip", "netns", "exec", self._switch, sys.executable, cable.__file__, near, port]
        carrying = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert carrying.stdout is not None
        assert carrying.stdout.readline() == "ok\n"
        _ip("-n", self._switch, "link", "set", near, "netns", space, "name", "eth0")
        return carrying

    def close(self) -> None:
        """Stop the daemons, end whatever else runs in these namespaces, and remove them."""
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(_stop, self.machines))
        for space in (*(machine.name for machine in self.machines), self._switch):
            _end_all(space)
            subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)
        for machine in self.machines:
            if machine.carrying is not None:
                machine.carrying.communicate()
            shutil.rmtree(machine.house.root)


def _stop(machine: Machine) -> None:
    with suppress(subprocess.TimeoutExpired):  # a suspended one, say: its processes are ended then
        subprocess.run(
            [*machine.house.wrapper, *COMMAND, "stop"],
            env=machine.house.env, capture_output=True, check=False, timeout=60,
        )  # fmt: skip


def _end_all(space: str) -> None:
    """End every process in a namespace of ours."""
    told = subprocess.run(
        ["ip", "netns", "pids", space], capture_output=True, text=True, check=False
    )
    for pid in told.stdout.split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


@contextmanager
def network() -> Iterator[Network]:
    """A network of one's own."""
    if os.environ.get("EDGEROUTE_NO_NAMESPACES") == "1":
        pytest.skip("excused: no network namespaces here")
    built = Network()
    try:
        built.open()
        yield built
    finally:
        built.close()


# ---- what machines are asked, and asked to do --------------------------------------------------


def peers(machine: Machine) -> Any:
    with machine.house.client() as client:
        return client.get("/edgeroute/peers")["peers"]


def until(true: Callable[[], Any], within_s: float = 30.0) -> Any:
    """Look until something is so: there is nobody to be told by."""
    waiting = threading.Event()
    ends = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < ends, "it did not become so"
        waiting.wait(0.05)
    return found


def pair(shows: Machine, types: Machine, where: str = "auto") -> None:
    """As two people would: one reads the code out, the other types it."""
    command = [*shows.house.wrapper, *COMMAND, "pair", "--json"]
    with subprocess.Popen(command, env=shows.house.env, stdout=subprocess.PIPE, text=True) as shown:
        assert shown.stdout is not None
        code = json.loads(shown.stdout.readline())["code"]
        until(lambda: where != "auto" or finds(types))
        met = types.house.json("pair", where, "--code", code)
        told = json.loads(shown.stdout.readline())
    assert shown.returncode == 0
    assert met["fingerprint"] == fingerprint(shows)
    assert told["fingerprint"] == fingerprint(types)


def pair_quietly(shows: Machine, types: Machine) -> None:
    """As two programs would: a tenth of a second and no processes."""
    with shows.house.client() as one, types.house.client() as other:
        code = one.post("/edgeroute/pairing/open", {})["code"]
        other.post("/edgeroute/pair", {"code": code, "address": shows.address})


def finds(machine: Machine) -> Any:
    """Whether it has heard of somebody who shows a code."""
    with machine.house.client() as client:
        return client.get("/edgeroute/peers")["showing"]


def fingerprint(machine: Machine) -> str:
    with machine.house.client() as client:
        return str(client.get("/edgeroute/peers")["fingerprint"])


def linked(machine: Machine, count: int = 1) -> Any:
    """Its peers once all are linked and offer something."""
    found = peers(machine)
    stands = len(found) == count and all(peer["linked"] and peer["models"] for peer in found)
    return found if stands else None


def ask(machine: Machine, **fields: Any) -> dict[str, Any]:
    with machine.house.client() as client:
        return client.post(
            "/v1/chat/completions",
            chat(WORDS, **{"max_tokens": 20, "edgeroute": {"explain": True}, **fields}),
        )


def said(told: dict[str, Any]) -> str:
    return str(told["choices"][0]["message"]["content"])
