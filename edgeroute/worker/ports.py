"""The seam inside the worker: what the loop needs of an engine.

Two engines satisfy it: `engine.LlamaEngine` computes, `echo.EchoEngine` pretends.
"""

from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from edgeroute.domain.errors import EdgeRouteError
from edgeroute.domain.request import Message, TokenLogprob, Toolbox
from edgeroute.domain.tool_markup import ToolMarkup
from edgeroute.wire.frames import Buffers, Generate
from edgeroute.worker.sequence import Run

Report = Callable[[float], None]
"""Told the share loaded, 0..1, as often as an engine likes."""

Interrupted = Callable[[], bool]
"""Asked in the middle of a decode, as often as an engine likes, whether to give it up."""

NO_TOOLS = Toolbox()


class Token(NamedTuple):
    """One drawn token.

    Attributes:
        piece: Its bytes, not always whole UTF-8 characters.
        last: Ends the answer by itself.
        logprob: How probable it was, where that was asked for.
        failure: Why the answer cannot go on: its grammar has no way ahead.
    """

    id: int
    piece: bytes
    last: bool
    logprob: TokenLogprob | None = None
    failure: EdgeRouteError | None = None


class Cells(Protocol):
    """What the slots of a loaded model hold: one cell per decoded token and slot.

    Attributes:
        can_reuse: Slots can be cut back, copied, saved and restored. Where they cannot, a slot is
            only ever emptied.
        can_shift: Cells can be moved to other positions.
    """

    can_reuse: bool
    can_shift: bool

    def trim(self, slot: int, length: int) -> None:
        """Keep the first `length` cells of a slot."""
        ...

    def copy(self, source: int, slot: int, length: int) -> None:
        """Make the first `length` cells of another slot those of this one."""
        ...

    def shift(self, slot: int, start: int, end: int) -> None:
        """Drop the cells from `start` up to `end`, and move the later ones down."""
        ...

    def state_size(self, slot: int) -> int:
        """Bytes that `save` needs; 0 where a slot cannot be saved right now."""
        ...

    def save(self, slot: int, state: memoryview) -> bool:
        """Write the cells of a slot; whether that worked."""
        ...

    def restore(self, slot: int, state: memoryview) -> bool:
        """Replace the cells of a slot by what `save` wrote; otherwise the slot is empty."""
        ...


class Engine(Protocol):
    """A loaded model with numbered slots, each holding one sequence.

    Attributes:
        name: Engine and version; what a measured footprint is valid for.
        context: Tokens per slot, prompt and answer.
        buffers: What it has allocated.
        tool_markup: How the model writes calls of functions; `None` where it does not.
    """

    name: str
    context: int
    buffers: Buffers
    tool_markup: ToolMarkup | None

    @property
    def cells(self) -> Cells:
        """What the slots hold."""
        ...

    def encode(
        self, messages: Sequence[Message], tools: Toolbox = NO_TOOLS, prompt: str | None = None
    ) -> "array[int]":
        """Render a conversation, or take a bare prompt as it is, and turn it into tokens.

        Raises:
            InvalidRequest: The model's template refuses it, or takes too long.
            Unsupported: There are tools, and the model was never taught to call any.
            ContextExceeded: It is certainly longer than the context.
        """
        ...

    def open(self, request: Generate) -> None:
        """Make ready to draw for a request, whose seed is set.

        Raises:
            InvalidRequest: The sampling parameters or the grammar cannot be used.
            Unsupported: It asks for what this model cannot do.
        """
        ...

    def close(self, sequence_id: int) -> None:
        """Release what `open` made; unknown ids are harmless."""
        ...

    def decode(self, batch: Sequence[Run], interrupted: Interrupted | None) -> bool:
        """Bring a batch into the slots.

        Returns:
            Whether it was. `False`: it was interrupted, and the slots are as they were before.

        Raises:
            EdgeRouteError: The slots of this batch are spoilt; others are not.
        """
        ...

    def draw(self, runs: Sequence[Run], skip: int = 0) -> list[Token]:
        """Draw the tokens that follow all runs of the batch just decoded that have `draws`.

        Args:
            runs: In their order.
            skip: Of a run that is alone, how many drafted tokens have proved right.
        """
        ...

    def set_threads(self, few: int, many: int) -> None:
        """Compute with so many threads from now on; see `ThreadCounts`."""
        ...
