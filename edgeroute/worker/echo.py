"""The echo engine: a worker process without a model, for tests and benches.

Answers with the words of the last user message, one token each. Everything around it is real:
process, frames, loop, batching, reuse. What it pretends is in `EchoBehaviour`.
"""

import os
import re
import signal
import time
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from edgeroute.domain.errors import EdgeRouteError, LoadFailed, OutOfMemory, Unsupported
from edgeroute.domain.load import EchoBehaviour, LoadPlan
from edgeroute.domain.request import Message, Toolbox
from edgeroute.domain.tool_markup import ToolMarkup
from edgeroute.wire.frames import Buffers, Generate
from edgeroute.worker.ports import NO_TOOLS, Interrupted, Report, Token
from edgeroute.worker.sequence import Run

_WORD = re.compile(r"\s*\S+")
_PAGE = 4096
_NAP_S = 0.02
"""How long it pretends to compute before it asks whether it is still wanted."""
_LARGEST_TOKEN = 0x7FFFFFFF


class EchoCells:
    """Slots that hold the tokens themselves; a state is their bytes."""

    def __init__(self) -> None:
        self.can_reuse = True
        self.can_shift = True
        self.slots: defaultdict[int, array[int]] = defaultdict(lambda: array("i"))

    def trim(self, slot: int, length: int) -> None:
        """See `ports.Cells`."""
        del self.slots[slot][length:]

    def copy(self, source: int, slot: int, length: int) -> None:
        """See `ports.Cells`."""
        self.slots[slot] = self.slots[source][:length]

    def shift(self, slot: int, start: int, end: int) -> None:
        """See `ports.Cells`."""
        del self.slots[slot][start:end]

    def state_size(self, slot: int) -> int:
        """See `ports.Cells`."""
        return len(self.slots[slot]) * self.slots[slot].itemsize

    def save(self, slot: int, state: memoryview) -> bool:
        """See `ports.Cells`."""
        state[:] = self.slots[slot].tobytes()
        return True

    def restore(self, slot: int, state: memoryview) -> bool:
        """See `ports.Cells`; anything that is not whole tokens is refused."""
        self.slots[slot] = array("i")
        if len(state) % self.slots[slot].itemsize:
            return False
        self.slots[slot].frombytes(state)
        return True


@dataclass(slots=True)
class _Echo:
    """An answer, and how much of it is out; `prompt` is the length of the question."""

    words: list[str]
    prompt: int
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
        self.buffers = Buffers()
        self.tool_markup: ToolMarkup | None = None
        self.cells = EchoCells()
        self._behaviour = behaviour
        self._echoes: dict[int, _Echo] = {}
        ends = time.perf_counter() + behaviour.load_s
        while (left := ends - time.perf_counter()) > 0:
            progress(1 - left / behaviour.load_s)
            time.sleep(min(left, _NAP_S))
        if behaviour.fail_load:
            raise LoadFailed(behaviour.fail_load)
        try:
            self._anon = bytearray(behaviour.anon)
        except MemoryError:
            raise OutOfMemory(f"no {behaviour.anon} bytes of memory") from None
        self._anon[::_PAGE] = bytes([1]) * len(range(0, behaviour.anon, _PAGE))  # now it is real

    def encode(
        self, messages: Sequence[Message], tools: Toolbox = NO_TOOLS, prompt: str | None = None
    ) -> "array[int]":
        """One token per word; see `Engine`."""
        if tools.tools:
            raise Unsupported("the echo engine calls no tools")
        texts = [turn.content for turn in messages] if prompt is None else [prompt]
        return array("i", (_token(word) for text in texts for word in _words(text)))

    def open(self, request: Generate) -> None:
        """Choose an answer; see `Engine`."""
        asked = [message.content for message in request.messages if message.role == "user"]
        if request.prompt is not None:
            asked = [request.prompt]
        prompt = len(self.encode(request.messages, prompt=request.prompt))
        self._echoes[request.id] = _Echo(_words(asked[-1]) if asked else [], prompt)

    def close(self, sequence_id: int) -> None:
        """Forget an answer; see `Engine`."""
        self._echoes.pop(sequence_id, None)

    def decode(self, batch: Sequence[Run], interrupted: Interrupted | None) -> bool:
        """Take as long as the behaviour says; see `Engine`.

        Raises:
            EdgeRouteError: A run does not go on where its slot ends.
        """
        for run in batch:
            if run.start != len(self.cells.slots[run.slot]):
                raise EdgeRouteError(f"slot {run.slot} goes on at {run.start}, out of step")
        ends = time.perf_counter() + self._seconds(batch)
        while (left := ends - time.perf_counter()) > 0:
            if interrupted is not None and interrupted():
                return False
            time.sleep(min(left, _NAP_S))
        for run in batch:
            self.cells.slots[run.slot] += run.tokens
        return True

    def draw(self, runs: Sequence[Run], skip: int = 0) -> list[Token]:
        """Take the next words of the answers; see `Engine`."""
        return [self._draw(self._echoes[run.id]) for run in runs]

    def set_threads(self, few: int, many: int) -> None:
        """Nothing is computed; see `Engine`."""

    def _draw(self, echo: _Echo) -> Token:
        if echo.drawn == self._behaviour.die_at_token:
            os.kill(os.getpid(), signal.SIGKILL)
        word = echo.words[echo.drawn] if echo.words else ""
        echo.drawn += 1
        return Token(_token(word), word.encode(), last=echo.drawn >= len(echo.words))

    def _seconds(self, batch: Sequence[Run]) -> float:
        """Prompts take their time one after the other; streams generate side by side."""
        prompts = [len(run.tokens) for run in batch if run.start < self._echoes[run.id].prompt]
        prefill = _seconds(sum(prompts), self._behaviour.prefill_tok_s)
        step = _seconds(int(len(prompts) < len(batch)), self._behaviour.tok_s)
        return max(prefill, step)


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _token(word: str) -> int:
    return crc32(word.encode(errors="replace")) & _LARGEST_TOKEN


def _seconds(tokens: int, tok_s: float) -> float:
    return tokens / tok_s if tok_s else 0.0
