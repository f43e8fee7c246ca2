"""How private a request is, by all that is known of it and of its session.

Owns the policy in force, which a reload replaces, and what earlier turns were. Turns are kept as
keyed hashes, in memory and bounded; their key is drawn at the start and nobody else has it.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from edgeroute.domain.features import Features
from edgeroute.domain.policy import Policy
from edgeroute.domain.prefix import Beginning, Mark
from edgeroute.domain.privacy import Label, LabelReason, Sensitivity
from edgeroute.domain.request import AnyRequest, Message, Request
from edgeroute.routing.policy import label_reasons

_MOST_MARKS = 1 << 16
"""Turns and sessions that are remembered; beyond, what was met longest ago is forgotten."""
_LATEST = 400
"""Turns of a request that are looked at, from the last one back."""
_TELLING = 24
"""Characters; a shorter message, such as `yes, please`, is said in many conversations."""

_SHARED = {"system", "developer"}


@dataclass(frozen=True, slots=True)
class Labelled:
    """How private a request is.

    Attributes:
        reasons: Why, the strongest first (see `routing.policy.label_reasons`).
        begun: Its conversation up to each of its latest turns, the whole one last.
    """

    reasons: tuple[LabelReason, ...]
    begun: tuple[Beginning, ...]

    @property
    def label(self) -> Label:
        """How private."""
        return self.reasons[0].label


class Labelling:
    """Labels requests.

    A conversation stays as private as any turn of it was. It is known by the session that a
    request names, by the turns that a request begins with, and a message of a request that was
    labelled by its caller is known wherever it turns up again. Only the last turn may be asked
    once more under another label.

    Args:
        policy: What the owner has laid down.

    Attributes:
        policy: The one in force; it may be replaced at any time.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._key = secrets.token_bytes(32)
        self._marks: OrderedDict[Mark, Label] = OrderedDict()

    def label(self, request: AnyRequest, features: Features) -> Labelled:
        """All that makes a request private."""
        begun = tuple(self._beginnings(request)) if isinstance(request, Request) else ()
        found = Sensitivity(features.label, features.findings)
        return Labelled(label_reasons(request, found, self._earlier(request, begun)), begun)

    def remember(self, request: AnyRequest, labelled: Labelled) -> None:
        """Hold what goes on with a request to its label, which is not only what its caller said."""
        label = labelled.label
        if not isinstance(request, Request) or label is Label.PUBLIC:
            return
        whole = [beginning.mark for beginning in labelled.begun[-1:]]
        for mark in (*whole, *self._session(request)):
            self._set(mark, label)
        if request.label is not None:
            for mark in self._single(request, request.messages):
                self._set(mark, request.label)
        while len(self._marks) > _MOST_MARKS:
            self._marks.popitem(last=False)

    def _set(self, mark: Mark, label: Label) -> None:
        if label > self._marks.get(mark, Label.PUBLIC):
            self._marks[mark] = label
        if mark in self._marks:
            self._marks.move_to_end(mark)

    def _earlier(self, request: AnyRequest, begun: tuple[Beginning, ...]) -> Label | None:
        """The most private that a turn of its session was."""
        if not isinstance(request, Request):
            return None
        messages = request.messages
        if request.label is not None:  # the last turn is asked under a label of its own
            begun, messages = begun[:-1], messages[:-1]
        turns = (beginning.mark for beginning in begun)
        marks = (*turns, *self._single(request, messages), *self._session(request))
        known = [self._marks[mark] for mark in marks if mark in self._marks]
        return max(known, default=None)

    def _session(self, request: Request) -> Iterator[Mark]:
        if request.session is not None:
            yield self._mark("session", request.app, request.session)

    def _single(self, request: Request, messages: tuple[Message, ...]) -> Iterator[Mark]:
        """The latest turns, each by itself; not those that all conversations of an app share."""
        for message in messages[-_LATEST:]:
            if message.role not in _SHARED and len(message.content) >= _TELLING:
                yield self._mark("message", request.app, *message.texts)

    def _beginnings(self, request: Request) -> Iterator[Beginning]:
        """The conversation up to each of its latest turns, the whole one last."""
        messages = request.messages or (Message("user", request.prompt or ""),)
        running = hashlib.blake2b(request.app.encode(), digest_size=16, key=self._key)
        turns = [_joined(message.role, *message.texts) for message in messages]
        size, read = sum(map(len, turns)), 0
        for at, (message, turn) in enumerate(zip(messages, turns, strict=True)):
            running.update(turn)
            read += len(turn)
            if at >= len(messages) - _LATEST:
                yield Beginning(running.digest(), read / size, message.role == "assistant")

    def _mark(self, *texts: str) -> Mark:
        return hashlib.blake2b(_joined(*texts), digest_size=16, key=self._key).digest()


def _joined(*texts: str) -> bytes:
    return "\0".join((*texts, "")).encode("utf-8", "surrogatepass")
