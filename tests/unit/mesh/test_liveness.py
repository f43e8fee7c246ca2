"""Who is still there is told by what was heard, and by nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.mesh.liveness import EVERY_S, Liveness, retry_wait_s


def test_three_signs_missed_and_it_is_gone() -> None:
    live = Liveness(0.0)
    live.heard(10.0)
    assert not live.gone(10.0 + 3 * EVERY_S)
    assert live.gone(10.0 + 4 * EVERY_S)


def test_only_the_last_sign_tells_the_way() -> None:
    live = Liveness(0.0)
    old = live.ping(1.0)
    new = live.ping(3.0)
    live.answered(old, 3.001)
    live.answered(new, 3.25)
    assert live.rtt_s == 0.25
    live.answered(new, 9.0)  # said twice
    assert live.rtt_s == 0.25
    assert live.jitter_s == 0.125
    live.answered(live.ping(10.0), 10.35)
    assert live.rtt_s == pytest.approx(0.25 + 0.3 * 0.1)
    assert live.jitter_s == pytest.approx(0.125 + 0.3 * (0.1 - 0.125))


def test_a_machine_is_waited_for_from_a_question_to_the_next_word() -> None:
    live, awaited = Liveness(0.0), []
    steps = (
        lambda: live.ping(0.0), live.asked, lambda: live.heard(1.0),
        lambda: live.answered(live.ping(2.0), 2.4), lambda: live.ping(3.0),
    )  # fmt: skip
    patience_s = live.patience_s
    for step in steps:
        awaited.append(live.is_awaited)
        step()
    # The first sign of life on a link that has just said hello makes nobody doubt it.
    assert [*awaited, live.is_awaited] == [False, False, True, False, False, True]
    assert patience_s == EVERY_S
    assert live.patience_s == pytest.approx(4 * 0.4)
    near = Liveness(0.0)
    near.answered(near.ping(1.0), 1.001)
    assert near.patience_s == 0.1


def told(live: Liveness, *took_s: float) -> None:
    """Signs of life, each answered after so many seconds."""
    for number, took in enumerate(took_s):
        at = 2.0 * number
        live.answered(live.ping(at), at + took)


def test_a_machine_that_stood_still_is_not_taken_for_a_far_one() -> None:
    live = Liveness(0.0)
    told(live, 0.001, 0.5)
    assert live.patience_s == pytest.approx(4 * (0.7 * 0.001 + 0.3 * 0.1))


def test_a_machine_that_went_far_away_is_waited_for_within_some_signs() -> None:
    live = Liveness(0.0)
    told(live, 0.001, *[0.4] * 5)
    assert live.patience_s > 0.4


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_lost_peer_is_called_again_within_five_seconds(failures: int, draw: float) -> None:
    assert 0.1 < retry_wait_s(failures, draw) < 5.0
    assert retry_wait_s(failures, 0.0) < retry_wait_s(failures, 1.0)
