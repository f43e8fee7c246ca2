"""What machines tell each other of verdicts: each counts once, as its own machine's."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeroute.domain.belief import (
    ANY_CELL,
    EVENTS,
    EVENTS_PER_BUCKET,
    HERE,
    PARTS,
    BucketKey,
    Counts,
    origin_of,
)
from edgeroute.domain.errors import InvalidRequest, Overloaded
from edgeroute.domain.features import Features, Task
from edgeroute.domain.peer import DeviceId
from edgeroute.routing.buckets import MOST_REMOTE, MOST_REMOTE_IN_ALL
from edgeroute.routing.candidates import Roster
from edgeroute.routing.quality import CELLS, Quality
from edgeroute.runtime import experience as experiences
from edgeroute.runtime.experience import MOST_HELD, Experience
from edgeroute.wire.findings import MOST_TOLD, Bucket, Column, Findings, Heard
from edgeroute.wire.framing import MAX_FRAME, encode
from edgeroute.wire.link import link_inbox
from tests.fakes import FakeJournal
from tests.unit.routing.drawn import QWEN_BIG

GOOD, BAD = Counts(PARTS, 0), Counts(0, PARTS)
FILE, OTHER = "a" * 64, "b" * 64
CODING = Features(Task.CODING, 1.0, 70, 300)
MATH = Features(Task.MATH, 1.0, 70, 300)
FLAT = Roster.of([replace(QWEN_BIG, identity=FILE, scores=dict.fromkeys(Task, 0.5))])
_runs = count(1)


class Machine:
    """One machine's counts, and its peers'."""

    def __init__(self, name: str, journal: FakeJournal | None = None, memory: str = "") -> None:
        self.id = DeviceId(name)
        self.journal = FakeJournal() if journal is None else journal
        self.quality = Quality(2, self.journal.beliefs.items())
        secret_bytes = (memory or name).encode().ljust(32)
        self.experience = Experience(self.quality, self.journal, secret_bytes, next(_runs))

    def judge(self, app: str, asked: Features, target: str, counts: Counts) -> None:
        origin = origin_of(HERE, app)
        self.experience.keep(
            self.quality.observe(origin, asked, None, {target: counts}, Roster.of([]))
        )

    def tell(self, other: "Machine") -> list[Findings]:
        """All that the other has not heard, as it travels."""
        heard, told = other.experience.heard(self.id), []
        while (findings := self.experience.findings(heard)) is not None:
            (arrived,) = link_inbox().feed(encode(findings))
            assert isinstance(arrived, Findings)
            other.experience.take(self.id, arrived)
            told.append(arrived)
            heard = Heard(arrived.run, arrived.number)
        return told

    def rows(self, machine: str) -> dict[tuple[str, str, int], list[Counts]]:
        """Its counts of a machine, whichever names apps have."""
        found: dict[tuple[str, str, int], list[Counts]] = {}
        for key, counts in self.quality.beliefs.buckets.rows():
            if key.origin.startswith(f"{machine}/"):
                found.setdefault((key.target, key.cell, key.bucket), []).append(counts)
        return {key: sorted(counts) for key, counts in found.items()}


verdicts = st.tuples(
    st.sampled_from("xyz"),
    st.sampled_from([CODING, MATH]),
    st.sampled_from([FILE, OTHER]),
    st.sampled_from([GOOD, BAD]),
)
events = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("pqr"), verdicts),
        st.tuples(st.sampled_from("pqr"), st.sampled_from("pqr")),
    ),
    max_size=60,
)


@given(events, st.randoms())
def test_whoever_talks_to_whomever_all_come_to_the_same_counts(
    happened: Sequence[tuple[str, tuple[str, Features, str, Counts] | str]], shuffled: random.Random
) -> None:
    machines = {name: Machine(name) for name in "pqr"}
    for name, event in happened:
        if isinstance(event, tuple):
            machines[name].judge(*event)
        elif event != name:
            machines[name].tell(machines[event])
    pairs = [(a, b) for a in machines.values() for b in machines.values() if a is not b]
    for _ in range(2):
        shuffled.shuffle(pairs)
        for one, other in pairs:
            one.tell(other)
    for one, other in pairs:
        assert other.rows(one.id) == one.rows(HERE)
        assert other.experience.verdicts(one.id) == one.experience.verdicts(HERE)
        assert not one.tell(other)  # nobody hears a thing twice
    judged = sum(isinstance(event, tuple) for _, event in happened)
    for machine in machines.values():
        known = machine.experience.verdicts
        assert known(HERE) + sum(known(o.id) for o in machines.values() if o is not machine) == (
            judged
        )


def test_only_what_is_new_travels_and_a_new_run_tells_all_of_it() -> None:
    one, other = Machine("one"), Machine("other")
    for _ in range(3):
        one.judge("x", CODING, FILE, GOOD)
    (first,) = one.tell(other)
    assert len(first.buckets) == 4  # two cells, of each the events and the model
    one.judge("x", MATH, FILE, BAD)
    (second,) = one.tell(other)
    assert {second.columns[bucket.column].cell for bucket in second.buckets} == {ANY_CELL, "math"}
    again = Machine("one", one.journal)
    (third,) = again.tell(other)
    assert len(third.buckets) == 6
    assert other.rows("one") == again.rows(HERE)


def test_a_long_memory_is_told_in_messages_that_fit() -> None:
    one, other = Machine("one"), Machine("other")
    for number in range(40 * EVENTS_PER_BUCKET):
        one.judge("x", CODING, f"{number % 20:064x}", GOOD)
    told = one.tell(other)
    assert len(told) > 1
    assert all(len(findings.buckets) <= MOST_TOLD for findings in told)
    assert all(len(encode(findings)) < 16 << 10 for findings in told)
    assert other.rows("one") == one.rows(HERE)


def test_what_nobody_hears_is_not_kept_for_them_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiences, "_LOOK_AT", 16)
    one, other = Machine("one"), Machine("other")
    for _ in range(120 * EVENTS_PER_BUCKET):
        one.judge("x", CODING, FILE, GOOD)
    assert len(one.experience._changed) < 400  # of 480 that there were, 160 count
    (told,) = one.tell(other)
    assert len(told.buckets) == 160
    assert other.rows("one") == one.rows(HERE)


def test_no_name_of_an_app_or_of_a_target_of_somebodys_own_travels() -> None:
    one, other = Machine("one"), Machine("other")
    one.judge("tax-return", CODING, FILE, GOOD)
    one.judge("tax-return", CODING, "cloud/gpt", GOOD)
    one.judge(f"probes/{FILE[:16]}", CODING, FILE, GOOD)
    (told,) = one.tell(other)
    assert b"tax" not in encode(told)
    assert b"cloud" not in encode(told)
    assert [model.hex() for model in told.models] == [FILE]
    assert f"probes/{FILE[:16]}" in {column.app for column in told.columns}
    stranger = Machine("stranger")
    stranger.judge("tax-return", CODING, FILE, GOOD)
    (theirs,) = stranger.tell(other)
    assert theirs.columns[0].app != told.columns[0].app


def test_the_same_probes_on_two_machines_count_once() -> None:
    one, two, other = Machine("one"), Machine("two"), Machine("other")
    for peer, many in ((one, 4), (two, 7)):
        for _ in range(many):
            peer.judge(f"probes/{FILE[:16]}", CODING, FILE, GOOD)
        peer.tell(other)
        peer.tell(one if peer is two else two)
    assert other.quality.beliefs.buckets.faded("coding", FILE, "here/x") == (7, 0, 7)
    assert one.quality.beliefs.buckets.faded("coding", FILE, "here/x") == (4, 0, 0)


def test_what_was_heard_is_there_after_a_restart_and_gone_with_its_peer() -> None:
    one, other = Machine("one"), Machine("other")
    one.judge("x", CODING, FILE, GOOD)
    one.tell(other)
    again = Machine("other", other.journal)
    assert again.rows("one") == one.rows(HERE)
    assert again.experience.heard(one.id) == Heard()
    again.judge("x", CODING, FILE, BAD)
    again.experience.forget(one.id)
    assert not again.rows("one")
    assert {key.origin for key in again.journal.beliefs} == {"here/x"}
    assert again.rows(HERE)


def test_who_is_paired_no_more_is_heeded_no_more() -> None:
    one, two, other = Machine("one"), Machine("two"), Machine("other")
    for peer in (one, two):
        peer.judge("x", CODING, FILE, GOOD)
        peer.tell(other)
    other.experience.keep_only({two.id})
    assert not other.rows("one")
    assert other.rows("two")
    other.experience.keep_only(())
    assert not other.journal.beliefs


def test_a_machine_that_lost_its_memory_begins_anew() -> None:
    before, other = Machine("one"), Machine("other")
    for _ in range(40):
        before.judge("x", CODING, FILE, GOOD)
    before.tell(other)
    after = Machine("one", memory="another")
    after.judge("x", CODING, FILE, BAD)
    after.tell(other)
    assert other.rows("one") == after.rows(HERE)
    assert len({key.origin for key in other.journal.beliefs}) == 1


def p_ok(machine: Machine) -> float:
    read = machine.quality.evidence(CODING, None, FLAT, origin_of(HERE, "x"))
    return float(read.mean[0])


def swayed(good: int, bad: int, lie: Counts) -> float:
    """P(ok) where another app of this machine's own says so much and no more."""
    machine = judged(good, bad)
    for cell, most in ((ANY_CELL, MOST_REMOTE_IN_ALL), ("coding", MOST_REMOTE)):
        said = Counts(*(int(most) * part for part in lie))
        machine.quality.beliefs.merge([(BucketKey("here/other", FILE, cell, 0), said)])
    return p_ok(machine)


