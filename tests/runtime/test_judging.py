"""Verdicts reach what is believed: once each, as the app's that asked, and from the journal."""

import asyncio
from dataclasses import replace

import pytest

from edgeroute.domain.belief import PARTS, VERDICT_PARTS, Counts
from edgeroute.domain.capability import Capability
from edgeroute.domain.decision import Decision
from edgeroute.domain.errors import InvalidRequest, NotFound
from edgeroute.domain.features import Features, Task
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.units import ModelId, RequestId
from edgeroute.routing.beliefs import Beliefs
from edgeroute.routing.decide import decide
from edgeroute.runtime.judging import implied
from tests.runtime.conftest import Line, asking, build_line, card, text_of

GOOD, FAIR = card("good", EchoBehaviour(), 0.8), card("fair", EchoBehaviour(), 0.7)


async def answered(line: Line, app: str = "default") -> RequestId:
    request = replace(asking("what is two and two"), app=app)
    async with line.dispatcher.answer(request) as answer:
        await text_of(answer)
    return request.id


def p_ok(line: Line, app: str = "default") -> dict[str, float]:
    decision = decide(line.dispatcher.view(replace(asking("two and three"), app=app)))
    assert isinstance(decision, Decision)
    return {ranked.target: ranked.estimate.p_ok for ranked in decision.plan}


async def test_bad_verdicts_turn_the_choice() -> None:
    line = build_line(GOOD, FAIR)
    before = p_ok(line)
    assert before["good"] > before["fair"]
    for _ in range(20):
        assert await line.dispatcher.judge(await answered(line), 0.0)
    after = p_ok(line)
    assert after["good"] < before["good"] - 0.2


async def test_an_answer_is_judged_once_even_by_two_at_a_time() -> None:
    line = build_line(GOOD)
    request = await answered(line)
    given = [line.dispatcher.judge(request, score) for score in (0.0, 1.0)]
    told = await asyncio.gather(*given, return_exceptions=True)
    assert sorted(type(each).__name__ for each in told) == ["InvalidRequest", "str"]
    with pytest.raises(InvalidRequest, match="judged before"):
        await line.dispatcher.judge(request, 1.0)
    whole = [counts for key, counts in line.journal.beliefs.items() if key.target == "sha-good"]
    assert {sum(counts) for counts in whole} == {PARTS}


async def test_what_cannot_be_judged_is_refused() -> None:
    line = build_line(GOOD)
    with pytest.raises(NotFound):
        await line.dispatcher.judge(RequestId("nobody"), 1.0)
    request = asking("never asked")
    async with line.dispatcher.answer(request):
        pass
    with pytest.raises(InvalidRequest, match="nobody answered"):
        await line.dispatcher.judge(request.id, 1.0)
    with pytest.raises(InvalidRequest, match="within"):
        await line.dispatcher.judge(request.id, float("nan"))


async def test_an_app_speaks_for_itself() -> None:
    line = build_line(GOOD)
    untouched = p_ok(line, "mine")["good"]
    for _ in range(100):
        await line.dispatcher.judge(await answered(line, "hostile"), 0.0)
    assert p_ok(line, "hostile")["good"] < 0.2
    assert p_ok(line, "mine")["good"] > 0.25 * untouched
    assert {key.origin for key in line.journal.beliefs} == {"here/hostile"}


async def test_beliefs_outlive_the_daemon_and_a_decision_replays() -> None:
    line = build_line(GOOD, FAIR)
    for _ in range(8):
        await line.dispatcher.judge(await answered(line), 0.25)
    view = line.dispatcher.view(replace(asking("two and three"), stream=False))
    assert decide(view.record().view()) == decide(view)
    again = Beliefs(line.journal.beliefs.items())
    assert view.evidence is not None
    read = again.read(view.features, view.roster, "here/default")
    assert read.record() == view.evidence.record()


async def test_of_what_is_explained_and_not_answered_nothing_is_kept() -> None:
    line = build_line(GOOD, FAIR)
    line.dispatcher.view(asking("two and three"))
    assert not line.judging._vectors
    request = await answered(line)
    assert list(line.judging._vectors) == [request]


FEATURES = Features(Task.EXTRACT, 1.0, 10, 10, needs=frozenset({Capability.JSON_SCHEMA}))
ENDED = Outcome("stop", ModelId("m"), (), total_s=5.0, ttft_s=1.0)


def test_most_ends_say_nothing_of_the_answer() -> None:
    assert implied(FEATURES, ENDED) is None
    assert implied(FEATURES, replace(ENDED, ending="cancelled")) is None  # it was read for a while
    assert implied(replace(FEATURES, max_tokens=5), replace(ENDED, ending="length")) is None
    assert implied(replace(FEATURES, needs=frozenset()), replace(ENDED, ending="length")) is None
    assert implied(FEATURES, replace(ENDED, ending="cancelled", ttft_s=None)) is None


def test_a_broken_form_and_hanging_up_at_once_weigh_less_than_a_word() -> None:
    broken = implied(FEATURES, replace(ENDED, ending="length"))
    left = implied(FEATURES, replace(ENDED, ending="cancelled", total_s=1.5))
    assert broken is not None
    assert left is not None
    assert broken.counts == Counts(0, VERDICT_PARTS["schema"])
    assert left.counts == Counts(0, VERDICT_PARTS["cancelled"])
