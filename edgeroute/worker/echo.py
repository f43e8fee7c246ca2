"""The echo engine: a worker process without a model, for tests and benches.

Answers with the words of the last user message, one token each. Everything around it is real:
process, frames, loop, batching. What it pretends is in `EchoBehaviour`.
"""

import os
import re
import signal
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from edgeroute.domain.errors import EdgeRouteError, LoadFailed
from edgeroute.domain.load import EchoBehaviour, LoadPlan
from edgeroute.domain.request import Message
from edgeroute.wire.frames import Generate
from edgeroute.worker.ports import Interrupted, Report, Token
from edgeroute.worker.scheduler import Run

_WORD = re.compile(r"\s*\S+")
_PAGE = 4096
_NAP_S = 0.02
"""How long it pretends to compute before it asks whether it is still wanted."""


@dataclass(slots=True)
class _Slot:
    """What a slot holds: how many of the prompt's tokens, how many in all, and the answer."""

    prompt: int
    past: int
    answer: list[str]
    drawn: int = 0


class EchoEngine:
    """An `Engine` that computes nothing."""

    def __init__(self, plan: LoadPlan, behaviour: EchoBehaviour, progress: Report) -> None:
        """Pretend to load.

        Raises:
            LoadFailed: The behaviour says so, or its bytes cannot be had.
        """
        self.name = "echo"
        self.context = plan.context
        self.gpu_bytes: tuple[int, ...] = ()
        self._behaviour = behaviour
        self._slots: dict[int, _Slot] = {}
        ends = time.perf_counter() + behaviour.load_s
        while (left := ends - time.perf_counter()) > 0:
            progress(1 - left / behaviour.load_s)
            time.sleep(min(left, _NAP_S))
        if behaviour.fail_load:
            raise LoadFailed(behaviour.fail_load)
        try:
            self._anon = bytearray(behaviour.anon)
        except MemoryError:
            raise LoadFailed(f"no {behaviour.anon} bytes of memory") from None
        self._anon[::_PAGE] = bytes([1]) * len(range(0, behaviour.anon, _PAGE))  # now it is real

    def encode(self, messages: Sequence[Message]) -> "array[int]":
        """One token per word; see `Engine`."""
        return array("i", bytes(4 * sum(len(_words(message.content)) for message in messages)))

    def open(self, slot: int, request: Generate) -> None:
        """Empty a slot and choose its answer; see `Engine`."""
        asked = [message.content for message in request.messages if message.role == "user"]
        prompt = len(self.encode(request.messages))
        self._slots[slot] = _Slot(prompt, past=0, answer=_words(asked[-1]) if asked else [])

    def close(self, slot: int) -> None:
        """Forget a slot; see `Engine`."""
        del self._slots[slot]

    def decode(self, batch: Sequence[Run], interrupted: Interrupted | None) -> bool:
        """Take as long as the behaviour says; see `Engine`.

        Raises:
            EdgeRouteError: A run does not go on where its slot ends.
        """
        for run in batch:
            if run.start != self._slots[run.slot].past:
                raise EdgeRouteError(f"slot {run.slot} goes on at {run.start}, out of step")
        ends = time.perf_counter() + self._seconds(batch)
        while (left := ends - time.perf_counter()) > 0:
            if interrupted is not None and interrupted():
                return False
            time.sleep(min(left, _NAP_S))
        for run in batch:
            self._slots[run.slot].past += len(run.tokens)
        return True

    def draw(self, run: Run) -> Token:
        """Take the next word of the answer; see `Engine`."""
        slot = self._slots[run.slot]
        if slot.drawn == self._behaviour.die_at_token:
            os.kill(os.getpid(), signal.SIGKILL)
        piece = slot.answer[slot.drawn].encode() if slot.answer else b""
        slot.drawn += 1
        return Token(slot.drawn, piece, last=slot.drawn >= len(slot.answer))

    def _seconds(self, batch: Sequence[Run]) -> float:
        """Prompts take their time one after the other; streams generate side by side."""
        prompts = [len(run.tokens) for run in batch if run.start < self._slots[run.slot].prompt]
        prefill = _seconds(sum(prompts), self._behaviour.prefill_tok_s)
        step = _seconds(int(len(prompts) < len(batch)), self._behaviour.tok_s)
        return max(prefill, step)


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _seconds(tokens: int, tok_s: float) -> float:
    return tokens / tok_s if tok_s else 0.0
