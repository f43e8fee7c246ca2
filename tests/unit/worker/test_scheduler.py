"""The scheduler under any sequence of events: nothing leaks, nothing is decoded twice."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edgeroute.domain.errors import ContextExceeded, InvalidRequest
from edgeroute.worker.scheduler import Run, Scheduler


def prompt_of(length: int, first: int = 0) -> "array[int]":
    return array("i", range(first, first + length))


def step(scheduler: Scheduler, last: frozenset[int] = frozenset()) -> list[Run]:
    """One whole step; sequences in `last` end by themselves where they draw."""
    scheduler.admit()
    batch = scheduler.plan()
    scheduler.commit(batch)
    for run in batch:
        if run.draws:
            scheduler.accept(run.id, 7, last=run.id in last)
    return batch


class Batching(RuleBasedStateMachine):
    """Drives a scheduler beside the simplest account of what must be true."""

    @initialize(slots=st.integers(1, 4), extra_rows=st.integers(0, 9), context=st.integers(2, 24))
    def build(self, slots: int, extra_rows: int, context: int) -> None:
        self.slots, self.rows, self.context = slots, slots + extra_rows, context
        self.scheduler = Scheduler(slots=slots, context=context, batch=self.rows)
        self.next_id = 0
        self.waiting: list[int] = []
        self.tokens: dict[int, list[int]] = {}  # of every sequence that has not ended
        self.limit: dict[int, int] = {}
        self.decoded: dict[int, int] = {}  # of every sequence in a slot
        self.slot: dict[int, int] = {}

    @rule(length=st.integers(0, 30), max_tokens=st.none() | st.integers(0, 8))
    def submit(self, length: int, max_tokens: int | None) -> None:
        self.next_id += 1
        prompt = prompt_of(length, first=100 * self.next_id)
        if length == 0 or max_tokens == 0:
            with pytest.raises(InvalidRequest):
                self.scheduler.submit(self.next_id, prompt, max_tokens)
        elif length + 1 > self.context:
            with pytest.raises(ContextExceeded):
                self.scheduler.submit(self.next_id, prompt, max_tokens)
        else:
            self.scheduler.submit(self.next_id, prompt, max_tokens)
            self.waiting.append(self.next_id)
            self.tokens[self.next_id] = list(prompt)
            most = self.context if max_tokens is None else length + max_tokens
            self.limit[self.next_id] = min(most, self.context)

    @rule()
    def admit(self) -> None:
        free = sorted(set(range(self.slots)) - set(self.slot.values()))
        expected = list(zip(self.waiting, free, strict=False))
        assert self.scheduler.admit() == expected
        for sequence_id, slot in expected:
            self.waiting.remove(sequence_id)
            self.slot[sequence_id], self.decoded[sequence_id] = slot, 0

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        known = list(self.tokens)
        sequence_id = data.draw(st.sampled_from([*known, 0, self.next_id + 1]), "drop")
        assert self.scheduler.drop(sequence_id) == self.slot.get(sequence_id)
        if sequence_id in known:
            self.forget(sequence_id)

    @rule(token=st.integers(0, 9), enders=st.frozensets(st.integers(0, 3)))
    def decode(self, token: int, enders: frozenset[int]) -> None:
        batch = self.scheduler.plan()
        self.check(batch)
        self.scheduler.commit(batch)
        for run in batch:
            self.decoded[run.id] += len(run.tokens)
        for run in batch:
            if run.draws:
                self.accept(run, token, last=run.slot in enders)

    @rule()
    def abort(self) -> None:
        """An aborted decode needs no undoing: planning changed nothing."""
        self.check(self.scheduler.plan())

    def accept(self, run: Run, token: int, *, last: bool) -> None:
        finish = self.scheduler.accept(run.id, token, last=last)
        tokens = self.tokens[run.id]
        tokens.append(token)
        assert len(tokens) <= self.context
        full = len(tokens) == self.limit[run.id]
        assert finish == ("stop" if last else "length" if full else None)
        if finish is not None:
            self.forget(run.id)

    def check(self, batch: list[Run]) -> None:
        assert sum(len(run.tokens) for run in batch) <= self.rows
        assert sum(run.draws for run in batch) <= self.slots
        assert [run.slot for run in batch] == sorted({run.slot for run in batch})
        row = 0
        for run in batch:
            tokens = self.tokens[run.id]
            end = run.start + len(run.tokens)
            assert (run.row, run.slot) == (row, self.slot[run.id])
            assert run.start == self.decoded[run.id]
            assert list(run.tokens) == tokens[run.start : end] != []
            assert run.draws == (end == len(tokens))
            row = run.last_row + 1
        left_out = self.slot.keys() - {run.id for run in batch}
        assert not left_out or row == self.rows, "room was left"
        assert all(len(self.tokens[i]) - self.decoded[i] > 1 for i in left_out), "a stream waits"

    def forget(self, sequence_id: int) -> None:
        for account in (self.tokens, self.limit, self.decoded, self.slot):
            account.pop(sequence_id, None)
        if sequence_id in self.waiting:
            self.waiting.remove(sequence_id)

    @invariant()
    def is_idle_when_all_have_ended(self) -> None:
        assert self.scheduler.idle == (not self.tokens)

    def teardown(self) -> None:
        if not hasattr(self, "scheduler"):
            return
        for sequence_id in list(self.tokens):
            self.scheduler.drop(sequence_id)
        for sequence_id in range(-self.slots, 0):
            self.scheduler.submit(sequence_id, prompt_of(1), None)
        slots = [slot for _, slot in self.scheduler.admit()]
        assert slots == list(range(self.slots)), "a slot leaked"


TestBatching = Batching.TestCase


def test_streams_come_first_and_the_oldest_prompt_fills_the_rest() -> None:
    scheduler = Scheduler(slots=3, context=100, batch=8)
    scheduler.submit(1, prompt_of(3), None)
    step(scheduler)
    scheduler.submit(2, prompt_of(9), None)
    scheduler.submit(3, prompt_of(9), None)
    shares = [[(run.id, len(run.tokens), run.draws) for run in step(scheduler)] for _ in range(4)]
    assert shares == [
        [(1, 1, True), (2, 7, False)],
        [(1, 1, True), (2, 2, True), (3, 5, False)],
        [(1, 1, True), (2, 1, True), (3, 4, True)],
        [(1, 1, True), (2, 1, True), (3, 1, True)],
    ]


def test_the_lowest_free_slot_is_taken_first() -> None:
    scheduler = Scheduler(slots=4, context=100, batch=8)
    for sequence_id in range(4):
        scheduler.submit(sequence_id, prompt_of(1), None)
    scheduler.admit()
    assert [scheduler.drop(sequence_id) for sequence_id in (3, 1)] == [3, 1]
    scheduler.submit(9, prompt_of(1), None)
    assert scheduler.admit() == [(9, 1)]


def test_a_batch_without_room_for_every_slot_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="no room for 9 slots"):
        Scheduler(slots=9, context=100, batch=8)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 4))
def test_all_that_were_submitted_are_decoded_in_the_fewest_rows(
    lengths: list[int], slots: int
) -> None:
    scheduler = Scheduler(slots=slots, context=64, batch=16)
    for sequence_id, length in enumerate(lengths):
        scheduler.submit(sequence_id, prompt_of(length), 3)
    rows = 0
    while not scheduler.idle:
        batch = step(scheduler)
        assert batch, "it stands still"
        rows += sum(len(run.tokens) for run in batch)
    assert rows == sum(lengths) + 2 * len(lengths)  # the third token drawn is never decoded
