"""The journal's decisions made again: as they were, to the byte, and under other profiles.

Owns the check and the courses. A course takes all requests through one profile. What a target would
take is what was expected of it at the time; which models are in memory is the course's own doing,
by what it chose before: the last used ones, as many as the budget holds, for as long as its profile
keeps an idle one. So is the recorded course, or the two could not be compared.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from edgeroute.domain.decision import Ranked, Refusal
from edgeroute.domain.energy import NOTHING, Energy
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.profile import Profile
from edgeroute.domain.target import Target, Warmth
from edgeroute.domain.units import Bytes, ModelId
from edgeroute.routing.account import Account
from edgeroute.routing.decide import decide
from edgeroute.routing.price import choice_of
from edgeroute.routing.view import ViewRecord
from edgeroute.runtime.record import Decided, encode_decision
from edgeroute.store.history import PastDecision

_SHOWN_CHANGES = 5
"""Of one decision that came out otherwise."""


class Past(NamedTuple):
    """One journalled decision, read.

    Attributes:
        at: Unix seconds.
        decision: As it was written.
        outcome: `None` where it was refused, or the daemon was killed.
    """

    id: str
    at: float
    view: ViewRecord
    decision: bytes
    outcome: Outcome | None


def read(past: PastDecision) -> Past | None:
    """A journalled decision; `None` where it is damaged or of another version."""
    try:
        decided = Decided.read(past.row.decided)
        outcome = past.row.outcome
        ended = None if outcome is None else msgspec.json.decode(outcome, type=Outcome)
    except msgspec.DecodeError:
        return None
    return Past(past.id, past.at, decided.view, bytes(decided.decision), ended)


# ---- as it was ---------------------------------------------------------------------------------


def changes(past: Past) -> list[str]:
    """Where deciding again gives other bytes, such as `plan[0].target: 'a' is now 'b'`."""
    now = encode_decision(decide(past.view.view()))
    if now == past.decision:
        return []
    told = _changes("", msgspec.json.decode(past.decision), msgspec.json.decode(now))
    found = [change for change, _ in zip(told, range(_SHOWN_CHANGES), strict=False)]
    return found or ["the same values in other bytes"]


def _changes(place: str, before: Any, after: Any) -> Iterator[str]:
    """Places where two JSON values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            inner = f"{place}.{key}".removeprefix(".")
            yield from _changes(inner, before.get(key), after.get(key))
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield f"{place}: {len(before)} entries are now {len(after)}"
        for number, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from _changes(f"{place}[{number}]", one, other)
    elif before != after:
        yield f"{place}: {before!r} is now {after!r}"


# ---- under other profiles ----------------------------------------------------------------------


@dataclass(slots=True)
class Totals:
    """What a number of requests came to.

    Attributes:
        quality: P(acceptable) of the answers, summed up; `None` where it is not known.
        loads: Answers that waited for their model to load; `None` where that is not known.
        targets: Answers of each target.
    """

    answered: int = 0
    refused: int = 0
    seconds: float = 0.0
    usd: float = 0.0
    device: Energy = NOTHING
    system: Energy = NOTHING
    quality: float | None = None
    loads: int | None = None
    targets: Counter[ModelId] = field(default_factory=Counter)

    def add(self, ranked: Ranked, *, loading: bool) -> None:
        """One more answer, as expected."""
        expected = ranked.estimate
        self.answered += 1
        self.seconds += expected.total_s
        self.usd += expected.usd
        self.device += expected.device
        self.system += expected.system
        self.quality = (self.quality or 0.0) + expected.p_ok
        self.loads = (self.loads or 0) + loading
        self.targets[ranked.target] += 1

    def add_measured(self, outcome: Outcome | None) -> None:
        """One more request, as it went; what nobody answered counts as refused."""
        if outcome is None or outcome.target is None:
            self.refused += 1
            return
        self.answered += 1
        self.seconds += outcome.total_s
        self.usd += outcome.usd or 0.0
        self.targets[outcome.target] += 1
        if outcome.spent is not None:
            self.device += outcome.spent.device
            self.system += outcome.spent.system


