"""A chain on fake runners, which echo: who is asked, what is given, and what is learnt of it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from edgeroute.domain.belief import PARTS
from edgeroute.domain.decision import Cascade, CascadeStep, Decision, Refusal
from edgeroute.domain.errors import DeadlineExceeded, WorkerDied
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.request import Limits, Request
from edgeroute.domain.units import Joules, ModelId, Usd
from edgeroute.domain.verification import Checkable, Grade
from edgeroute.routing.decide import decide
from edgeroute.routing.grading import cell_of
from edgeroute.routing.view import View
from edgeroute.runtime import dispatch
from tests.runtime.conftest import Line, asking, build_line, card, text_of

pytestmark = pytest.mark.looptime
PASSING, FAILING = "check yes", "check no"
"""Prompts; what echoes them passes, or does not."""
STEPS = (
    CascadeStep(ModelId("small"), (Grade.FAIR, Grade.SOUND), 1.0),
    CascadeStep(ModelId("big"), tuple(Grade), 0.3),
)


@pytest.fixture(autouse=True)
def a_chain_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_chain(view: View) -> Decision | Refusal:
        decision = decide(view)
        assert isinstance(decision, Decision)
        return replace(decision, cascade=Cascade(STEPS, 1.0, 0.9, 1.0, Joules(1.0), Usd(0.0)))

    monkeypatch.setattr(dispatch, "decide", with_chain)


def a_line(small: EchoBehaviour | None = None, big: EchoBehaviour | None = None) -> Line:
    return build_line(
        card("small", small or EchoBehaviour(), 0.75), card("big", big or EchoBehaviour(), 0.95)
    )


def whole(prompt: str, limits: Limits | None = None) -> Request:
    """A question whose answer is not streamed."""
    return replace(asking(prompt, limits=limits), stream=False)


async def answered(line: Line, request: Request) -> tuple[str, Outcome]:
    async with line.dispatcher.answer(request) as answer:
        text = await text_of(answer)
    return text, line.observer.outcomes[-1]


async def test_a_draft_that_passes_is_given_and_nobody_else_asked() -> None:
    line = a_line()
    text, outcome = await answered(line, whole(PASSING))
    assert (text, outcome.target, outcome.ending) == (PASSING, "small", "stop")
    assert [draft.accepted for draft in outcome.drafts] == [True]
    assert [runner.plan.model for runner in line.backend.started] == ["small"]
    ((asked, _, _),) = line.backend.started[0].asked
    assert asked.sampling.temperature == 0.0
    await line.pool.close()


async def test_a_draft_that_fails_is_thrown_away_and_still_counted() -> None:
    line = a_line()
    text, outcome = await answered(line, whole(FAILING))
    assert (text, outcome.target) == (FAILING, "big")
    assert [(d.target, d.grade, d.accepted) for d in outcome.drafts] == [
        ("small", Grade.FAILED, False),
        ("big", Grade.FAILED, True),
    ]
    assert outcome.drafts[0].reason == "label: it is none of the labels offered"
    assert [attempt.target for attempt in outcome.attempts] == ["small", "big"]
    alone = line.roster.rates(ModelId("small"))
    assert alone.measured  # by its draft, though another answered
    assert outcome.spent is not None
    parts = [draft.total_s for draft in outcome.drafts]
    assert outcome.total_s == pytest.approx(sum(parts))
    assert outcome.ttft_s == pytest.approx(sum(parts))
    await line.pool.close()


async def test_who_dies_is_passed_over() -> None:
    line = a_line(small=EchoBehaviour(die_at_token=1))
    text, outcome = await answered(line, whole(PASSING))
    assert (text, outcome.target) == (PASSING, "big")
    assert outcome.attempts[0].error == WorkerDied.code
    await line.pool.close()


async def test_a_poor_draft_is_given_where_the_bigger_model_dies() -> None:
    line = a_line(big=EchoBehaviour(die_at_token=1))
    text, outcome = await answered(line, whole(FAILING))
    assert (text, outcome.target, outcome.ending) == (FAILING, "small", "stop")
    await line.pool.close()


async def test_all_of_it_is_within_the_deadline() -> None:
    line = a_line(small=EchoBehaviour(tok_s=1.0), big=EchoBehaviour(tok_s=1.0))
    with pytest.raises(DeadlineExceeded):
        await answered(line, whole("check no no no no no", limits=Limits(deadline_s=5.0)))
    assert line.observer.outcomes[-1].total_s == pytest.approx(5.0)
    await line.pool.close()


async def test_what_checks_say_is_believed_a_little_and_verdicts_say_what_grades_are_worth() -> (
    None
):
    line = a_line()
    request = whole(PASSING)
    await answered(line, request)
    counted: Callable[[], list[int]] = lambda: [  # noqa: E731 - asked twice
        sum(counts) for key, counts in line.journal.beliefs.items() if key.target == "sha-small"
    ]
    assert counted() == [PARTS // 4, PARTS // 4]  # in the task's cell and in that of all
    await line.dispatcher.judge(request.id, 1.0)
    cell = cell_of(Checkable.FORMALLY, Grade.FAIR)
    graded = [c for key, c in line.journal.beliefs.items() if key.cell == cell and key.target]
    assert [tuple(counts) for counts in graded] == [(PARTS, 0)]
    await line.pool.close()
