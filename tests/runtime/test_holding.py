"""Streamed answers that are drafted, on fake runners, which echo: what is held back, how long."""

import asyncio
from dataclasses import replace

import pytest

from edgeroute.domain.decision import Cascade, CascadeStep, Decision, Refusal
from edgeroute.domain.errors import DeadlineExceeded, WorkerDied
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import Limits, Request
from edgeroute.domain.units import Joules, ModelId, Usd
from edgeroute.domain.verification import Checkable, Grade
from edgeroute.routing.decide import decide
from edgeroute.routing.view import View
from edgeroute.runtime import dispatch
from edgeroute.runtime.profiles import InForce
from tests.runtime.conftest import Line, asking, build_line, card

pytestmark = pytest.mark.looptime
PASSING, FAILING = "check yes", "check no"
"""Prompts; what echoes them passes, or does not."""
GOOD_ENOUGH = (Grade.FAIR, Grade.SOUND)
FAST, SLOW = EchoBehaviour(tok_s=20.0), EchoBehaviour(tok_s=4.0)


def through(
    monkeypatch: pytest.MonkeyPatch, *drafting: str, accepts: tuple[Grade, ...] = GOOD_ENOUGH
) -> None:
    """Have a chain of these and `big` decided."""
    drafts = [CascadeStep(ModelId(name), accepts, 1.0) for name in drafting]
    steps = (*drafts, CascadeStep(ModelId("big"), tuple(Grade), 0.3))

    def with_chain(view: View) -> Decision | Refusal:
        assert view.streamed
        decision = decide(view)
        assert isinstance(decision, Decision)
        return replace(decision, cascade=Cascade(steps, 1.0, 0.9, 1.0, Joules(1.0), Usd(0.0)))

    monkeypatch.setattr(dispatch, "decide", with_chain)


def a_line(**behaviours: EchoBehaviour) -> Line:
    behaviours = {"small": FAST, "big": EchoBehaviour()} | behaviours
    return build_line(*(card(name, told, 0.9) for name, told in behaviours.items()))


async def told(line: Line, request: Request) -> tuple[list[tuple[float, str]], Outcome]:
    """Pieces with the seconds at which they were shown, counted from the first draft's first."""
    began = asyncio.get_running_loop().time()
    async with line.dispatcher.answer(request) as answer:
        pieces = [
            (round(asyncio.get_running_loop().time() - began, 3), chunk.text)
            async for chunk in answer.chunks
        ]
    await line.pool.close()
    return pieces, line.observer.outcomes[-1]


async def test_a_draft_that_ends_in_time_is_checked_and_shown_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through(monkeypatch, "small")
    line = a_line()
    pieces, outcome = await told(line, asking(PASSING))
    assert pieces == [(0.1, "check"), (0.1, " yes"), (0.1, "")]  # two tokens, 20 a second
    assert (outcome.target, outcome.ending) == ("small", "stop")
    assert outcome.ttft_s == outcome.total_s == pytest.approx(0.1)
    ((draft,),) = (outcome.drafts,)
    assert (draft.grade, draft.checkable, draft.accepted) == (Grade.FAIR, Checkable.FORMALLY, True)
    assert [runner.plan.model for runner in line.backend.started] == ["small"]


async def test_of_a_draft_that_fails_nothing_is_seen_and_all_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through(monkeypatch, "small")
    line = a_line(big=SLOW)
    pieces, outcome = await told(line, asking(FAILING))
    # Who begins to say no is stopped at once; the bigger model's pieces are shown as they come.
    assert pieces == [(0.35, "check"), (0.6, " no"), (0.6, "")]
    assert outcome.target == "big"
    assert outcome.ttft_s == pytest.approx(0.35)
    assert [(d.target, d.grade, d.accepted) for d in outcome.drafts] == [
        ("small", Grade.FAILED, False),
        ("big", Grade.FAILED, True),
    ]
    assert outcome.drafts[0].completion_tokens == 2
    assert [attempt.target for attempt in outcome.attempts] == ["small", "big"]
    assert outcome.spent is not None
    assert line.backend.started[0].running == 0


async def test_what_was_held_back_for_long_enough_is_shown_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through(monkeypatch, "small")
    line = a_line(small=SLOW)
    pieces, outcome = await told(line, asking("check yes or else"))
    # Four a second, the first at 0.25 s: half a second later two are held, the third just comes.
    assert [at for at, _ in pieces] == [0.75, 0.75, 0.75, 1.0, 1.0]
    assert "".join(text for _, text in pieces) == "check yes or else"
    assert outcome.target == "small"
    assert outcome.ttft_s == pytest.approx(0.75)
    # There is no second answer, whatever is found of it: it is believed less.
    assert [(d.grade, d.accepted) for d in outcome.drafts] == [(Grade.FAILED, True)]
    assert [runner.plan.model for runner in line.backend.started] == ["small"]


