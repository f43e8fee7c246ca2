"""Prefix reuse: what slots and saved states still know, and where a new sequence is best put.

A conversation that has ended stays in its slot until the slot is needed. A new one looks for the
longest beginning that it shares with any of its tenant, in slots or saved; it goes on in place, or
on a copy. Pure.
"""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edgeroute.worker.batching import BLOCK
from edgeroute.worker.sequence import Sequence

WORTHWHILE = 16
"""Tokens of a shared beginning from which a copy, or waiting for one, pays."""
_STRIDE = 64
_COPY = 4
"""Cost of a copy in tokens of prefill: 22 MiB of cells take 10 ms, a token 3 to 7 (SmolLM2)."""
_GAP = 256
"""Cost in tokens of prefill of a slot beside which nothing runs. llama.cpp computes neighbouring
slots together; each gap between those that run costs some 10 ms of every step (SmolLM2), which an
answer of a hundred tokens adds up to a second."""
_DEPTH = 0.002
"""What a row of less than a block costs more per position before it, as a share of its cost at
position 0: 0.0036 for SmolLM2, 0.0026 for Qwen2.5 0.5B, less for larger models."""


def common_prefix(one: "array[int]", other: "array[int]") -> int:
    """Length of the longest common beginning; 20 us for 4096 tokens."""
    end = min(len(one), len(other))
    for start in range(0, end, _STRIDE):
        stop = min(start + _STRIDE, end)
        if one[start:stop] != other[start:stop]:
            return next(i for i in range(start, stop) if one[i] != other[i])
    return end


class Kept(NamedTuple):
    """The cells of a conversation that has ended, or was set aside."""

    slot: int
    tenant: str
    tokens: "array[int]"


class Placement(NamedTuple):
    """A sequence gets a slot, with its first `reused` tokens from elsewhere.

    Attributes:
        source: The slot that has them; `slot` itself, another, or -1.
        key: The saved state that has them, or empty.
        lost: What was in the slot and is overwritten, unless it is what goes on there.
    """

    id: int
    slot: int
    reused: int = 0
    source: int = -1
    key: str = ""
    lost: Kept | None = None


class Wait(NamedTuple):
    """A sequence had better wait: its beginning is being decoded for another right now."""