class Course:
    """All requests, taken one after the other through one profile.

    Args:
        profile: `None` leaves each request the one that it had.
        day_clock: Seconds since some local midnight at a moment of Unix time.
    """

    def __init__(self, profile: Profile | None, day_clock: Callable[[float], float]) -> None:
        self.totals = Totals()
        self._profile = profile
        self._day_clock = day_clock
        self._kept = _Kept()
        self._account: Account | None = None

    def take(self, past: Past) -> None:
        """Decide the next request."""
        record = replace(past.view, profile=self._priced(past))
        release_s = record.profile.release_s(on_battery=record.power.on_battery)
        warm = self._kept.at(past.at, release_s, record.targets)
        targets = tuple(_as_kept(target, warm) for target in record.targets)
        decision = decide(replace(record, targets=targets).view())
        if isinstance(decision, Refusal):
            self.totals.refused += 1
            return
        chosen = decision.chosen
        target = next(target for target in targets if target.id == chosen.target)
        self.totals.add(chosen, loading=_loadable(target) and target.id not in warm)
        if _loadable(target):
            self._kept.use(target, past.at, record.budget_bytes)
        if self._account is not None:
            self._account.note(choice_of(decision), self._day_clock(past.at))
            self._account.spend(chosen.estimate.device_joules)

    def _priced(self, past: Past) -> Profile:
        """The profile, with the price of a joule that its budgets ask for by now."""
        profile, power = self._profile, past.view.power
        if profile is None:
            return past.view.profile
        now = self._day_clock(past.at)
        if self._account is None:
            self._account = Account([profile], now)
        self._account.observe(power, now, on_battery=power.on_battery)
        return self._account.priced(profile, self._account.left(profile, now), background=False)


class _Kept:
    """Models that a course has in memory: when each was used last, and its bytes."""

    def __init__(self) -> None:
        self._used: dict[ModelId, tuple[float, Bytes]] | None = None

    def at(
        self, now: float, release_s: float | None, targets: tuple[Target, ...]
    ) -> Mapping[ModelId, tuple[float, Bytes]]:
        """Those that are there now; the first time, those that were."""
        if self._used is None:
            there = [t for t in targets if _loadable(t) and t.warmth is Warmth.WARM]
            self._used = {target.id: (now, target.bytes_needed) for target in there}
        if release_s is not None:
            self._used = {
                model: (used, size)
                for model, (used, size) in self._used.items()
                if now - used <= release_s
            }
        return self._used

    def use(self, target: Target, now: float, budget: Bytes) -> None:
        """One answers; those that were not used for longest make room for it."""
        used = self._used or {}
        used.pop(target.id, None)
        used[target.id] = now, target.bytes_needed
        while len(used) > 1 and sum(size for _, size in used.values()) > budget:
            del used[next(iter(used))]
        self._used = used


def _loadable(target: Target) -> bool:
    return target.bytes_needed > 0


def _as_kept(target: Target, warm: Mapping[ModelId, object]) -> Target:
    """A target as the course has it; what it would displace is known for a cold one alone."""
    if not _loadable(target):
        return target
    if target.id not in warm:
        return replace(target, warmth=Warmth.COLD)
    return replace(target, warmth=Warmth.WARM, displaces_s=0.0)


# ---- all of it ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Report:
    """What deciding again came to.

    Attributes:
        same: Decisions that came out with the same bytes.
        different: Those that did not, by id, with what is different.
        unreadable: Damaged, or of a version whose views were others.
        measured: What really happened.
        recorded: What was expected with the profiles that were in force.
        profiles: What would be expected with one profile for all, by name.
    """

    recorded: Totals
    profiles: dict[str, Totals]
    measured: Totals = field(default_factory=Totals)
    same: int = 0
    different: dict[str, list[str]] = field(default_factory=dict)
    unreadable: int = 0


def replay(
    decisions: Iterable[PastDecision],
    profiles: Mapping[str, Profile],
    day_clock: Callable[[float], float],
    books: Callable[[Past], None] = lambda _past: None,
) -> Report:
    """Make decisions again.

    Args:
        decisions: In the order in which they were made.
        profiles: To take all of them through.
        day_clock: Seconds since some local midnight at a moment of Unix time.
        books: Called with each decision too.
    """
    recorded = Course(None, day_clock)
    others = {name: Course(profile, day_clock) for name, profile in profiles.items()}
    totals = {name: course.totals for name, course in others.items()}
    report = Report(recorded.totals, totals)
    for decision in decisions:
        past = read(decision)
        if past is None:
            report.unreadable += 1
            continue
        found = changes(past)
        if found:
            report.different[past.id] = found
        else:
            report.same += 1
        report.measured.add_measured(past.outcome)
        books(past)
        for course in (recorded, *others.values()):
            course.take(past)
    return report
