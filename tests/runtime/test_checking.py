"""Answers that nobody drafts are checked once they are told, on fake runners, which echo."""

from dataclasses import replace

import pytest

from edgeroute.domain.belief import PARTS
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.request import Request, Sampling
from edgeroute.domain.verification import Checkable, Grade
from tests.runtime.conftest import Line, asking, build_line, card, text_of

pytestmark = pytest.mark.looptime
PASSING, FAILING = "check yes", "check no"
"""Prompts; what echoes them passes, or does not."""


async def answered(request: Request, line: Line | None = None) -> Line:
    line = line or build_line(card("small", EchoBehaviour(), 0.75))
    async with line.dispatcher.answer(request) as answer:
        assert await text_of(answer) == request.messages[-1].content
    await line.pool.close()
    return line


def believed(line: Line) -> tuple[int, int]:
    """Parts of observations (good, bad) of the model in the task."""
    told = [c for key, c in line.journal.beliefs.items() if (key.target, key.cell) == OF_MATH]
    return sum(each.ok for each in told), sum(each.bad for each in told)


OF_MATH = ("sha-small", "math")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_streamed_answer_that_fails_is_believed_less(*, stream: bool) -> None:
    line = await answered(replace(asking(FAILING), stream=stream))
    (draft,) = line.observer.outcomes[-1].drafts
    assert (draft.grade, draft.checkable) == (Grade.FAILED, Checkable.FORMALLY)
    assert (draft.accepted, draft.told_sureness) == (True, False)
    ok, bad = believed(line)
    assert bad > ok
    assert ok + bad == PARTS // 4


async def test_one_that_passes_is_believed_more_than_it_was() -> None:
    line = await answered(asking(PASSING))
    ok, bad = believed(line)
    assert ok / (ok + bad) >= 0.75
    assert line.observer.outcomes[-1].drafts[0].grade is Grade.FAIR


async def test_what_any_answer_shows_teaches_nothing() -> None:
    line = await answered(asking("one two"))
    assert line.observer.outcomes[-1].drafts == ()
    assert believed(line) == (0, 0)


async def test_an_answer_that_was_cut_off_or_left_is_not_checked() -> None:
    line = build_line(card("small", EchoBehaviour(), 0.75))
    short = replace(asking(FAILING), sampling=Sampling(max_tokens=1))
    async with line.dispatcher.answer(short) as answer:
        assert await text_of(answer) == "check"
    async with line.dispatcher.answer(asking(FAILING)) as answer:
        await anext(answer.chunks)
    assert [outcome.drafts for outcome in line.observer.outcomes] == [(), ()]
    await line.pool.close()


async def test_a_verdict_teaches_no_grade_that_was_given_without_sureness() -> None:
    request = asking(FAILING)
    line = await answered(request)
    before = {key.cell for key in line.journal.beliefs}
    await line.dispatcher.judge(request.id, 0.0)
    assert {key.cell for key in line.journal.beliefs} == before
