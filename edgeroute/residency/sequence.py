"""What follows what: after a model is asked for, which others are soon.

Owns counts per context, the newest counting most, and what is to be expected now. Bounded: old
contexts are forgotten, and rare followers.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from edgeroute.domain.units import ModelId

WINDOW_S = 300.0
"""How soon a follower must come to have followed."""
_BURST_S = 120.0
"""A request so soon after the last one for the same model goes on with the same work. What follows
work is not what follows a job that looks in every quarter of an hour."""
_KEPT = 0.95
"""Of what a visit counts when the next one of its context is over: about the last twenty matter."""
_LEAST_VISITS = 5.0
_DOUBT = 3.0
_CONTEXTS, _FOLLOWERS, _OPEN, _EXPECTED = 512, 8, 16, 64

Context = tuple[str, ModelId, ModelId | None, bool]


@dataclass(slots=True)
class _Visits:
    count: float = 0.0
    followed: dict[ModelId, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Open:
    """A context whose window has not passed."""

    until: float
    context: Context
    followers: set[ModelId] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Expected:
    """A follower, and how many visits of its context it followed."""

    until: float
    followed: float
    visits: float

    @property
    def share(self) -> float:
        return self.followed / (self.visits + _DOUBT)


class Sequence:
    """Learns and foretells followers.

    A context is a model that is asked for, whether that goes on with the same work, and nothing
    else, or which other model was asked for before, or which app asks: whichever foretells more.
    """

    def __init__(self) -> None:
        self._visits: dict[Context, _Visits] = {}
        self._open: deque[_Open] = deque()
        self._expected: dict[ModelId, _Expected] = {}
        self._last: tuple[ModelId, float] | None = None
        self._before: ModelId | None = None

    def note(self, model: ModelId, app: str, now: float) -> list[ModelId]:
        """A model is asked for: of which others that changes what is expected."""
        while self._open and (now > self._open[0].until or len(self._open) >= _OPEN):
            self._close(self._open.popleft())
        for each in self._open:
            if each.context[1] != model:
                each.followers.add(model)
        self._expected.pop(model, None)
        went_on = (
            self._last is not None and self._last[0] == model and (now - self._last[1] < _BURST_S)
        )
        if self._last is not None and self._last[0] != model:
            self._before = self._last[0]
        contexts: list[Context] = [("", model, None, went_on), ("", model, self._before, went_on)]
        if app:
            contexts.append((app, model, None, went_on))
        changed: list[ModelId] = []
        for context in contexts:
            self._open.append(_Open(now + WINDOW_S, context))
            changed += self._expect(context, now)
        self._last = model, now
        return changed

    def expects_until(self, model: ModelId, now: float) -> float | None:
        """How long what foretells it at present stands; `None` where nothing does."""
        expected = self._expected.get(model)
        return expected.until if expected is not None and now < expected.until else None

    def chance(self, model: ModelId, now: float, otherwise: float) -> float:
        """P(asked for within `WINDOW_S` of what it follows).

        Args:
            model: Which.
            now: Seconds.
            otherwise: The chance as far as the rest is known; stands where nothing foretells it,
                and counts as some visits beside those of a context. Of few visits in busy traffic
                something always seems to follow.
        """
        expected = self._expected.get(model)
        if expected is None or now >= expected.until:
            return otherwise
        doubt = _DOUBT * otherwise
        return max(otherwise, (expected.followed + doubt) / (expected.visits + _DOUBT))

    def forget(self, model: ModelId) -> None:
        """The model was removed."""
        self._expected.pop(model, None)

    def _expect(self, context: Context, now: float) -> Iterator[ModelId]:
        visits = self._visits.get(context)
        if visits is None or visits.count < _LEAST_VISITS:
            return
        for model, followed in visits.followed.items():
            before = self._expected.get(model)
            new = _Expected(now + WINDOW_S, followed, visits.count)
            if before is None or now >= before.until or new.share > before.share:
                self._expected[model] = new
                yield model
        while len(self._expected) > _EXPECTED:
            oldest = next(iter(self._expected))
            del self._expected[oldest]
            yield oldest

    def _close(self, passed: _Open) -> None:
        visits = self._visits.pop(passed.context, None) or _Visits()
        self._visits[passed.context] = visits  # the newest last
        visits.count = visits.count * _KEPT + 1.0
        for model in visits.followed:
            visits.followed[model] *= _KEPT
        for model in sorted(passed.followers):
            visits.followed[model] = visits.followed.get(model, 0.0) + 1.0
        rarest_first = sorted(visits.followed, key=visits.followed.__getitem__)
        for model in rarest_first[: max(0, len(rarest_first) - _FOLLOWERS)]:
            del visits.followed[model]
        if len(self._visits) > _CONTEXTS:
            del self._visits[next(iter(self._visits))]
