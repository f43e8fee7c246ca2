"""The account of memory, and the choice of whom to evict."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.load import Budget, Footprint
from edgeroute.domain.units import GIB, MIB, Bytes, ModelId
from edgeroute.residency.room import (
    Candidate,
    budget,
    fits,
    less,
    make_room,
    more,
    shortage,
    total,
)
from tests.unit.residency.drawn import ORIN_GPU, gib, gpu, memory, mib

NOTHING = Footprint()
sizes = st.integers(0, 64 * GIB)


# ---- the account ------------------------------------------------------------------------------


def test_an_empty_machine_may_fill_what_is_available_but_a_margin() -> None:
    assert budget(memory(24 * GIB, 20 * GIB), NOTHING, (), None).ram == 20 * GIB - int(3.6 * GIB)


def test_the_margin_is_a_gibibyte_at_least() -> None:
    assert budget(memory(4 * GIB, 3 * GIB), NOTHING, (), None).ram == 2 * GIB


def test_warm_mapped_weights_are_not_free_though_the_kernel_says_so() -> None:
    # 5 of 8 GiB available, 2 of them mapped by a warm model: 3 - 1.2 for new models, 2 held
    own = Footprint(file=gib(2))
    account = budget(memory(8 * GIB, 5 * GIB), own, (), None)
    assert less(account, own).ram == 3 * GIB - int(0.15 * 8 * GIB)


def test_the_tighter_of_machine_and_control_group_counts_for_room_and_margin() -> None:
    account = budget(memory(64 * GIB, 60 * GIB, 6 * GIB, 8 * GIB), NOTHING, (), None)
    assert account.ram == 6 * GIB - int(0.15 * 8 * GIB)


def test_mapped_weights_are_given_back_by_the_headroom_and_are_not_free_either() -> None:
    own = Footprint(file=gib(2), anon=gib(1))
    account = budget(memory(64 * GIB, 60 * GIB, 7 * GIB, 8 * GIB), own, (), None)
    assert less(account, own).ram == 5 * GIB - int(0.15 * 8 * GIB)


def test_the_configured_budget_is_an_upper_limit() -> None:
    account = memory(24 * GIB, 20 * GIB)
    assert budget(account, NOTHING, (), gib(4)).ram == 4 * GIB
    assert budget(account, NOTHING, (), gib(40)).ram < 20 * GIB


def test_an_exhausted_machine_has_no_budget_rather_than_a_negative_one() -> None:
    assert budget(memory(8 * GIB, 100 * MIB), NOTHING, (), None).ram == 0


def test_each_gpu_keeps_a_margin_of_its_own() -> None:
    gpus = [gpu(0, 8 * GIB), gpu(1, 2 * GIB, free=GIB)]
    account = budget(memory(8 * GIB, 8 * GIB), Footprint(gpu=(gib(1),)), gpus, None)
    assert account.gpu == (9 * GIB - int(0.05 * 8 * GIB), GIB - 256 * MIB)


def test_a_gpu_that_is_unified_or_cannot_be_read_has_no_bytes_of_its_own() -> None:
    asleep = replace(gpu(1, GIB), total=None, free=None, awake=False)
    account = budget(memory(8 * GIB, 8 * GIB), NOTHING, [ORIN_GPU, asleep], None)
    assert account.gpu == (0, 0)


@given(
    available=sizes,
    headroom=st.none() | sizes,
    file=st.integers(0, 8 * GIB),
    anon=st.integers(0, 8 * GIB),
    vram=st.integers(0, 8 * GIB),
)
def test_a_load_moves_bytes_from_free_to_ours_and_leaves_the_budget_alone(
    available: int, headroom: int | None, file: int, anon: int, vram: int
) -> None:
    """Anonymous bytes leave MemAvailable and headroom, mapped ones leave neither."""
    after_headroom = None if headroom is None else headroom - anon
    cold = budget(memory(64 * GIB, available, headroom), NOTHING, [gpu(0, 8 * GIB)], None)
    warm = budget(
        memory(64 * GIB, available - anon, after_headroom),
        Footprint(Bytes(file), Bytes(anon), (Bytes(vram),)),
        [gpu(0, 8 * GIB, free=8 * GIB - vram)],
        None,
    )
    assert warm == cold


# ---- bytes per domain -------------------------------------------------------------------------

footprints = st.builds(
    Footprint,
    file=sizes.map(Bytes),
    anon=sizes.map(Bytes),
    gpu=st.lists(sizes.map(Bytes), max_size=2).map(tuple),
)
rooms = st.builds(
    Budget,
    ram=st.integers(-GIB, 99 * GIB).map(Bytes),
    gpu=st.tuples(*[st.integers(-GIB, 99 * GIB).map(Bytes)] * 2),
)


@given(rooms, footprints)
def test_something_fits_exactly_where_nothing_is_short(room: Budget, need: Footprint) -> None:
    nothing_short = shortage(need, room) == Budget(Bytes(0), (Bytes(0), Bytes(0)))
    assert fits(replace(need, gpu=(*need.gpu, Bytes(0), Bytes(0))[:2]), room) == nothing_short


@given(rooms, footprints)
def test_what_is_taken_and_comes_back_leaves_room_as_it_was(room: Budget, need: Footprint) -> None:
    assert more(less(room, need), need) == room


@given(st.lists(footprints, max_size=4))
def test_a_sum_is_one_of_every_domain(parts: list[Footprint]) -> None:
    whole = total(parts)
    assert whole.ram == sum(part.ram for part in parts)
    assert sum(whole.gpu) == sum(sum(part.gpu) for part in parts)


# ---- eviction ---------------------------------------------------------------------------------


def candidate(name: str, ram: int, worth: float = 1.0) -> Candidate:
    return Candidate(ModelId(name), Footprint(anon=mib(ram)), worth)


def evicted(short: int, *candidates: Candidate) -> set[str] | None:
    chosen = make_room(Budget(mib(short)), candidates)
    return None if chosen is None else set(chosen)


def test_the_one_that_is_worth_least_goes() -> None:
    assert evicted(100, candidate("a-dear", 100, 9.0), candidate("cheap", 100, 0.5)) == {"cheap"}


def test_one_large_model_goes_rather_than_many_of_the_same_value_each() -> None:
    small = [candidate(f"small{i}", 25) for i in range(4)]
    assert evicted(100, *small, candidate("large", 100)) == {"large"}


def test_a_victim_that_turns_out_not_to_be_needed_is_spared() -> None:
    # per byte the small one is cheaper, but the large one is needed and enough
    small, large = candidate("small", 40, 0.1), candidate("large", 100, 1.0)
    assert evicted(100, small, large) == {"large"}


def test_bytes_in_another_domain_help_nobody() -> None:
    on_gpu = Candidate(ModelId("on-gpu"), Footprint(gpu=(gib(8),)), 0.0)
    assert evicted(100, on_gpu, candidate("in-ram", 100)) == {"in-ram"}
    short = Budget(Bytes(0), (mib(1),))
    assert make_room(short, [on_gpu, candidate("in-ram", 100)]) == ("on-gpu",)


def test_equals_go_by_name() -> None:
    assert evicted(1, candidate("b", 100), candidate("a", 100), candidate("c", 100)) == {"a"}


def test_where_nothing_is_short_nobody_goes() -> None:
    assert evicted(0, candidate("a", 100)) == set()


def test_nobody_goes_where_all_together_would_not_suffice() -> None:
    assert evicted(300, candidate("a", 100), candidate("b", 100)) is None


candidates = st.lists(
    st.builds(
        Candidate,
        model=st.integers(0, 99).map(lambda n: ModelId(f"m{n}")),
        footprint=footprints,
        worth=st.floats(0, 1e6),
    ),
    max_size=6,
    unique_by=lambda each: each.model,
)
shorts = st.builds(Budget, ram=sizes.map(Bytes), gpu=st.tuples(sizes.map(Bytes)))


@given(shorts, candidates, st.randoms(use_true_random=False))
def test_a_choice_is_enough_has_nobody_to_spare_and_does_not_depend_on_order(
    short: Budget, among: list[Candidate], random: Random
) -> None:
    chosen = make_room(short, among)
    by_id = {each.model: each.footprint for each in among}
    if chosen is None:
        assert not covers(by_id.values(), short)
    else:
        assert covers([by_id[model] for model in chosen], short)
        for spared in chosen:
            assert not covers([by_id[m] for m in chosen if m != spared], short)
    shuffled = list(among)
    random.shuffle(shuffled)
    again = make_room(short, shuffled)
    assert (again and sorted(again)) == (chosen and sorted(chosen))


def covers(freed: Iterable[Footprint], short: Budget) -> bool:
    missing = less(short, total(freed))
    return missing.ram <= 0 and all(bytes_ <= 0 for bytes_ in missing.gpu)
