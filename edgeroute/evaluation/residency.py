"""How long requests wait for models, by policy: a trace replayed in virtual time.

Owns the loop of a replay and its figures. `load_wait_s` sums, over requests, the time from arrival
until their model was warm and took them. Figures may be of the requests from some time on, while
the models' past is that of the whole trace: what there is to learn has been learned by then.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.units import ModelId
from edgeroute.evaluation.residency_machine import (
    Cards,
    Job,
    Machine,
    SpeedCard,
    TraceRow,
    enough_for_each,
)
from edgeroute.evaluation.residency_peers import Belady, Gdsf, KeepAlive, Lru
from edgeroute.evaluation.residency_pool import Daemon
from edgeroute.residency.settings import Settings


class Keeper(Protocol):
    """A policy: says who is loaded and who goes."""

    alarm: float
    refused: int

    def ask(self, job: Job) -> None:
        """A request has come."""
        ...

    def note_loaded(self, model: ModelId) -> None:
        """A model is warm."""
        ...

    def note_done(self, job: Job) -> None:
        """An answer is complete."""
        ...

    def settle(self) -> None:
        """All that has happened in this moment has been told."""
        ...


__all__ = ["POLICIES", "TraceRow", "evaluate", "read_cards", "replay"]

Policy = Callable[[Machine, Sequence[TraceRow]], Keeper]

POLICIES: Mapping[str, Policy] = {
    "edgeroute": lambda machine, _: Daemon(machine, Settings()),
    "lru": lambda machine, _: Lru(machine),
    "ttl-5m": lambda machine, _: KeepAlive(machine),
    "gdsf": lambda machine, _: Gdsf(machine),
    "belady": Belady,
}


def read_cards(path: Path) -> Cards:
    """Read what models hold and how fast they are, by id.

    Raises:
        InvalidRequest: The file is not such an object; says why.
        OSError: The file cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[ModelId, SpeedCard])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path}: {error}") from error


def evaluate(
    rows: Sequence[TraceRow], cards: Cards, budget: int, counted_from_s: float = 0.0
) -> dict[str, object]:
    """Replay the trace under every policy and report.

    Args:
        rows: In any order.
        cards: Of every model that occurs.
        budget: Bytes; raised to 1.05 times the largest model.
        counted_from_s: Requests that came earlier are replayed and not counted in waits.

    Raises:
        InvalidRequest: A model has no card, or nothing is left to count.
    """
    rows = sorted(rows, key=lambda row: row.t_s)
    unknown = {row.model for row in rows} - cards.keys()
    if unknown:
        raise InvalidRequest(f"no card for {', '.join(sorted(unknown))}")
    if not rows or rows[-1].t_s < counted_from_s:
        raise InvalidRequest(f"no request came at or after {counted_from_s:g} s")
    room = enough_for_each(cards, budget)
    policies = {}
    for name, policy in POLICIES.items():
        machine = Machine(cards, room)
        keeper = policy(machine, rows)
        jobs = replay(rows, machine, keeper)
        policies[name] = figures(jobs, machine, keeper, counted_from_s)
    return {"budget_bytes": room, "policies": policies}


def replay(rows: Sequence[TraceRow], machine: Machine, keeper: Keeper) -> list[Job]:
    """Let all rows come in their time, until the last answer is complete.

    Raises:
        RuntimeError: Requests wait and nothing will ever happen: the policy forgot them.
    """
    jobs = [Job(i, row, ModelId(row.model)) for i, row in enumerate(rows)]
    came = done = 0
    while done + keeper.refused < len(jobs):
        next_at = jobs[came].asked_at if came < len(jobs) else math.inf
        change_at = machine.now + machine.next_change_s
        until = max(machine.now, min(next_at, change_at, keeper.alarm))
        if until == math.inf:
            raise RuntimeError(f"{len(jobs) - done - keeper.refused} requests wait for ever")
        loaded, ended = machine.advance(until)
        for model in loaded:
            keeper.note_loaded(model)
        for job in ended:
            keeper.note_done(job)
        while came < len(jobs) and jobs[came].asked_at <= machine.now:
            keeper.ask(jobs[came])
            came += 1
        done += len(ended)
        keeper.settle()
    machine.close()
    return jobs


def figures(
    jobs: Sequence[Job], machine: Machine, keeper: Keeper, counted_from_s: float
) -> dict[str, float]:
    """What a replay came to; waits are of the requests that were answered.

    Raises:
        InvalidRequest: None was.
    """
    counted = [
        job for job in jobs if job.asked_at >= counted_from_s and not math.isnan(job.first_at)
    ]
    if not counted:
        raise InvalidRequest("every request was refused, so that there is no wait to count")
    waits = [job.warm_at - job.asked_at for job in counted]
    ttft = [job.first_at - job.asked_at for job in counted]
    return {
        "cold_starts": machine.figures.cold_starts,
        "load_wait_s": round(sum(waits), 1),
        "load_wait_p95_s": _quantile(waits, 0.95),
        "ttft_p50_s": _quantile(ttft, 0.5),
        "ttft_p95_s": _quantile(ttft, 0.95),
        "max_wait_s": round(max(waits), 3),
        "evictions": machine.figures.evictions,
        "peak_bytes": machine.figures.peak_bytes,
        "refused": keeper.refused,
        "wasted_load_bytes": machine.figures.wasted_bytes,
    }


def _quantile(values: Sequence[float], share: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(share * len(values)))], 3)
