"""One contract for everything that brings models into memory: fake, echo process, real model."""

import asyncio
import signal
import sys
import threading
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from edgeroute.backends.spawn import SpawnBackend
from edgeroute.backends.worker_process import Worker
from edgeroute.domain.errors import ContextExceeded, LoadFailed, WorkerDied
from edgeroute.domain.load import EchoBehaviour, Footprint, LoadPlan
from edgeroute.domain.request import Message, Request, Sampling
from edgeroute.domain.units import ModelId, RequestId
from edgeroute.ports import Backend, Runner
from edgeroute.sensors.machine import Machine
from tests.conftest import starter_path
from tests.fakes import FakeBackend

ECHO = LoadPlan(ModelId("m"), "", context=64, slots=2, threads=1, echo=EchoBehaviour())


def spawning() -> SpawnBackend:
    machine = Machine()
    return SpawnBackend(machine.footprint, machine.anonymous)


@pytest.fixture(params=["fake", "echo", "real"])
def setting(request: pytest.FixtureRequest) -> tuple[Backend, LoadPlan]:
    if request.param == "fake":
        return FakeBackend(), ECHO
    if request.param == "echo":
        return spawning(), ECHO
    real = LoadPlan(ModelId("m"), str(starter_path()), context=256, slots=2, threads=2)
    return spawning(), real


def asking(prompt: str, max_tokens: int | None = None) -> Request:
    return Request(
        RequestId("r"),
        "m",
        (Message("user", prompt),),
        Sampling(temperature=0, max_tokens=max_tokens),
    )


async def start(setting: tuple[Backend, LoadPlan]) -> Runner:
    backend, plan = setting
    return await backend.start(plan, lambda _share: None)


async def text_of(runner: Runner, request: Request) -> str:
    async with aclosing(runner.generate(request, 8)) as answer:
        return "".join([chunk.text async for chunk in answer])


async def test_an_answer_ends_with_its_reason_and_usage(
    setting: tuple[Backend, LoadPlan],
) -> None:
    runner = await start(setting)
    try:
        async with aclosing(runner.generate(asking("one two three", max_tokens=2), 8)) as answer:
            chunks = [chunk async for chunk in answer]
    finally:
        await runner.stop(5.0)
    assert "".join(chunk.text for chunk in chunks)
    assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2
    assert chunks[-1].usage.prompt_tokens >= 3


async def test_a_reader_that_is_behind_gets_the_rest_and_its_end(
    setting: tuple[Backend, LoadPlan],
) -> None:
    runner = await start(setting)
    try:
        async with aclosing(runner.generate(asking("one two three", max_tokens=3), 8)) as answer:
            chunks = [await anext(answer)]
            await text_of(runner, asking("four five six seven", max_tokens=8))  # it ends later
            chunks += [chunk async for chunk in answer]
    finally:
        await runner.stop(5.0)
    assert chunks[-1].finish is not None
    assert chunks[-1].usage is not None


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
async def test_a_worker_goes_before_others_where_the_kernel_has_to_end_somebody() -> None:
    runner = await spawning().start(ECHO, lambda _share: None)
    score = await asyncio.to_thread(Path(f"/proc/{runner.pid}/oom_score_adj").read_text)
    await runner.stop(5.0)
    assert int(score) == 500


async def test_what_was_loaded_was_measured(setting: tuple[Backend, LoadPlan]) -> None:
    runner = await start(setting)
    await runner.stop(5.0)
    assert runner.footprint.ram > 0
    assert runner.engine


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_cells_are_booked_before_a_token_fills_them() -> None:
    backend = spawning()
    cells = 4 * 1024 * 22_500  # 22.5 KiB per token
    plan = LoadPlan(ModelId("m"), str(starter_path()), context=1024, slots=4, threads=2)
    runner = await backend.start(plan, lambda _share: None)
    try:
        untouched = runner.untouched()
        assert untouched > cells * 0.9
        assert runner.footprint.anon > cells
        await text_of(runner, asking("one two " * 200, max_tokens=2))
        assert 0 < runner.untouched() < untouched
    finally:
        await runner.stop(5.0)