async def test_what_is_not_whole_is_not_shown_where_a_proof_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through(monkeypatch, "small")
    line = a_line(small=SLOW)
    careful = Profile("balanced", "", wrong_at_most=0.1)
    monkeypatch.setattr(
        line.dispatcher._world.profiles, "of", lambda _request: InForce(careful, "")
    )
    pieces, outcome = await told(line, asking("check yes or else"))
    assert [at for at, _ in pieces] == [0.75] * 5
    assert outcome.target == "big"
    assert outcome.drafts[0].reason == "ending: not whole in time, so it is not proved"


async def test_two_drafts_share_the_time_for_which_they_may_be_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through(monkeypatch, "tiny", "small")
    line = a_line(tiny=SLOW, small=SLOW)
    pieces, outcome = await told(line, asking("check no"))
    # One was held from .25 to .5 s, the other from .75 s on for the quarter of a second left, at
    # whose end it fails as well.
    assert [draft.target for draft in outcome.drafts] == ["tiny", "small", "big"]
    assert [at for at, _ in pieces] == [1.0] * 3


async def test_nothing_more_is_drafted_once_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through(monkeypatch, "tiny", "small", accepts=(Grade.SOUND,))  # no echo says how sure it is
    line = a_line(tiny=EchoBehaviour(tok_s=1.0))
    pieces, outcome = await told(line, asking("check yes"))
    assert [at for at, _ in pieces] == [1.5] * 3
    assert [attempt.target for attempt in outcome.attempts] == ["tiny", "big"]
    assert [(d.grade, d.accepted) for d in outcome.drafts] == [
        (Grade.FAIR, False), (Grade.FAIR, True),
    ]  # fmt: skip


async def test_who_dies_unseen_is_passed_over_and_who_is_seen_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through(monkeypatch, "small")
    line = a_line(small=EchoBehaviour(tok_s=20.0, die_at_token=1))
    pieces, outcome = await told(line, asking(PASSING))
    assert "".join(text for _, text in pieces) == PASSING
    assert (outcome.target, outcome.attempts[0].error) == ("big", WorkerDied.code)

    line = a_line(small=EchoBehaviour(tok_s=4.0, die_at_token=3))
    with pytest.raises(WorkerDied):
        await told(line, asking("check yes or else"))
    outcome = line.observer.outcomes[-1]
    assert (outcome.target, outcome.ending, outcome.drafts) == ("small", "error", ())
    await line.pool.close()


async def test_a_whole_draft_is_shown_where_the_bigger_model_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through(monkeypatch, "small")
    line = a_line(big=EchoBehaviour(die_at_token=0))
    request = asking("check yes no")  # begins as a label and is none
    pieces, outcome = await told(line, request)
    assert "".join(text for _, text in pieces) == "check yes no"
    assert (outcome.target, outcome.ending) == ("small", "stop")
    assert [draft.accepted for draft in outcome.drafts] == [False]


async def test_hanging_up_while_it_is_held_ends_the_draft(monkeypatch: pytest.MonkeyPatch) -> None:
    through(monkeypatch, "small")
    line = a_line(small=SLOW)

    async def read() -> None:
        async with line.dispatcher.answer(asking("check yes or else")) as answer:
            await anext(answer.chunks)

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.3)  # one piece is held, the next one is waited for
    (runner,) = line.backend.started
    assert runner.running == 1
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert runner.running == 0
    outcome = line.observer.outcomes[-1]
    assert (outcome.ending, outcome.ttft_s, outcome.drafts) == ("cancelled", None, ())
    assert outcome.total_s == pytest.approx(0.3)
    assert not line.journal.beliefs  # nobody saw anything that could be disliked
    await line.pool.close()


async def test_a_deadline_holds_while_drafts_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    through(monkeypatch, "small")
    for slow in ("small", "big"):
        line = a_line(**{slow: EchoBehaviour(tok_s=1.0)})
        with pytest.raises(DeadlineExceeded):
            await told(line, asking("check no", limits=Limits(deadline_s=1.3)))
        assert line.observer.outcomes[-1].total_s == pytest.approx(1.3)
        await line.pool.close()
    await line.pool.close()


async def test_a_stream_is_read_for_what_it_has_to_be_only_where_it_may_be_held() -> None:
    line = build_line(card("small", FAST, 0.75), card("big", SLOW, 0.95))
    seen = line.dispatcher.view(asking(PASSING))
    assert (seen.streamed, seen.features.checkable) == (True, Checkable.FORMALLY)
    assert seen.evidence is not None
    assert seen.evidence.grades is not None
    named = line.dispatcher.view(asking(PASSING, "big"))
    assert named.evidence is not None
    assert named.evidence.grades is None
    await line.pool.close()
