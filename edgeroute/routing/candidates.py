"""The candidates as arrays, built once whenever the roster changes.

Owns the order of candidates (by id, so that no result depends on the order they came in) and
everything about them that does not depend on the request.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.capability import Capability
from edgeroute.domain.energy import EnergyRates, RemoteEnergy
from edgeroute.domain.features import Task
from edgeroute.domain.privacy import Zone
from edgeroute.domain.target import Target, Warmth
from edgeroute.domain.units import ModelId
from edgeroute.routing import consumption, policy, prior

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Roster:
    """Every target that a request could go to; arrays have one entry per target.

    Attributes:
        ids: Sorted; row `i` of every array is target `ids[i]`.
        identities: What each is called on every machine.
        zone: `Zone` values.
        ceiling: `Label` values, the most private label that each may see.
        context: Tokens.
        lacks: Whether each cannot do what, shape (targets, capabilities) in the order of
            `Capability`.
        unsuited: Whether each is not for what, shape (targets, tasks) in the order of
            `prior.COLUMN`.
        arithmetic_only: Whether each answers pure arithmetic and nothing else.
        bytes_needed: Bytes.
        retry_in_s: Seconds until a failed target may be tried again.
        quality: Prior P(acceptable), shape (targets, tasks) in the order of `prior.COLUMN`.
        load_s: Seconds until it is warm; 0 where it is.
        displaced_s: Seconds that others will wait for models that have to go for it.
        queue_s: Seconds before a new request is begun with: tokens queued, and the network.
        prefill_s: Seconds per prompt token.
        decode_s: Seconds per generated token.
        device_watts: Watts of this device while it loads; 0 for what computes elsewhere.
        base_j: Joules of this device that a query takes whatever its lengths.
        prompt_j: Likewise, per prompt token.
        output_j: Likewise, per generated token.
        pair_j: Likewise, per pair of a token and one before it.
        energy_spread: Standard deviation of what a query takes, as a share of what is predicted.
        remote_query_j: Joules of others' computers: least, likely and most, shape (targets, 3).
        remote_output_j: Likewise, per generated token.
        usd_in: Dollars per prompt token.
        usd_out: Dollars per generated token.
    """

    targets: tuple[Target, ...]
    ids: tuple[ModelId, ...]
    identities: tuple[str, ...]
    zone: Floats
    ceiling: Floats
    context: Floats
    lacks: NDArray[np.bool_]
    unsuited: NDArray[np.bool_]
    arithmetic_only: NDArray[np.bool_]
    bytes_needed: Floats
    retry_in_s: Floats
    quality: Floats
    load_s: Floats
    displaced_s: Floats
    queue_s: Floats
    prefill_s: Floats
    decode_s: Floats
    device_watts: Floats
    base_j: Floats
    prompt_j: Floats
    output_j: Floats
    pair_j: Floats
    energy_spread: Floats
    remote_query_j: Floats
    remote_output_j: Floats
    usd_in: Floats
    usd_out: Floats

    @classmethod
    def of(cls, targets: Iterable[Target]) -> "Roster":
        """Lay targets out as arrays.

        Raises:
            ValueError: Two targets share an id, or a rate is not above zero.
        """
        rows = tuple(sorted(targets, key=lambda target: target.id))
        _check(rows)

        def column(value: Callable[[Target], float]) -> Floats:
            return np.array([value(row) for row in rows], dtype=np.float64)

        decode_s = 1.0 / column(lambda t: t.rates.decode_tok_s)
        energy = [_energy(row) for row in rows]
        return cls(
            targets=rows,
            ids=tuple(row.id for row in rows),
            identities=tuple(row.identity or row.id for row in rows),
            zone=column(lambda t: t.zone),
            ceiling=column(lambda t: policy.ceiling(t.zone, t.max_label)),
            context=column(lambda t: t.context),
            lacks=_lacks(rows),
            unsuited=_unsuited(rows),
            arithmetic_only=np.array([row.arithmetic_only for row in rows], dtype=np.bool_),
            bytes_needed=column(lambda t: t.bytes_needed),
            retry_in_s=column(lambda t: t.retry_in_s),
            quality=_quality(rows),
            load_s=column(lambda t: 0.0 if t.warmth is Warmth.WARM else t.rates.load_s),
            displaced_s=column(lambda t: t.displaces_s),
            queue_s=column(lambda t: t.queued_tokens) * decode_s
            + column(lambda t: t.rates.latency_s),
            prefill_s=1.0 / column(lambda t: t.rates.prefill_tok_s),
            decode_s=decode_s,
            device_watts=column(lambda t: t.rates.watts if t.zone is Zone.DEVICE else 0.0),
            base_j=np.array([each.base_j for each in energy]),
            prompt_j=np.array([each.prompt_j for each in energy]),
            output_j=np.array([each.output_j for each in energy]),
            pair_j=np.array([each.pair_j for each in energy]),
            energy_spread=np.array([each.spread for each in energy]),
            remote_query_j=_remote(rows, lambda remote: remote.query_j),
            remote_output_j=_remote(rows, lambda remote: remote.output_j),
            usd_in=column(lambda t: t.usd_in_per_mtok) / 1e6,
            usd_out=column(lambda t: t.usd_out_per_mtok) / 1e6,
        )

    def place(self, at: int) -> policy.Place:
        """What the policy looks at of one."""
        target = self.targets[at]
        return policy.Place(target.id, target.zone, target.max_label)

    def __len__(self) -> int:
        return len(self.ids)

    def with_row(self, target: Target) -> "Roster":
        """With one target as it is now, at the cost of one and not of all.

        Raises:
            ValueError: There is none of that id, or a rate is not above zero.
        """
        at, one = self.ids.index(target.id), Roster.of([target])
        return replace(
            self, **{name: _with_row(getattr(self, name), at, getattr(one, name)) for name in _ROWS}
        )


_ROWS = tuple(field.name for field in fields(Roster))


def _with_row(column: Any, at: int, one: Any) -> Any:
    """A column with the only row of another one at a place; what they are made of stays."""
    if isinstance(column, tuple):
        return (*column[:at], *one, *column[at + 1 :])
    new = column.copy(order="K")
    new[at] = one[0]
    return new


def _energy(target: Target) -> EnergyRates:
    """As metered, else watts times seconds; nothing for what computes elsewhere."""
    if target.zone is not Zone.DEVICE:
        return EnergyRates(0.0, 0.0, 0.0, 0.0, 0.0)
    return target.energy or consumption.prior(target.rates).rates


def _remote(
    rows: Sequence[Target], of: Callable[[RemoteEnergy], tuple[float, float, float]]
) -> Floats:
    known = [(0.0, 0.0, 0.0) if row.remote is None else of(row.remote) for row in rows]
    return np.array(known, dtype=np.float64).reshape(len(rows), 3)


def _lacks(rows: Sequence[Target]) -> NDArray[np.bool_]:
    lacks = [[can not in row.capabilities for can in Capability] for row in rows]
    return np.array(lacks, dtype=np.bool_).reshape(len(rows), len(Capability))


def _unsuited(rows: Sequence[Target]) -> NDArray[np.bool_]:
    unsuited = [[bool(row.tasks) and task not in row.tasks for task in Task] for row in rows]
    return np.asfortranarray(np.array(unsuited, np.bool_).reshape(len(rows), len(Task)))


def _quality(rows: Sequence[Target]) -> Floats:
    """Scores where a target has them, the size prior elsewhere; columns contiguous."""
    parameters = np.array([row.parameters for row in rows], dtype=np.float64)
    quality = np.asfortranarray(prior.quality_by_size(parameters))
    for at, row in enumerate(rows):
        for task, score in row.scores.items():
            quality[at, prior.COLUMN[task]] = score
    return quality


def _check(rows: Sequence[Target]) -> None:
    for before, row in pairwise(rows):
        if before.id == row.id:
            raise ValueError(f"two targets are called {row.id}")
    for row in rows:
        if not (row.rates.prefill_tok_s > 0 and row.rates.decode_tok_s > 0):
            raise ValueError(f"{row.id}: tokens per second must be above zero, got {row.rates}")