class Shelf:
    """The tokens of all saved states."""

    def __init__(self) -> None:
        self._saved: dict[str, tuple[str, array[int]]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._saved

    def put(self, key: str, tenant: str, tokens: "array[int]") -> None:
        """Note a state."""
        self._saved[key] = (tenant, tokens)

    def remove(self, key: str) -> None:
        """Forget a state; unknown keys are harmless."""
        self._saved.pop(key, None)

    def find(self, tenant: str, tokens: "array[int]") -> tuple[int, str]:
        """Find the state of a tenant that shares most: how many tokens, and its key."""
        shares = (
            (common_prefix(tokens, saved), key)
            for key, (owner, saved) in self._saved.items()
            if owner == tenant
        )
        return max(shares, default=(0, ""))


class _Beginning(NamedTuple):
    """What a sequence may begin with; see `Placement`."""

    reused: int = 0
    source: int = -1
    key: str = ""


@dataclass(slots=True)
class _Retained:
    """What a free slot still knows.

    Attributes:
        shared: Tokens at its beginning that another slot had before.
        uses: How often another sequence began with a part of it.
        used: When that was last, in placements.
    """

    tenant: str
    tokens: "array[int]"
    shared: int
    uses: int
    used: int


class Prefixes:
    """The slots that nothing runs in, and what they know.

    Attributes:
        shelf: Tokens of the saved states, which are looked through too.
    """

    def __init__(self, slots: int, *, reuse: bool) -> None:
        self.shelf = Shelf()
        self._reuse = reuse
        self._slots = slots
        self._retained: dict[int, _Retained] = {}
        self._pinned: set[int] = set()
        self._placements = 0

    def retain(self, sequence: Sequence) -> None:
        """Take over the slot of a sequence that leaves it."""
        tokens = sequence.cells()
        # Before the first decode after a copy, the cells may be promised rather than there.
        if self._reuse and sequence.terms.keep and sequence.settled and tokens:
            self._retained[sequence.slot] = _Retained(
                sequence.terms.tenant,
                tokens,
                shared=min(sequence.shared, len(tokens)),
                uses=sequence.uses,
                used=self._placements,
            )

    def unpin(self) -> None:
        """Note that everything placed so far has its copy."""
        self._pinned.clear()

    def kept(self) -> list[Kept]:
        """All that free slots know."""
        return [Kept(slot, r.tenant, r.tokens) for slot, r in self._retained.items()]

    def place(self, sequence: Sequence, running: Mapping[int, Sequence]) -> Placement | Wait | None:
        """Choose a slot for a sequence, and what it begins with.

        Args:
            sequence: One that waits.
            running: All that run, by slot.

        Returns:
            `None` where there is no slot. Nothing is changed; see `take`.
        """
        begin = self._beginning(sequence, running) if self._reuse else _Beginning()
        if isinstance(begin, Wait):
            return begin
        free = [s for s in range(self._slots) if s not in running and s not in self._pinned]
        if not free:
            return None
        reused, source, key = begin
        # Those that know as much themselves: nothing is copied, and no source is pinned.
        sources = {s: s if self._knows(s, sequence, reused) else source for s in free}
        slot = min(free, key=lambda s: (self._cost(s, sources[s], reused, running), s))
        source = sources[slot]
        if source not in {slot, -1} and reused < WORTHWHILE:
            reused, source = 0, -1
        return Placement(sequence.id, slot, reused, source, key, self._lost(slot, source, reused))

    def take(
        self, placement: Placement, sequence: Sequence, running: Mapping[int, Sequence]
    ) -> None:
        """Carry out a placement: the sequence has its slot, and what is known of the slot is its.

        The source of a copy is pinned until `unpin`.
        """
        self._placements += 1
        slot, source = placement.slot, placement.source
        there = self._retained.pop(slot, None)
        sequence.slot, sequence.past, sequence.settled = slot, placement.reused, False
        sequence.shared = sequence.uses = 0
        if source == slot and there is not None:
            sequence.shared, sequence.uses = min(there.shared, placement.reused), there.uses
        elif source >= 0:
            self._pinned.add(source)
            sequence.shared = placement.reused
            copied = self._retained.get(source) or running[source]
            copied.uses += 1
            if isinstance(copied, _Retained):
                copied.used = self._placements

    def _beginning(
        self, sequence: Sequence, running: Mapping[int, Sequence]
    ) -> "_Beginning | Wait":
        """Find the longest beginning in slots and saved states."""
        tenant = sequence.terms.tenant
        tokens = sequence.tokens[:-1]  # one is decoded always, to draw from
        longest, source = self._longest(tenant, tokens, running)
        key = ""
        saved, saved_key = self.shelf.find(tenant, tokens)
        if saved >= longest + WORTHWHILE:
            longest, source, key = saved, -1, saved_key
        if _coming(sequence, tokens, running.values()) >= longest + WORTHWHILE:
            return Wait()
        return _Beginning(_cut(longest, len(sequence.tokens)), source, key)

    def _longest(
        self, tenant: str, tokens: "array[int]", running: Mapping[int, Sequence]
    ) -> tuple[int, int]:
        """The longest beginning that is in a slot now, and the slot; a free one wins a tie."""
        longest, source = 0, -1
        for slot, retained in self._retained.items():
            if retained.tenant == tenant:
                longest, source = max(
                    (common_prefix(tokens, retained.tokens), slot), (longest, source)
                )
        for slot, other in running.items():
            # Before its first decode, what a sequence begins with may still fail to come.
            if other.settled and other.terms.tenant == tenant:
                ready = min(common_prefix(tokens, other.tokens), other.past, other.exact)
                if ready > longest:
                    longest, source = int(ready), slot
        return (longest, source) if longest else (0, -1)

    def _knows(self, slot: int, sequence: Sequence, length: int) -> bool:
        """Whether a free slot has the first `length` tokens of a sequence."""
        there = self._retained.get(slot)
        return (
            there is not None
            and length > 0
            and there.tenant == sequence.terms.tenant
            and common_prefix(sequence.tokens[:length], there.tokens) == length
        )

    def _lost(self, slot: int, source: int, reused: int) -> Kept | None:
        """What is overwritten in a slot; nothing where nearly all of it goes on there."""
        there = self._retained.get(slot)
        if there is None or (slot == source and len(there.tokens) - reused < WORTHWHILE):
            return None
        return Kept(slot, there.tenant, there.tokens)

    def _cost(self, slot: int, source: int, reused: int, running: Mapping[int, Sequence]) -> float:
        """What it costs to put a sequence into a free slot, in tokens of prefill."""
        cost = 0.0 if not running or slot - 1 in running or slot + 1 in running else _GAP
        if source not in {slot, -1}:
            cost += _COPY
        retained = self._retained.get(slot)
        if retained is None:
            return cost
        elsewhere = max(retained.shared, reused if slot == source else 0)
        age = 1 + self._placements - retained.used
        return cost + (1 + retained.uses) * (len(retained.tokens) - elsewhere) / age


def _cut(reused: int, length: int) -> int:
    """Reuse less where decoding a whole block is cheaper than decoding fewer tokens."""
    rest = length - reused
    if rest < BLOCK < rest * (1 + _DEPTH * reused):
        return length - BLOCK
    return reused


def _coming(sequence: Sequence, tokens: "array[int]", running: Iterable[Sequence]) -> int:
    """The longest beginning that a running sequence is about to have.

    One that somebody waits for does not wait for one that nobody does.
    """
    tenant, urgent = sequence.terms.tenant, sequence.urgent
    return max(
        (
            min(common_prefix(tokens, other.tokens), int(min(other.exact, len(other.tokens))))
            for other in running
            if not other.generating and other.terms.tenant == tenant and other.urgent >= urgent
        ),
        default=0,
    )
