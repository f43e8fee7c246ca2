"""Networks and machines as they are: slow, lossy, cut, stopped, killed, in 1970, fast and slow."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from edgeroute.domain.errors import EdgeRouteError
from tests.conftest import STARTER
from tests.e2e.conftest import chat, workers_of
from tests.e2e.lan_rig import (
    FIRST_OF_1970,
    WORDS,
    Machine,
    Network,
    ask,
    linked,
    network,
    pair,
    pair_quietly,
    peers,
    said,
    until,
)

pytestmark = pytest.mark.e2e

WHOLE = "EDGEROUTE_SOAK" in os.environ
OUTAGE_S = 10.0


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as built:
        yield built


def two(net: Network, *, bad_cable: bool = False) -> tuple[Machine, Machine, psutil.Process]:
    """A desk, which is better, and a lap, paired and linked; and the desk's daemon."""
    desk, lap = net.add(name="desk", bad_cable=bad_cable), net.add(name="lap")
    lap.house.add_echo("small", quality=0.6)
    desk.house.add_echo("big", quality=0.95)
    desk.house.add_echo("slow", quality=0.5, tok_s=4.0)
    daemon = desk.house.start()
    lap.house.start()
    pair_quietly(desk, lap)
    until(lambda: linked(lap) and linked(desk))
    return desk, lap, daemon


def begun(machine: Machine, model: str) -> Iterator[dict[str, Any]]:
    """A streamed answer of which the first piece is there."""
    with machine.house.client() as client:
        events = client.stream("/v1/chat/completions", chat(WORDS, model=model, stream=True))
        while not next(events)["choices"][0]["delta"].get("content"):
            pass
        yield {}
        yield from events


def test_a_slow_and_lossy_link_brings_every_answer_whole(net: Network) -> None:
    """200 ms each way and one frame in twenty lost: TCP sends again, so nothing is missing."""
    desk, lap, _ = two(net, bad_cable=True)
    desk.impair(delay_s=0.2, loss=0.05)
    desk.house.run("stop")
    until(lambda: not peers(lap)[0]["linked"])
    desk.house.start()  # the link is made anew, by whatever gets through
    until(lambda: linked(lap), within_s=120)  # who loses the hello calls again, ever less often
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: ask(lap, model="desk/big"), range(24)))
    assert [said(told) for told in answers] == [WORDS] * 24
    until(lambda: (peers(lap)[0]["rtt_s"] or 0) > 0.4, within_s=120)
    assert ask(desk, model="lap/small")["edgeroute"]["target"] == "lap/small"


@pytest.mark.soak
@pytest.mark.skipif(not WHOLE, reason="ten seconds of silence, and their ends: `make soak`")
def test_a_cable_that_is_dead_for_ten_seconds_or_for_good_costs_no_answer(net: Network) -> None:
    """Both cards stay up, and nobody is told: what is sent is gone."""
    desk, lap, _ = two(net, bad_cable=True)
    assert ask(lap)["edgeroute"]["target"] == "desk/big"
    events = begun(lap, "desk/slow")
    next(events)
    desk.impair(loss=1.0)
    ends = time.monotonic() + OUTAGE_S
    assert ask(lap)["edgeroute"]["target"] == "small"  # whoever is asked meanwhile
    with pytest.raises(EdgeRouteError, match="desk"):
        list(events)
    until(lambda: not peers(lap)[0]["linked"] and not peers(desk)[0]["linked"])
    assert peers(lap)[0]["away"]
    assert ask(lap)["edgeroute"]["target"] == "small"
    until(lambda: time.monotonic() > ends)
    desk.impair()
    until(lambda: linked(lap) and linked(desk))
    assert peers(lap)[0]["breaks"] == 1
    assert "lost 1x" in lap.house.run("peers").stdout
    assert ask(lap)["edgeroute"]["target"] == "desk/big"


def test_a_stopped_machine_is_let_go_and_taken_back(net: Network) -> None:
    """SIGSTOP: its kernel goes on answering for it, the machine does not."""
    desk, lap, daemon = two(net)
    events = begun(lap, "desk/slow")
    next(events)
    daemon.suspend()
    try:
        assert ask(lap)["edgeroute"]["target"] == "small"
        with pytest.raises(EdgeRouteError, match="desk"):
            list(events)
        until(lambda: not peers(lap)[0]["linked"])
        assert ask(lap)["edgeroute"]["target"] == "small"
    finally:
        daemon.resume()
    until(lambda: linked(lap) and linked(desk))
    assert ask(lap)["edgeroute"]["target"] == "desk/big"


