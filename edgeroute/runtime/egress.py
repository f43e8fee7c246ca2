"""The gate through which everything passes that leaves the pool's own workers.

Owns the last look: what was read of a request decided where it may go, and here the final payload
is read again, every field of it, and held to the policy as it is now, so that nothing travels that
the decision did not know of. What leaves this device is written down and synced first: no record,
no payload. The only maker of `ApprovedPayload`.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from edgeroute.domain.audit import Departure
from edgeroute.domain.errors import LabelExceeded, PolicyRefused
from edgeroute.domain.policy import Policy
from edgeroute.domain.privacy import UNREAD, Label, Sensitivity, Zone
from edgeroute.domain.request import AnyRequest, EmbeddingRequest
from edgeroute.domain.target import Target
from edgeroute.ports import ApprovedPayload, Audit, Scanner
from edgeroute.routing.policy import ceiling, forbids, names_of
from edgeroute.wire.openai import encode_json
from edgeroute.wire.undecodable import UNDECODABLE

_SHORT = 32 << 10
"""Bytes of a payload that are read on the event loop; a longer one is read in a thread."""
_TELLING = 1_000_000
"""A number from here on may be somebody's: of a card, a phone, an account."""


@dataclass(frozen=True, slots=True)
class Gatekeepers:
    """Whom the gate asks.

    Attributes:
        scan: Reads texts for what is delicate.
        audit: Writes down what leaves.
        policy: The one in force now.
        wall_clock: Unix seconds.
    """

    scan: Scanner
    audit: Audit
    policy: Callable[[], Policy]
    wall_clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Composed:
    """What a provider would be told, encoded once: for its length, the record and the way there.

    Attributes:
        fields: As they are read.
        body: As it would be sent.
    """

    fields: Mapping[str, object]
    body: bytes

    @classmethod
    def of(cls, fields: Mapping[str, object]) -> "Composed":
        """Encode it."""
        return cls(fields, encode_json(fields))


class Egress:
    """Approves payloads."""

    def __init__(self, keepers: Gatekeepers) -> None:
        self._keepers = keepers

    async def approve(
        self, target: Target, request: AnyRequest, payload: Composed
    ) -> ApprovedPayload:
        """Let a payload through to its target.

        Args:
            target: Who would get it.
            request: What it was made of, with the label that holds for it.
            payload: All that would be sent.

        Raises:
            LabelExceeded: It is more private than the target may see.
            PolicyRefused: A rule keeps it from the target.
            AuditUnavailable: It cannot be written down.
        """
        body = payload.body
        if len(body) > _SHORT:
            found = await asyncio.to_thread(self._read, payload.fields)
        else:
            found = self._read(payload.fields)
        label = max(request.held_as, found.label)
        policy = self._keepers.policy()
        _refuse(policy, target, request, label, found)
        if target.zone > Zone.DEVICE:
            await self._keepers.audit.write(self._departure(target, request, found, body), body)
            if (newer := self._keepers.policy()) is not policy:
                _refuse(newer, target, request, label, found)  # it was replaced meanwhile
        return ApprovedPayload(target.id, body, label, isinstance(request, EmbeddingRequest))

    def _read(self, fields: Mapping[str, object]) -> Sensitivity:
        try:
            return self._keepers.scan(list(_texts(fields)))
        except Exception:  # noqa: BLE001 - fails closed, whatever a detector or a payload is like
            return UNREAD

    def _departure(
        self, target: Target, request: AnyRequest, found: Sensitivity, body: bytes
    ) -> Departure:
        return Departure(
            at=self._keepers.wall_clock(),
            request=request.id,
            app=request.app,
            target=target.id,
            zone=target.zone.word,
            label=max(request.held_as, found.label).word,
            ceiling=_seen(self._keepers.policy(), target).word,
            findings=found.types,
            size=len(body),
        )


def _refuse(
    policy: Policy, target: Target, request: AnyRequest, label: Label, found: Sensitivity
) -> None:
    """Raise where the policy keeps a payload from its target."""
    seen = _seen(policy, target)
    if label > seen:
        raise LabelExceeded(
            f"{target.id} may see up to {seen.word} and what would be sent is {label.word}",
            hint=f"label it {seen.word} or less, and leave out: {', '.join(found.types)}"
            if found.label > seen
            else f"label the request {seen.word} or less",
        )
    if target.zone > Zone.DEVICE and request.limits.on_device == "only":
        raise PolicyRefused(f"the request must stay on this device and {target.id} is not on it")
    for rule in policy.rules:  # which are for some tasks alone, the decision has obeyed
        holds = not rule.tasks and (not rule.apps or request.app in rule.apps)
        if holds and forbids(rule, names_of(target.id, target.zone)):
            raise PolicyRefused(f"{rule.line} keeps this from {target.id}")


def _seen(policy: Policy, target: Target) -> Label:
    """What a target may see, by what it was begun with and by what is laid down now."""
    stated = policy.ceilings.get(target.id) or policy.ceilings.get(target.id.partition("/")[0])
    most = target.max_label if stated is None else min(stated, target.max_label)
    return ceiling(target.zone, most)


def _texts(value: object) -> Iterator[str]:
    """Every key and every string, those within JSON text too, as a tool's arguments are."""
    match value:
        case str():
            yield value
            if value[:1] in {"{", "["}:
                yield from _texts(_inner(value))
        case Mapping():
            for key, held in value.items():
                yield str(key)
                yield from _texts(held)
        case Sequence():
            for held in value:
                yield from _texts(held)
        case int() | float() if abs(value) >= _TELLING:
            yield str(value)
        case _:
            return  # small numbers and truths


def _inner(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except UNDECODABLE:
        return None  # it is not JSON, and was read as it stands
