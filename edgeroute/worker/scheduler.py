"""Continuous batching: which sequence sits in which slot, and what is decoded next.

Owns the queue and the positions of every sequence. Pure: knows neither engine, clock nor wire.
A step is `admit`, `plan`, then either `commit` and `accept` for every run that draws, or nothing
at all: a step that was aborted leaves no trace here, since planning changes nothing.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgeroute.domain.errors import ContextExceeded, InvalidRequest
from edgeroute.domain.request import FinishReason


class Run(NamedTuple):
    """Consecutive tokens of one sequence, as consecutive rows of a batch.

    Attributes:
        row: First row in the batch.
        start: Position of the first token in its sequence.
        draws: The sequence has no tokens after these, so the next one is to be drawn.
    """

    id: int
    slot: int
    row: int
    start: int
    tokens: "array[int]"
    draws: bool

    @property
    def last_row(self) -> int:
        """The row whose logits the next token is drawn from."""
        return self.row + len(self.tokens) - 1


@dataclass(slots=True)
class _Sequence:
    """A prompt and what was drawn after it.

    Attributes:
        tokens: The prompt, then every token drawn.
        limit: Tokens at which it ends.
        past: How many of them are decoded.
    """

    id: int
    tokens: "array[int]"
    limit: int
    slot: int = -1
    past: int = 0

    @property
    def pending(self) -> int:
        return len(self.tokens) - self.past


class Scheduler:
    """Slots, queue and positions.

    Every id that was submitted leaves exactly once, by `accept` or by `drop`.
    """

    def __init__(self, *, slots: int, context: int, batch: int) -> None:
        if not 1 <= slots <= batch:
            raise ValueError(f"a batch of {batch} rows has no room for {slots} slots")
        self._context = context
        self._batch = batch
        self._free = set(range(slots))
        self._queue: dict[int, _Sequence] = {}  # in order of arrival
        self._running: dict[int, _Sequence] = {}  # in order of admission

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or running."""
        return not self._queue and not self._running

    def submit(self, sequence_id: int, prompt: "array[int]", max_tokens: int | None) -> None:
        """Queue a prompt; `max_tokens` of `None` is bounded by the context alone.

        Raises:
            ContextExceeded: The context cannot hold the prompt and one token of the answer.
            InvalidRequest: There is nothing to decode or nothing to generate.
        """
        if not prompt:
            raise InvalidRequest("the prompt is empty")
        if max_tokens is not None and max_tokens < 1:
            raise InvalidRequest(f"max_tokens is {max_tokens}; an answer has at least one token")
        if len(prompt) + 1 > self._context:
            raise context_exceeded(f"{len(prompt)}", self._context)
        limit = self._context
        if max_tokens is not None:
            limit = min(limit, len(prompt) + max_tokens)
        self._queue[sequence_id] = _Sequence(sequence_id, prompt, limit)

    def drop(self, sequence_id: int) -> int | None:
        """Forget a sequence, queued or running; unknown ids are harmless.

        Returns:
            The slot that became free, or `None`.
        """
        self._queue.pop(sequence_id, None)
        sequence = self._running.pop(sequence_id, None)
        if sequence is None:
            return None
        self._free.add(sequence.slot)
        return sequence.slot

    def admit(self) -> list[tuple[int, int]]:
        """Move queued sequences into free slots, first come first served.

        The lowest free slot first: llama.cpp splits a batch wherever slot numbers have a gap.

        Returns:
            The ids that were admitted, each with its slot.
        """
        admitted = []
        while self._queue and self._free:
            sequence = self._queue.pop(next(iter(self._queue)))
            self._running[sequence.id] = sequence
            sequence.slot = min(self._free)
            self._free.remove(sequence.slot)
            admitted.append((sequence.id, sequence.slot))
        return admitted

    def plan(self) -> list[Run]:
        """Fill a batch: one token of all that wait for just one, prompts in what room is left.

        Returns:
            Runs in order of slots; empty where nothing runs. Changes nothing.
        """
        shares = {s.slot: 1 for s in self._running.values() if s.pending == 1}
        room = self._batch - len(shares)
        for sequence in self._running.values():
            if sequence.pending > 1:
                shares[sequence.slot] = min(sequence.pending, room)
                room -= shares[sequence.slot]
        runs = []
        row = 0
        for sequence in sorted(self._running.values(), key=lambda s: s.slot):
            if share := shares.get(sequence.slot):
                runs.append(_run(sequence, row, share))
                row += share
        return runs

    def commit(self, batch: Sequence[Run]) -> None:
        """Note that a planned batch was decoded."""
        for run in batch:
            self._running[run.id].past += len(run.tokens)

    def accept(self, sequence_id: int, token: int, *, last: bool) -> FinishReason | None:
        """Append a drawn token to its sequence.

        Args:
            sequence_id: A sequence, all of whose tokens are decoded.
            token: What was drawn.
            last: The answer ends with this token, by itself or by a stop string.

        Returns:
            Why the sequence ended, which frees its slot; `None` where it goes on.
        """
        sequence = self._running[sequence_id]
        sequence.tokens.append(token)
        if last:
            self.drop(sequence_id)
            return "stop"
        if len(sequence.tokens) >= sequence.limit:
            self.drop(sequence_id)
            return "length"
        return None


def context_exceeded(tokens: str, context: int) -> ContextExceeded:
    """Refuse a prompt; `tokens` is its length in words, such as `at least 9000`."""
    return ContextExceeded(
        f"the prompt has {tokens} tokens; the context holds {context}, prompt and answer: "
        "shorten the conversation, or choose a model with a larger context"
    )


def _run(sequence: _Sequence, row: int, share: int) -> Run:
    start, end = sequence.past, sequence.past + share
    return Run(
        id=sequence.id,
        slot=sequence.slot,
        row=row,
        start=start,
        tokens=sequence.tokens[start:end],
        draws=end == len(sequence.tokens),
    )