def judged(good: int, bad: int) -> Machine:
    machine = Machine("honest")
    for counts, times in ((GOOD, good), (BAD, bad)):
        for _ in range(times):
            machine.judge("x", CODING, FILE, counts)
    return machine


@settings(max_examples=30)
@given(
    st.integers(0, 40),
    st.integers(0, 40),
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 60), st.integers(0, 512), st.integers(0, 512)),
        min_size=1, max_size=200,
    ),
)  # fmt: skip
def test_a_hostile_peer_takes_so_much_of_a_belief_at_most(
    good: int, bad: int, lies: list[tuple[int, int, int, int]]
) -> None:
    machine = judged(good, bad)
    columns = tuple(
        Column(f"{app:016x}", cell) for app in range(31) for cell in (ANY_CELL, "coding")
    )
    buckets = tuple(
        Bucket(2 * app + cell, 1, number, min(ok, 512 - bad), bad)
        for app, number, ok, bad in lies
        for cell in (0, 1)
    )
    edition, models = b"e" * 16, (bytes.fromhex(FILE),)
    machine.experience.take(DeviceId("liar"), Findings(1, 1, edition, models, columns, buckets))
    low, high = swayed(good, bad, BAD), swayed(good, bad, GOOD)
    assert low - 1e-9 <= p_ok(machine) <= high + 1e-9


