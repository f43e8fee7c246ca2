"""Hours of service in minutes: a real worker, requests of random shapes, its memory measured."""

import os
from pathlib import Path
from random import Random

import psutil
import pytest

from edgeroute.domain.load import LoadPlan
from edgeroute.domain.request import Sampling
from edgeroute.domain.units import ModelId
from edgeroute.wire.frames import Cancel, Forget, Threads
from tests.contract.worker_process import GREEDY, Answer, Worker, loaded

REQUESTS = 10_000
WARM = 500
"""Requests after which caches are full: token texts, template, buffers of samplers."""
GROWTH = 16 << 20
AT_ONCE = 12


def ask_anything(worker: Worker, number: int, draw: Random) -> None:
    words = draw.choices(("sea", "sky", "tree", "house", "mouse"), k=draw.choice((1, 10, 60, 250)))
    sampling = Sampling(
        temperature=draw.choice((0.0, 0.8)),
        max_tokens=draw.choice((1, 4, 16)),
        repeat_penalty=draw.choice((1.0, 1.1)),
        seed=number,
    )
    worker.ask(
        number,
        " ".join(words),
        sampling,
        app=draw.choice("xyz"),
        tenant=draw.choice("ab"),
        priority=draw.choice(("interactive", "background")),
        deadline_s=draw.choice((None, None, 0.1, 30.0)),
        overflow=draw.choice(("refuse", "shift")),
        keep=draw.random() < 0.8,
    )


def forget_states(worker: Worker) -> int:
    """Take all states that came and let go of them, as a daemon without room does."""
    states = worker.received_states()
    for state, descriptor in states:
        os.close(descriptor)
        worker.send(Forget(state.key))
    return len(states)


@pytest.mark.soak
@pytest.mark.skipif("EDGEROUTE_SOAK" not in os.environ, reason="minutes of compute: `make soak`")
def test_a_worker_neither_grows_nor_forgets_what_it_knew(starter: Path) -> None:
    draw = Random(1)  # noqa: S311
    plan = LoadPlan(ModelId("m"), str(starter), context=384, slots=6, threads=2, batch=256)
    with loaded(plan) as worker:
        process = psutil.Process(worker.process.pid)
        probe = worker.text(-1, "What is the capital of France?", GREEDY)
        cancelled: set[int] = set()
        grown_from = states = 0
        for number in range(REQUESTS):
            ask_anything(worker, number, draw)
            if draw.random() < 0.1:
                worker.send(Cancel(number))
                cancelled.add(number)
            if number % 100 == 0:
                worker.send(Threads(draw.choice((1, 2)), 2))
            while len(waiting(worker.answers, cancelled)) >= AT_ONCE:
                worker.receive()
                states += forget_states(worker)
            if number == WARM:
                grown_from = process.memory_info().rss
                files = process.num_fds()
        worker.finish(*waiting(worker.answers, cancelled))
        states += forget_states(worker)
        assert worker.text(-2, "What is the capital of France?", GREEDY) == probe
        assert states > 10
        assert process.memory_info().rss - grown_from < GROWTH
        assert process.num_fds() <= files + plan.slots
        codes = {a.failed.code for a in worker.answers.values() if a.failed is not None}
        assert codes <= {"deadline_exceeded", "context_exceeded"}


def waiting(answers: dict[int, Answer], cancelled: set[int]) -> list[int]:
    return [n for n, answer in answers.items() if not answer.ended and n not in cancelled]
