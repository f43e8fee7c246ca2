"""Thread counts beside each other, beside neighbours, and in a collapse."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.load import ThreadCounts
from edgeroute.residency.cores import Cores, Work

ALONE = Work(1, 0, 0, threads=4)
STEP_S = 0.25


def test_alone_on_an_idle_machine_a_model_has_all_cores() -> None:
    assert Cores(4, 8).share({1: ALONE}, 0.0) == {1: ThreadCounts(4, 4)}


@pytest.mark.parametrize(("models", "each"), [(1, 4), (2, 2), (3, 1), (4, 1), (9, 1)])
def test_models_that_compute_together_share_the_cores(models: int, each: int) -> None:
    shares = Cores(4, 4).share(dict.fromkeys(range(models), ALONE), 0.0)
    assert set(shares.values()) == {ThreadCounts(each, each)}


def test_neighbours_are_felt_above_one_threshold_and_forgotten_under_another() -> None:
    cores = Cores(2, 2)
    felt = []
    for foreign in (0.0, 0.5, 0.79, 0.81, 0.6, 0.41, 0.39, 0.6, 2.0):
        cores.measure(foreign)
        felt.append(cores.contended)
    assert felt == [False, False, False, True, True, True, False, False, True]


def test_beside_neighbours_steps_of_one_row_run_on_one_thread() -> None:
    cores = Cores(4, 4)
    cores.measure(1.9)
    assert cores.share({1: ALONE}, 0.0) == {1: ThreadCounts(1, 4)}
    cores.measure(0.0)
    assert cores.share({1: ALONE}, 0.3) == {1: ThreadCounts(4, 4)}


def test_a_model_never_gets_more_threads_than_it_is_fastest_with() -> None:
    few = Work(1, 0, 0, threads=2)
    assert Cores(8, 8).share({1: few}, 0.0) == {1: ThreadCounts(2, 2)}
    shares = Cores(8, 8).share({1: few, 2: Work(1, 0, 0, threads=6)}, 0.0)
    assert shares == {1: ThreadCounts(2, 2), 2: ThreadCounts(4, 4)}


def test_alone_it_gets_them_even_where_they_are_more_than_the_cores() -> None:
    assert Cores(2, 4).share({1: ALONE}, 0.0) == {1: ThreadCounts(4, 4)}


def test_neighbours_on_cores_that_are_not_ours_are_not_felt() -> None:
    cores = Cores(2, 64)  # a container with a quota of two cores on a large machine
    cores.measure(61.0)
    assert (cores.contended, cores.taken) == (False, 0.0)
    cores.measure(63.5)
    assert (cores.contended, cores.taken) == (True, 1.5)


class Machine:
    """One model that makes steps at a rate, looked at four times a second."""

    def __init__(self, rows: int = 4) -> None:
        self.cores = Cores(2, 2)
        self.now = 0.0
        self.steps = 0.0
        self.work = Work(rows, 0, 0, threads=2)

    def runs(self, rate: float, seconds: float, foreign: float, unanswered: int = 0) -> set[int]:
        """Threads of a batch that it was given meanwhile."""
        given = set()
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            self.steps += rate * STEP_S
            self.work = Work(self.work.answering, unanswered, int(self.steps), threads=2)
            self.cores.measure(foreign)
            given.add(self.cores.share({1: self.work}, self.now)[1].many)
        return given


def test_a_collapse_is_ended_by_one_thread_and_stays_so_while_neighbours_are_there() -> None:
    machine = Machine()
    assert machine.runs(50.0, 5, foreign=1.9) == {2}
    machine.runs(5.0, 1.5, foreign=1.9)
    assert machine.runs(40.0, 60, foreign=1.9) == {1}
    assert machine.runs(40.0, 1, foreign=0.1) == {2}


def test_one_thread_that_does_not_help_is_given_up_and_not_tried_again_at_once() -> None:
    machine = Machine()
    machine.runs(50.0, 5, foreign=1.9)
    assert 1 in machine.runs(5.0, 2.5, foreign=1.9)
    machine.runs(5.0, 1, foreign=1.9)
    assert machine.runs(5.0, 8, foreign=1.9) == {2}
    assert 1 in machine.runs(5.0, 5, foreign=1.9)


def test_slow_without_neighbours_is_no_collapse() -> None:
    machine = Machine()
    machine.runs(50.0, 5, foreign=0.0)
    assert machine.runs(2.0, 20, foreign=0.3) == {2}


def test_slow_while_a_prompt_is_read_is_no_collapse() -> None:
    machine = Machine()
    machine.runs(50.0, 5, foreign=1.9)
    assert machine.runs(2.0, 20, foreign=1.9, unanswered=1) == {2}


def test_more_rows_are_compared_with_as_many_rows_only() -> None:
    machine = Machine(rows=1)
    machine.runs(100.0, 5, foreign=1.9)
    machine.work = Work(16, 0, machine.work.steps, threads=2)
    assert machine.runs(10.0, 20, foreign=1.9) == {2}


def test_what_is_usual_is_remembered_from_one_answer_to_the_next() -> None:
    machine = Machine()
    machine.runs(50.0, 5, foreign=1.9)
    machine.now += 3600
    machine.cores.share({1: Work(0, 1, int(machine.steps), threads=2)}, machine.now)
    assert machine.runs(40.0, 3, foreign=1.9) == {2}
    assert 1 in machine.runs(5.0, 2.5, foreign=1.9)
    machine.cores.forget(1)
    assert machine.runs(5.0, 5, foreign=1.9) == {2}


def test_a_rate_that_falls_little_by_little_is_the_new_one() -> None:
    machine = Machine()
    for rate in (50.0, 40.0, 30.0, 24.0, 18.0, 14.0):
        assert machine.runs(rate, 5, foreign=1.9) == {2}


works = st.builds(
    Work, st.integers(0, 5), st.integers(0, 5), st.integers(0, 10**6), st.integers(1, 64)
)


@given(
    st.integers(1, 64),
    st.integers(1, 128),
    st.lists(st.tuples(st.floats(-5, 200), st.dictionaries(st.integers(0, 5), works))),
)
def test_everybody_gets_at_least_one_thread_and_all_together_no_more_than_there_are(
    threads: int, cpus: int, history: Iterable[tuple[float, dict[int, Work]]]
) -> None:
    cores = Cores(threads, cpus)
    for number, (foreign, work) in enumerate(history):
        cores.measure(foreign)
        shares = cores.share(work, number * STEP_S)
        assert shares.keys() == work.keys()
        assert all(1 <= each.few <= each.many for each in shares.values())
        assert all(shares[model].many <= work[model].threads for model in work)
        if len(work) > 1:
            assert sum(each.many for each in shares.values()) <= max(threads, len(work))