@pytest.mark.parametrize(("good", "bad", "at_most"), [(0, 0, 0.32), (10, 10, 0.22), (40, 40, 0.15)])
def test_a_lie_costs_a_third_where_nothing_is_known_and_less_the_more_is(
    good: int, bad: int, at_most: float
) -> None:
    honest = p_ok(judged(good, bad))
    assert at_most - 0.1 < honest - swayed(good, bad, BAD) < at_most
    assert at_most - 0.1 < swayed(good, bad, GOOD) - honest < at_most


def hostile(*buckets: Bucket, columns: int = 1) -> Findings:
    names = tuple(Column("0" * 16, cell) for cell in sorted(CELLS)[:columns])
    return Findings(1, 1, b"e" * 16, (b"m" * 32,), names, buckets)


@pytest.mark.parametrize(
    "wrong",
    [Bucket(1, 0, 0, 1, 0), Bucket(0, 2, 0, 1, 0), Bucket(0, 0, 0, 33, 0), Bucket(0, 1, 0, 512, 1)],
)
def test_what_cannot_be_is_refused_and_nothing_of_it_taken_in(wrong: Bucket) -> None:
    machine = Machine("honest")
    with pytest.raises(InvalidRequest):
        machine.experience.take(DeviceId("liar"), hostile(Bucket(0, 1, 0, 16, 0), wrong))
    assert not machine.rows("liar")
    assert machine.experience.heard(DeviceId("liar")) == Heard()


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": -1}, {"number": 1 << 54}, {"edition": b"short"}, {"models": (b"m" * 31,)},
        {"columns": (Column("an-app", "math"),)}, {"columns": (Column("0" * 16 + "\n", "math"),)},
        {"columns": (Column("0" * 16, "x" * 65),)}, {"buckets": (Bucket(0, 1, -1, 1, 0),)},
        {"buckets": (Bucket(0, 1, 0, -1, 0),)}, {"buckets": (Bucket(0, 1, 0, 513, 0),)},
        {"buckets": (Bucket(0, 1, 1 << 33, 1, 0),)},
        {"buckets": (Bucket(0, 1, 0, 1, 0),) * (MOST_TOLD + 1)},
    ],
)  # fmt: skip
def test_a_message_out_of_range_is_no_message(wrong: dict[str, object]) -> None:
    sent = msgspec.structs.replace(hostile(), **wrong)
    with pytest.raises(InvalidRequest):
        list(link_inbox().feed(encode(sent)))