def test_a_machine_that_is_killed_with_a_question_in_its_hands_costs_no_answer(
    net: Network,
) -> None:
    _, lap, daemon = two(net)
    assert ask(lap)["edgeroute"]["target"] == "desk/big"
    (worker,) = workers_of(daemon)
    worker.suspend()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(ask, lap)
        until(lambda: peers(lap)[0]["asked"] == 2)
        daemon.send_signal(signal.SIGKILL)
        worker.resume()
        assert waiting.result(60)["edgeroute"]["target"] == "small"
    assert ask(lap)["edgeroute"]["target"] == "small"  # asked of who is dead already
    psutil.wait_procs([daemon, worker], timeout=10)


def test_a_machine_that_thinks_it_is_1970_takes_part(net: Network) -> None:
    """A Jetson without a clock battery, before it has heard the time."""
    desk, lap = net.add(name="desk"), net.add(name="lap")
    desk.house.env |= FIRST_OF_1970
    desk.house.add_echo("big", quality=0.95)
    lap.house.add_echo("small", quality=0.2)
    for machine in (desk, lap):
        machine.house.start()
    pair(desk, lap)
    until(lambda: linked(lap) and linked(desk))
    assert 0 < peers(desk)[0]["paired_at"] < 86400
    assert peers(lap)[0]["paired_at"] > 1.7e9
    assert ask(lap)["edgeroute"]["target"] == "desk/big"
    told = ask(desk, model="lap/small")["edgeroute"]
    assert told["target"] == "lap/small"
    assert desk.house.json("explain", told["id"])["target"] == "lap/small"
    assert desk.house.run("audit", "verify").returncode == 0


def test_a_real_model_answers_over_the_link_as_it_does_at_home(net: Network) -> None:
    desk, lap = net.add(name="desk"), net.add(name="lap")
    desk.house.start()
    lap.house.start()
    pair_quietly(desk, lap)
    until(lambda: linked(lap) and linked(desk))
    question = {
        "messages": [{"role": "user", "content": "Name three colours, and say why."}],
        "max_tokens": 24, "temperature": 0, "logprobs": True, "top_logprobs": 2,
    }  # fmt: skip
    form = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    formed = {
        **question,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": form}},
    }
    with desk.house.client() as home, lap.house.client() as afar:
        for body in (question, formed):
            own = home.post("/v1/chat/completions", {**body, "model": STARTER})
            far = afar.post("/v1/chat/completions", {**body, "model": f"desk/{STARTER}"})
            assert far["choices"] == own["choices"]
            assert far["usage"]["completion_tokens"] == own["usage"]["completion_tokens"]
        assert len(own["choices"][0]["logprobs"]["content"]) > 3
    events = begun(lap, f"desk/{STARTER}")
    next(events)
    assert desk.house.model(STARTER)["leases"] == 1
    del events  # hung up
    until(lambda: not desk.house.model(STARTER)["leases"])


SPEEDS = (10.0, 20.0, 40.0, 80.0, 15.0, 30.0, 60.0, 120.0)


@pytest.mark.soak
@pytest.mark.skipif(not WHOLE, reason="eight daemons on these cores: `make soak`")
def test_two_hundred_questions_over_eight_machines(net: Network) -> None:
    burst_over(net, SPEEDS, 200)


def test_twenty_questions_over_three_machines(net: Network) -> None:
    burst_over(net, SPEEDS[:3], 20)


def burst_over(net: Network, speeds: tuple[float, ...], questions: int) -> None:
    """All at once, to a machine among faster and slower ones: each is answered, once and whole."""
    machines = [net.add(name=f"box{at}", config="slots = 4") for at in range(len(speeds))]
    for machine, tok_s in zip(machines, speeds, strict=True):
        machine.house.add_echo("echo", tok_s=tok_s)
        machine.house.start()
    here, others = machines[0], machines[1:]
    for other in others:
        pair_quietly(other, here)
    until(lambda: linked(here, len(others)), within_s=60)
    names = ["echo", *(f"box{at}/echo" for at in range(1, len(speeds)))]
    with ThreadPoolExecutor() as threads:  # how fast they are, is known then
        list(threads.map(lambda name: ask(here, **chat("one two", model=name)), names * 12))
    before = sum(peer["asked"] for peer in peers(here))
    with ThreadPoolExecutor(questions) as threads:
        answers = list(threads.map(lambda _: ask(here), range(questions)))
    assert [said(told) for told in answers] == [WORDS] * questions
    shares = Counter(told["edgeroute"]["target"] for told in answers)
    assert set(shares) <= set(names)
    assert shares[names[-1]] > shares["echo"]  # twelve, or four, times as fast
    asked = sum(peer["asked"] for peer in peers(here)) - before
    assert asked - (questions - shares["echo"]) <= 2 + questions // 20  # who was asked besides
