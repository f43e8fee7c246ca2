"""Counts merge whatever the order, fade when read, and weigh little when they are another's."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.belief import EVENTS_PER_BUCKET, PARTS, BucketKey, Counts, Verdict
from edgeroute.routing.buckets import FADE, MOST_REMOTE, Buckets

GOOD, BAD = Counts(PARTS, 0), Counts(0, PARTS)
keys = st.builds(
    BucketKey,
    origin=st.sampled_from(["here", "there"]),
    target=st.sampled_from(["", "a", "b"]),
    cell=st.sampled_from(["*", "math"]),
    bucket=st.integers(0, 60),
)
rows = st.lists(st.tuples(keys, st.builds(Counts, st.integers(0, 600), st.integers(0, 600))))


def kept(*batches: list[tuple[BucketKey, Counts]]) -> dict[BucketKey, Counts]:
    buckets = Buckets()
    for batch in batches:
        buckets.merge(batch)
    return dict(buckets.rows())


@given(rows, rows, rows)
def test_merging_is_idempotent_commutative_and_associative(a: list, b: list, c: list) -> None:  # type: ignore[type-arg]
    merged = kept(a, b, c)
    assert kept(a, a, b, c, b) == merged
    assert kept(c, b, a) == merged
    assert kept(a, list(kept(b, c).items())) == merged
    assert kept(list(kept(a, b).items()), c) == merged


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=200), st.randoms())
def test_what_one_machine_counts_another_reads_the_same(
    events: list[tuple[str, bool]], shuffled: random.Random
) -> None:
    here, there = Buckets(), Buckets()
    changes = []
    for target, good in events:
        changes += here.observe("here", ["*", "math"], {target: GOOD if good else BAD})
    shuffled.shuffle(changes)
    for change in changes:
        there.merge([change])
    for target in "ab":
        assert there.faded("math", target, "here") == here.faded("math", target, "here")


def test_a_negative_count_takes_nothing_in() -> None:
    buckets = Buckets()
    good = (BucketKey("here", "a", "*", 0), Counts(3, 0))
    with pytest.raises(ValueError, match="negative"):
        buckets.merge([good, (BucketKey("here", "a", "*", 1), Counts(-1, 0))])
    assert not list(buckets.rows())


def test_a_target_that_is_no_longer_chosen_fades_too() -> None:
    buckets = Buckets()
    for _ in range(EVENTS_PER_BUCKET):
        buckets.observe("here", ["math"], {"a": GOOD})
    for _ in range(3 * EVENTS_PER_BUCKET):
        buckets.observe("here", ["math"], {"b": BAD})
    assert buckets.faded("math", "a", "here")[0] == pytest.approx(EVENTS_PER_BUCKET * FADE**3)
    assert buckets.faded("*", "a", "here") == (0, 0, 0)


def test_what_is_stored_is_never_faded_and_stays_bounded() -> None:
    buckets = Buckets()
    for _ in range(100 * EVENTS_PER_BUCKET):
        buckets.observe("here", ["math"], {"a": GOOD})
    stored = dict(buckets.rows())
    assert len(stored) < 100
    assert {counts.ok for key, counts in stored.items() if key.target == "a"} == {
        PARTS * EVENTS_PER_BUCKET
    }


counted = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 512), st.integers(0, 512)))


@given(counted, counted)
def test_another_machine_counts_for_so_much_at_most_however_many_apps_it_has(
    theirs: list[tuple[str, int, int]], ours: list[tuple[str, int, int]]
) -> None:
    alone, both = Buckets(), Buckets()
    for app, ok, bad in ours:
        for buckets in (alone, both):
            buckets.observe(f"here/{app}", ["math"], {"a": Counts(ok, bad)})
    for app, ok, bad in theirs:
        both.observe(f"there/{app}", ["math"], {"a": Counts(ok, bad)})
    own, all_ = (buckets.faded("math", "a", "here/x") for buckets in (alone, both))
    assert own.heard == 0
    assert all_.heard <= MOST_REMOTE + 1e-9
    assert all_.good + all_.bad == pytest.approx(own.good + own.bad + all_.heard)
    assert all_.good >= own.good - 1e-9
    assert all_.bad >= own.bad - 1e-9


def test_probes_are_the_same_questions_everywhere_and_count_once() -> None:
    buckets = Buckets()
    for machine, many in (("one", 3), ("two", 5)):
        for _ in range(many):
            buckets.observe(f"{machine}/probes/a", ["math"], {"a": GOOD})
    assert buckets.faded("math", "a", "here/x") == (5, 0, 5)
    buckets.observe("here/probes/a", ["math"], {"a": BAD})
    assert buckets.faded("math", "a", "here/x") == (0, 1, 0)  # those of this machine, where any are
    buckets.observe("two/app", ["math"], {"a": GOOD})
    assert buckets.faded("math", "a", "here/x") == (1, 1, 1)


@given(rows)
def test_what_is_forgotten_is_as_if_it_had_never_been_heard(a: list) -> None:  # type: ignore[type-arg]
    buckets, never = Buckets(), Buckets()
    buckets.merge(a)
    never.merge(row for row in a if row[0].origin != "there")
    dropped = buckets.forget(lambda origin: origin == "there")
    assert dropped == {key.origin for key, _ in a} - {"here"}
    assert dict(buckets.rows()) == dict(never.rows())
    assert buckets.size("there") == 0
    assert buckets.size("here") == len(dict(never.rows()))


@given(st.integers(1, 2000), st.floats(0, 1))
def test_another_origin_counts_for_so_much_at_most(verdicts: int, share: float) -> None:
    buckets = Buckets()
    flood = Counts(round(share * verdicts * PARTS), round((1 - share) * verdicts * PARTS))
    buckets.observe("there", ["math"], {"a": flood})
    buckets.observe("here", ["math"], {"a": GOOD})
    ok, bad, heard = buckets.faded("math", "a", "here")
    assert ok + bad == pytest.approx(heard + 1)
    assert ok + bad <= MOST_REMOTE + 1 + 1e-9
    assert ok >= 1


def test_a_verdict_weighs_by_its_source_and_score() -> None:
    assert Verdict(1.0).counts == Counts(PARTS, 0)
    assert Verdict(0.25).counts == Counts(4, 12)
    assert sum(Verdict(0.0, "schema").counts) < PARTS
    assert sum(Verdict(0.0, "cancelled").counts) < sum(Verdict(0.0, "schema").counts)