async def test_answers_run_side_by_side(setting: tuple[Backend, LoadPlan]) -> None:
    runner = await start(setting)
    try:
        request = asking("one two three", max_tokens=3)
        texts = await asyncio.gather(*(text_of(runner, request) for _ in range(4)))
    finally:
        await runner.stop(5.0)
    assert len(set(texts)) == 1
    assert texts[0]


async def test_an_abandoned_answer_leaves_its_slot_to_others(
    setting: tuple[Backend, LoadPlan],
) -> None:
    runner = await start(setting)
    try:
        for _ in range(3):  # more than there are slots
            async with aclosing(runner.generate(asking("one two three four"), 8)) as answer:
                await anext(answer)
        assert await text_of(runner, asking("one two", max_tokens=2))
    finally:
        await runner.stop(5.0)


async def test_a_conversation_over_the_context_is_refused_and_harms_nothing(
    setting: tuple[Backend, LoadPlan],
) -> None:
    runner = await start(setting)
    try:
        with pytest.raises(ContextExceeded):
            await text_of(runner, asking("word " * 3000))
        assert await text_of(runner, asking("one two", max_tokens=2))
    finally:
        await runner.stop(5.0)


async def test_stopping_is_final_and_told(setting: tuple[Backend, LoadPlan]) -> None:
    runner = await start(setting)
    await runner.stop(5.0)
    assert runner.exited.done()
    with pytest.raises(WorkerDied):
        await text_of(runner, asking("one two"))


async def test_a_failed_load_says_why() -> None:
    broken = replace(ECHO, echo=EchoBehaviour(fail_load="no such tensor"))
    for backend in (FakeBackend(), spawning()):
        with pytest.raises(LoadFailed, match="no such tensor"):
            await backend.start(broken, lambda _share: None)


async def test_a_file_that_is_no_model_is_a_failed_load(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + bytes(4000))
    plan = LoadPlan(ModelId("m"), str(path), context=64, slots=1, threads=1)
    with pytest.raises(LoadFailed):
        await spawning().start(plan, lambda _share: None)


async def test_a_killed_process_ends_its_answers_with_a_typed_error() -> None:
    for backend in (FakeBackend(), spawning()):
        runner = await backend.start(
            replace(ECHO, echo=EchoBehaviour(die_at_token=1)), lambda _share: None
        )
        with pytest.raises(WorkerDied, match=signal.SIGKILL.name):
            await text_of(runner, asking("one two three"))
        await runner.stop(1.0)


async def test_a_cancelled_start_leaves_no_process() -> None:
    me = psutil.Process()
    before = {child.pid for child in me.children()}
    slow = replace(ECHO, echo=EchoBehaviour(load_s=600))
    starting = asyncio.ensure_future(spawning().start(slow, lambda _share: None))
    async with asyncio.timeout(10):
        while not (spawned := [c for c in me.children() if c.pid not in before]):  # noqa: ASYNC110
            await asyncio.sleep(0)  # nobody tells when a process appears
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    _, alive = psutil.wait_procs(spawned, timeout=5)
    assert not alive


async def test_a_request_between_the_end_of_the_link_and_of_the_process_is_answered() -> None:
    runner = await spawning().start(ECHO, lambda _share: None)
    assert isinstance(runner, Worker)
    runner.link.close()
    async with asyncio.timeout(10):
        while not runner.exited.done():
            with pytest.raises(WorkerDied):
                await text_of(runner, asking("one two"))
            await asyncio.sleep(0)


async def test_a_start_cancelled_while_it_is_measured_leaves_no_process() -> None:
    measuring, measured = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    pids = []

    def slow_footprint(pid: int) -> Footprint | None:
        pids.append(pid)
        loop.call_soon_threadsafe(measuring.set)
        measured.wait(10)
        return None

    starting = asyncio.ensure_future(
        SpawnBackend(slow_footprint, Machine().anonymous).start(ECHO, lambda _s: None)
    )
    await measuring.wait()
    starting.cancel()
    measured.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not psutil.pid_exists(pids[0])


async def test_a_worker_inherits_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-workers")
    runner = await spawning().start(ECHO, lambda _share: None)
    environment = psutil.Process(runner.pid).environ()
    await runner.stop(5.0)
    assert "OPENAI_API_KEY" not in environment
    assert environment["GOMP_SPINCOUNT"] == "10000"
