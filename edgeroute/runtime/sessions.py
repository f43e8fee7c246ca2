"""Conversations that outlive their worker: states saved by one are handed to the next.

Owns the store: descriptors of sealed anonymous memory, bounded in bytes and number, the one that
was saved longest ago dropped first. They are never on a disk, and `secret` ones never arrive.
A state is valid for one model file, engine version and KV type; with any other it is forgotten.

How it is counted: a memfd's pages are missing from what the kernel calls available, as anonymous
memory is (1 GiB of them takes 1.0 GiB off MemAvailable), so a budget that follows the machine is
less by them already. One that the user has set is not: there `daemon.MachineMemory` takes `held`
off.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial

from edgeroute.domain.load import LoadPlan
from edgeroute.domain.units import GIB, Bytes
from edgeroute.ports import Runner, SavedConversation

_SHARE = 0.1
_MOST_BYTES = 1 * GIB
_MOST = 128
"""Conversations; each takes a descriptor, of which a process has 1024 unless told otherwise."""

Kind = tuple[str, str, str]
"""What a state is valid for: hash of the model file, engine and version, KV type."""


def share_of(budget: int, configured: Bytes | None) -> Bytes:
    """What conversations may hold of the bytes that there are for models and conversations.

    A tenth and at most 1 GiB, or what the user has set, where there is so much.
    """
    wished = min(_MOST_BYTES, int(_SHARE * budget)) if configured is None else configured
    return Bytes(max(0, min(wished, budget)))


class Sessions:
    """The saved conversations of all models.

    Args:
        limit: Bytes that they may hold now.

    Attributes:
        held: Bytes that they hold.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        self.held = Bytes(0)
        self._limit = limit
        self._models: frozenset[str] = frozenset()
        self._runners: set[tuple[Kind, Runner]] = set()
        self._saved: OrderedDict[tuple[Kind, str], SavedConversation] = OrderedDict()

    def __len__(self) -> int:
        return len(self._saved)

    def held_of(self, sha256: str) -> int:
        """Bytes of what is kept of one model file's conversations."""
        return sum(saved.size for (kind, _), saved in self._saved.items() if kind[0] == sha256)

    def replace_models(self, hashes: Iterable[str]) -> None:
        """These are the model files now; what was saved of others is dropped."""
        self._models = frozenset(hashes)
        for place in [place for place in self._saved if place[0][0] not in self._models]:
            self._drop(place)

    def welcome(self, plan: LoadPlan, runner: Runner) -> None:
        """A model is loaded: it gets what is left of its conversations, the newest first."""
        kind = (plan.sha256, runner.engine, plan.kv_type)
        self._runners.add((kind, runner))
        runner.exited.add_done_callback(lambda _how: self._runners.discard((kind, runner)))
        runner.keep_conversations(partial(self._keep, kind))
        for place in reversed(self._saved):
            if place[0] == kind:
                runner.restore(self._saved[place])

    def trim(self) -> None:
        """Drop what is over the limit, which follows the memory that there is."""
        limit = self._limit()
        while self.held > limit or len(self._saved) > _MOST:
            self._drop(next(iter(self._saved)))

    def close(self) -> None:
        """Drop everything."""
        for place in list(self._saved):
            self._drop(place)

    def _keep(self, kind: Kind, conversation: SavedConversation) -> None:
        place = (kind, conversation.key)
        if place in self._saved:  # saved again: the older descriptor is as good as the newer
            self._release(place)
        self._saved[place] = conversation
        self.held = Bytes(self.held + conversation.size)
        if kind[0] not in self._models or conversation.size > self._limit():
            self._drop(place)  # or it would push out all others, and itself in the end
        else:
            self.trim()

    def _drop(self, place: tuple[Kind, str]) -> None:
        """Forget a conversation, here and wherever the same file is loaded."""
        for kind, runner in self._runners:
            if kind == place[0]:
                runner.forget(place[1])
        self._release(place)

    def _release(self, place: tuple[Kind, str]) -> None:
        conversation = self._saved.pop(place)
        self.held = Bytes(self.held - conversation.size)
        os.close(conversation.memory)