def test_nobody_fills_the_memory() -> None:
    machine, liar = Machine("honest"), DeviceId("liar")

    def take(app: int) -> None:
        columns = (Column(f"{app:016x}", ANY_CELL),)
        models = tuple(n.to_bytes(32, "big") for n in range(MOST_TOLD))
        buckets = tuple(Bucket(0, 1 + n, 0, 1, 0) for n in range(MOST_TOLD))
        told = Findings(1, 1 + app, b"e" * 16, models, columns, buckets)
        machine.experience.take(liar, told)

    for app in range(MOST_HELD // MOST_TOLD):
        take(app)
    take(0)  # what is known already is no more
    with pytest.raises(Overloaded):
        take(MOST_HELD)
    assert machine.quality.beliefs.buckets.size(liar) == MOST_HELD
    machine.judge("x", CODING, FILE, GOOD)
    assert machine.experience.verdicts(HERE) == 1


def test_a_cell_of_another_release_is_left_out() -> None:
    machine = Machine("honest")
    columns = (Column("0" * 16, "knitting"), Column("0" * 16, "math"))
    buckets = (Bucket(0, 0, 0, 1, 0), Bucket(1, 0, 0, 1, 0))
    machine.experience.take(DeviceId("newer"), Findings(1, 1, b"e" * 16, (), columns, buckets))
    assert set(machine.rows("newer")) == {(EVENTS, "math", 0)}


def test_the_longest_message_fits_a_frame() -> None:
    columns = tuple(Column(f"probes/{n:016x}", "x" * 64) for n in range(MOST_TOLD))
    models = tuple(n.to_bytes(32, "big") for n in range(MOST_TOLD))
    buckets = tuple(Bucket(n, n, 1 << 32, 512, 512) for n in range(MOST_TOLD))
    longest = Findings(1 << 53, 1 << 53, b"e" * 16, models, columns, buckets)
    assert len(encode(longest)) < MAX_FRAME
    assert list(link_inbox().feed(encode(longest))) == [longest]
