"""A conversation goes on where its beginning is in memory, as long as that is worth more."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.decision import Decision
from edgeroute.domain.features import Features, Task
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.prefix import Beginning, Held
from edgeroute.domain.privacy import Label
from edgeroute.domain.units import ModelId
from edgeroute.routing.affinity import MOST_BEGINNINGS, PrefixAffinity
from edgeroute.routing.candidates import Roster
from edgeroute.routing.decide import decide
from edgeroute.routing.estimate import estimate
from tests.unit.routing.drawn import SMOLLM2, view_of
from tests.unit.routing.test_two_choices import peer

A, B = ModelId("a"), ModelId("b")


def conversation(*turns: str) -> tuple[Beginning, ...]:
    """Beginnings of turns that are all as long: `s` for the system's, `u` and `a`."""
    marks = ["/".join(turns[: at + 1]).encode() for at in range(len(turns))]
    return tuple(
        Beginning(mark, (at + 1) / len(turns), turns[at].startswith("a"))
        for at, mark in enumerate(marks)
    )


def read(target: ModelId, cached: int = 0, prompt: int = 100) -> Outcome:
    return Outcome("stop", target, (), 1.0, prompt_tokens=prompt, ttft_s=0.1, cached_tokens=cached)


def known(affinity: PrefixAffinity, *turns: str, label: Label = Label.PRIVATE) -> dict[str, int]:
    held = affinity.held(label, conversation(*turns), 1000)
    return {each.target: each.tokens for each in held}


def test_the_next_turn_finds_what_was_read_and_what_was_said() -> None:
    affinity = PrefixAffinity()
    assert known(affinity, "s", "u1") == {}
    affinity.learn(Label.PRIVATE, conversation("s", "u1"), [read(A)])
    assert known(affinity, "s", "u1", "a1", "u2") == {A: 675}  # 3 of 4 turns, nine in ten kept
    assert known(affinity, "s", "u1", "u2", "u3") == {A: 450}  # what it said is left out
    assert known(affinity, "s", "other") == {A: 450}  # what many conversations begin with
    assert known(affinity, "s2", "u1") == {}


def test_a_conversation_that_goes_on_is_told_from_one_that_begins_as_others_did() -> None:
    affinity = PrefixAffinity()
    affinity.learn(Label.PRIVATE, conversation("s", "u1"), [read(A)])
    for turns, is_begun in ((["s", "other"], False), (["s", "u1", "a1", "u2"], True)):
        (held,) = affinity.held(Label.PRIVATE, conversation(*turns), 1000)
        assert held.is_begun is is_begun


def test_a_draft_that_was_not_given_has_not_said_what_comes_next() -> None:
    affinity = PrefixAffinity()
    affinity.learn(Label.PRIVATE, conversation("s", "u1"), [read(A), read(B)])
    assert known(affinity, "s", "u1", "a1", "u2") == {A: 450, B: 675}


def test_labels_share_nothing_and_of_a_secret_one_nothing_is_kept() -> None:
    affinity = PrefixAffinity()
    affinity.learn(Label.PRIVATE, conversation("u1"), [read(A)])
    affinity.learn(Label.SECRET, conversation("u1"), [read(A)])
    assert known(affinity, "u1", label=Label.PUBLIC) == {}
    assert known(affinity, "u1", label=Label.SECRET) == {}


def test_who_broke_off_before_its_first_token_has_read_nothing_that_counts() -> None:
    affinity = PrefixAffinity()
    affinity.learn(Label.PRIVATE, conversation("u1"), [Outcome("error", A, (), 1.0)])
    assert known(affinity, "u1") == {}


