"""A machine in virtual time: requests share its compute, loads share its disk.

Owns the physics of a replay and the books of what was read and held; decides nothing. The physics
are those of the reference replay that comes with the traces:

- a warm or loading model holds its weights and the keys and values of 8192 tokens;
- n running requests each go at 1/n of their model's rates, n loads each at 1/n of theirs;
- a model runs four requests at a time, further ones queue in it in order of arrival;
- an eviction takes no time.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from edgeroute.domain.units import Bytes, ModelId

_CONTEXT = 8192
_PLACES = 4
_DONE = 1e-9
"""Seconds of work that are none: rounding."""
_LEAST_BUDGET = 1.05
"""Times the largest model."""


_NotNegative = Annotated[int, msgspec.Meta(ge=0)]
_Positive = Annotated[float, msgspec.Meta(gt=0)]


class TraceRow(msgspec.Struct, frozen=True):
    """A request: when, for which model, how long its prompt and its answer are."""

    t_s: float
    model: str
    prompt_tokens: _NotNegative
    output_tokens: _NotNegative
    session: str = ""


class SpeedCard(msgspec.Struct, frozen=True):
    """What a model holds and how fast it is where nothing else runs."""

    weights_bytes: _NotNegative
    kv_bytes_per_token: _NotNegative
    load_s: _Positive
    prefill_tok_s: _Positive
    decode_tok_s: _Positive

    @property
    def kv_bytes(self) -> Bytes:
        """Keys and values that are kept for it."""
        return Bytes(_CONTEXT * self.kv_bytes_per_token)

    @property
    def bytes(self) -> Bytes:
        """All that it holds."""
        return Bytes(self.weights_bytes + self.kv_bytes)


Cards = Mapping[ModelId, SpeedCard]


def enough_for_each(cards: Cards, budget: int) -> Bytes:
    """The budget, raised to 1.05 times the largest model where it is less."""
    return Bytes(max(budget, int(_LEAST_BUDGET * max(card.bytes for card in cards.values()))))


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way.

    Attributes:
        asked_at: When it came.
        warm_at: When its model was warm and took it.
        first_at: When its first token was out.
        left_s: Seconds of its present phase that are left at full speed.
    """

    number: int
    row: TraceRow
    model: ModelId
    warm_at: float = math.nan
    first_at: float = math.nan
    left_s: float = 0.0

    @property
    def asked_at(self) -> float:
        """When it came."""
        return self.row.t_s

    @property
    def is_answering(self) -> bool:
        """Whether its first token is out."""
        return not math.isnan(self.first_at)


@dataclass(slots=True)
class Figures:
    """What loading came to.

    Attributes:
        cold_starts: Loads that were begun.
        evictions: Models that were put out, while they loaded or later.
        peak_bytes: The most that was held at a time.
        wasted_bytes: Weights read by loads that served nobody, in part or whole.
    """

    cold_starts: int = 0
    evictions: int = 0
    peak_bytes: int = 0
    wasted_bytes: int = 0


@dataclass(slots=True)
class Machine:
    """One device and its disk.

    Attributes:
        now: Seconds since the trace began.
        warm: Models that are loaded, and whether each has served anybody since.
        loading: Seconds left at full speed of every load.
    """

    cards: Cards
    budget: Bytes
    now: float = 0.0
    warm: dict[ModelId, bool] = field(default_factory=dict)
    loading: dict[ModelId, float] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    _running: list[Job] = field(default_factory=list)
    _queues: dict[ModelId, deque[Job]] = field(default_factory=dict)
    _places: dict[ModelId, int] = field(default_factory=dict)

    @property
    def held(self) -> Bytes:
        """Bytes of all that is warm or loads."""
        return Bytes(sum(self.cards[m].bytes for held in (self.warm, self.loading) for m in held))

    def serves(self, model: ModelId) -> bool:
        """Whether requests run or queue in it."""
        return self._places.get(model, 0) > 0

    # ---- what is done to it ---------------------------------------------------------------------

    def load(self, model: ModelId) -> None:
        """Begin to load a model; its bytes are held from now on."""
        assert model not in self.warm, "it is there"  # noqa: S101  (the replay's own invariant)
        self.loading[model] = self.cards[model].load_s
        self.figures.cold_starts += 1
        self.figures.peak_bytes = max(self.figures.peak_bytes, self.held)
        assert self.held <= self.budget, "loaded into memory that is not there"  # noqa: S101

    def evict(self, model: ModelId) -> None:
        """Put a model out, or stop loading it."""
        assert not self.serves(model), "evicted in use"  # noqa: S101
        self._charge(model)
        self.figures.evictions += 1
        if model in self.warm:
            del self.warm[model]
        else:
            del self.loading[model]

    def run(self, job: Job) -> None:
        """Give a request to its model, which is warm; it runs when a place is free."""
        job.warm_at = self.now
        self.warm[job.model] = True
        taken = self._places[job.model] = self._places.get(job.model, 0) + 1
        if taken > _PLACES:
            self._queues.setdefault(job.model, deque()).append(job)
        else:
            self._begin(job)

    def close(self) -> None:
        """The replay is over: loads that have served nobody were for nothing."""
        for model in (*self.warm, *self.loading):
            self._charge(model)

    def _charge(self, model: ModelId) -> None:
        if self.warm.get(model):
            return
        left_s = self.loading.get(model, 0.0)
        read = 1.0 - left_s / self.cards[model].load_s
        self.figures.wasted_bytes += int(read * self.cards[model].weights_bytes)

    def _begin(self, job: Job) -> None:
        job.left_s = job.row.prompt_tokens / self.cards[job.model].prefill_tok_s
        self._running.append(job)

    # ---- time -----------------------------------------------------------------------------------

    @property
    def next_change_s(self) -> float:
        """Seconds until a prompt is read, an answer is complete or a model is loaded."""
        job_s = min((job.left_s for job in self._running), default=math.inf) * len(self._running)
        load_s = min(self.loading.values(), default=math.inf) * len(self.loading)
        return min(job_s if self._running else math.inf, load_s if self.loading else math.inf)

    def advance(self, until: float) -> tuple[list[ModelId], list[Job]]:
        """Let time pass, no further than the next change: what was loaded and who is done."""
        dt, self.now = until - self.now, until
        each = dt / max(1, len(self._running))
        done = [job for job in self._running if self._progress(job, each)]
        each = dt / max(1, len(self.loading))
        for model in self.loading:
            self.loading[model] -= each
        loaded = [model for model, left_s in self.loading.items() if left_s <= _DONE]
        for model in loaded:
            del self.loading[model]
            self.warm[model] = False
        for job in done:
            self._end(job)
        return loaded, done

    def _progress(self, job: Job, seconds: float) -> bool:
        """Whether its answer is complete."""
        job.left_s -= seconds
        if job.left_s > _DONE:
            return False
        if job.is_answering:
            return True
        job.first_at = self.now
        job.left_s = job.row.output_tokens / self.cards[job.model].decode_tok_s
        return False

    def _end(self, job: Job) -> None:
        self._running.remove(job)
        self._places[job.model] -= 1
        queue = self._queues.get(job.model)
        if queue:
            self._begin(queue.popleft())
