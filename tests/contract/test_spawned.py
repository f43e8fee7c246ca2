"""What a worker process is told, and what becomes of one that talks nonsense.

The workers here are scripts in the place of ours: one answers with what it was asked, one with
bytes that are no frames, and holds on to its life.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from edgeroute.backends.spawn import SpawnBackend
from edgeroute.backends.worker_process import Worker
from edgeroute.domain.errors import DeadlineExceeded, WorkerDied
from edgeroute.domain.load import LoadPlan, ThreadCounts
from edgeroute.domain.privacy import Label
from edgeroute.domain.request import Message, Request, Sampling
from edgeroute.domain.units import ModelId, RequestId

PLAN = LoadPlan(ModelId("m"), "", context=64, slots=2, threads=2)

BEGIN = f"""#!{sys.executable}
import socket, sys, time
import msgspec
from edgeroute.domain.request import Usage
from edgeroute.wire.frames import *
from edgeroute.wire.framing import *
sock = socket.socket(fileno=int(sys.argv[sys.argv.index("--fd") + 1]))
inbox, told = worker_inbox(), []
def messages():
    while data := sock.recv(1 << 16):
        yield from inbox.feed(data)
"""

TELLING = """
for message in messages():
    told.append(msgspec.to_builtins(message))
    if isinstance(message, Load):
        sock.sendall(encode(Ready("script", 64, 0.0)))
    elif isinstance(message, Generate) and message.deadline_s == 1.0:
        sock.sendall(encode(Step([], failed=[Failed(message.id, "deadline_exceeded", "late")])))
    elif isinstance(message, Generate):
        end = Finished(message.id, "stop", Usage(1, 1))
        sock.sendall(encode(Step([(message.id, msgspec.json.encode(told).decode())], [end])))
"""

BABBLING = """
for message in messages():
    if isinstance(message, Load):
        sock.sendall(encode(Ready("script", 64, 0.0)))
    else:
        sock.sendall(b"\\xff" * 100)
        time.sleep(3600)
"""


@pytest.fixture
async def spawned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[str], Any]]:
    workers = []

    async def spawn(script: str) -> Worker:
        program = tmp_path / "worker"
        program.write_text(BEGIN + script)
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        workers.append(
            await SpawnBackend(lambda _pid: None, lambda _pid: None).start(
                PLAN, lambda _share: None
            )
        )
        return workers[-1]

    yield spawn
    for worker in workers:
        await worker.stop(5.0)


def asking(**fields: Any) -> Request:
    return Request(RequestId("r"), "m", (Message("user", "hi"),), **fields)


async def answer(worker: Worker, request: Request, tokens: int, left_s: float | None = None) -> str:
    async with aclosing(worker.generate(request, tokens, left_s)) as chunks:
        return "".join([chunk.text async for chunk in chunks])


async def test_a_worker_is_told_all_that_it_schedules_by(spawned: Any) -> None:
    worker = await spawned(TELLING)
    request = asking(
        app="mail",
        label=Label.INTERNAL,
        priority="background",
        overflow="shift",
        sampling=Sampling(0),
    )
    told = json.loads(await answer(worker, request, 77, left_s=2.5))[-1]
    assert told["app"] == "mail"
    assert told["tenant"] == "mail/internal"
    assert told["priority"] == "background"
    assert told["overflow"] == "shift"
    assert told["expected_tokens"] == 77
    assert told["deadline_s"] == 2.5
    assert told["sampling"]["temperature"] == 0


@pytest.mark.parametrize("label", list(Label))
async def test_what_is_secret_is_not_to_be_kept(spawned: Any, label: Label) -> None:
    worker = await spawned(TELLING)
    told = json.loads(await answer(worker, asking(label=label), 8))[-1]
    assert told.get("keep", True) is (label is not Label.SECRET)
    assert told["tenant"] == f"default/{label.word}"


async def test_threads_are_told_before_the_next_request(spawned: Any) -> None:
    worker = await spawned(TELLING)
    assert worker.threads == ThreadCounts(2, 2)
    worker.use_threads(ThreadCounts(1, 2))
    *_, threads, _ = json.loads(await answer(worker, asking(), 8))
    assert threads == {"type": "threads", "few": 1, "many": 2}
    assert worker.threads == ThreadCounts(1, 2)


async def test_a_deadline_that_the_worker_found_passed_is_one(spawned: Any) -> None:
    worker = await spawned(TELLING)
    with pytest.raises(DeadlineExceeded, match="late"):
        await answer(worker, asking(), 8, left_s=1.0)


async def test_steps_and_answers_are_counted(spawned: Any) -> None:
    worker = await spawned(TELLING)
    async with aclosing(worker.generate(asking(), 8)) as chunks:
        reading = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        assert (worker.answering, worker.unanswered, worker.steps) == (0, 1, 0)
        await reading
        assert (worker.answering, worker.unanswered, worker.steps) == (1, 0, 1)
    assert (worker.answering, worker.unanswered, worker.steps) == (0, 0, 1)


async def test_a_worker_that_talks_nonsense_is_ended_by_force(spawned: Any) -> None:
    worker = await spawned(BABBLING)
    async with asyncio.timeout(30):
        with pytest.raises(WorkerDied, match="SIGKILL"):
            await answer(worker, asking(), 8)