def test_a_target_that_never_has_it_in_memory_is_believed_less_each_time() -> None:
    affinity = PrefixAffinity()
    turns = ["u1"]
    believed = []
    for at in range(30):
        affinity.learn(Label.PRIVATE, conversation(*turns), [read(A, cached=0)])
        turns += [f"a{at}", f"u{at + 2}"]
        believed.append(known(affinity, *turns).get(A, 0) / 1000)
    assert believed[0] > 0.5
    assert sorted(believed, reverse=True)[1:] == believed[1:] or believed[-1] < believed[0]
    assert believed[-1] == 0  # too few tokens to be a reason
    for at in range(30, 60):
        affinity.learn(Label.PRIVATE, conversation(*turns), [read(A, cached=99)])
        turns += [f"a{at}", f"u{at + 2}"]
    assert known(affinity, *turns)[A] > 900


def test_what_was_met_longest_ago_is_forgotten_first() -> None:
    affinity = PrefixAffinity()
    affinity.learn(Label.PUBLIC, conversation("first"), [read(A)])
    for at in range(MOST_BEGINNINGS):
        affinity.learn(Label.PUBLIC, conversation(f"u{at}"), [read(A)])
    assert len(affinity) == MOST_BEGINNINGS
    assert known(affinity, "first", label=Label.PUBLIC) == {}


@given(st.lists(st.sampled_from(["s", "u1", "a1", "u2"]), max_size=6), st.integers(0, 10**6))
def test_no_more_is_held_than_there_is(turns: list[str], tokens: int) -> None:
    affinity = PrefixAffinity()
    affinity.learn(Label.PUBLIC, conversation("s", "u1"), [read(A)])
    affinity.learn(Label.PUBLIC, conversation("s", "u1", "a1", "u2"), [read(B, cached=200)])
    for each in affinity.held(Label.PUBLIC, conversation(*turns), tokens):
        assert 0 < each.tokens <= tokens


LONG = Features(Task.CODING, 0.95, prompt_tokens=2000, output_tokens=100)


def test_what_is_held_is_not_read_again() -> None:
    roster = Roster.of([SMOLLM2])
    whole = estimate(LONG, roster)
    rest = estimate(LONG, roster, held=[Held(SMOLLM2.id, 1500)])
    saved_s = 1500 / SMOLLM2.rates.prefill_tok_s
    assert whole.ttft_s[0] - rest.ttft_s[0] == pytest.approx(saved_s)
    assert whole.total_s[0] - rest.total_s[0] == pytest.approx(saved_s)
    assert rest.device_joules[0] < whole.device_joules[0]
    assert estimate(LONG, roster, held=[Held(A, 1500)]).ttft_s[0] == whole.ttft_s[0]


def chosen(queued: int, held: int, draw: float) -> Decision:
    """Of two machines that are alike: the first has a queue, and holds the prompt's beginning."""
    two = peer("a", queued=queued), peer("b")
    told = (Held(two[0].id, held),) if held else ()
    decision = decide(view_of(*two, features=LONG, held=told, draw=draw))
    assert isinstance(decision, Decision)
    return decision


@given(st.floats(0, 1, exclude_max=True))
def test_a_conversation_stays_unless_waiting_takes_longer_than_reading_anew(draw: float) -> None:
    reading_s = 1600 / 400
    stays, leaves = chosen(60, 1600, draw), chosen(400, 1600, draw)
    assert 60 / 40 < reading_s < 400 / 40
    assert stays.plan[0].target == "a/m"
    assert "1600 of 2000 prompt tokens in memory" in stays.reason
    assert stays.plan[0].estimate.held_tokens == 1600
    assert leaves.plan[0].target == "b/m"
    assert chosen(60, 0, draw).plan[0].target == "b/m"


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_who_holds_more_never_falls(less: int, more: int) -> None:
    less, more = sorted((less, more))
    one = replace(SMOLLM2, id=B)
    places = [
        [r.target for r in decision.plan].index(B)
        for held in (less, more)
        if isinstance(
            decision := decide(view_of(SMOLLM2, one, features=LONG, held=(Held(B, held),))),
            Decision,
        )
    ]
    assert places[1] <= places[0]
