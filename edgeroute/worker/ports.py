"""The seam inside the worker: what the loop needs of an engine.

Two engines satisfy it: `engine.LlamaEngine` computes, `echo.EchoEngine` pretends.
"""

from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from edgeroute.domain.request import Message
from edgeroute.wire.frames import Generate
from edgeroute.worker.scheduler import Run

Report = Callable[[float], None]
"""Told the share loaded, 0..1, as often as an engine likes; ends the process at EOF."""

Interrupted = Callable[[], bool]
"""Asked in the middle of a decode, as often as an engine likes, whether to give it up."""


class Token(NamedTuple):
    """One drawn token.

    Attributes:
        piece: Its bytes, not always whole UTF-8 characters.
        last: Ends the answer by itself.
    """

    id: int
    piece: bytes
    last: bool


class Engine(Protocol):
    """A loaded model with numbered slots, each holding one sequence.

    Attributes:
        name: Engine and version; what a measured footprint is valid for.
        context: Tokens per slot, prompt and answer.
        gpu_bytes: Bytes held per GPU.
    """

    name: str
    context: int
    gpu_bytes: tuple[int, ...]

    def encode(self, messages: Sequence[Message]) -> "array[int]":
        """Render a conversation and turn it into tokens.

        Raises:
            InvalidRequest: The model's template refuses it, or takes too long.
            ContextExceeded: It is certainly longer than the context.
        """
        ...

    def open(self, slot: int, request: Generate) -> None:
        """Empty a slot and make it ready for a request, whose seed is set.

        Raises:
            InvalidRequest: The sampling parameters cannot be used.
        """
        ...

    def decode(self, batch: Sequence[Run], interrupted: Interrupted | None) -> bool:
        """Bring a batch into the slots.

        Returns:
            Whether it was. `False`: it was interrupted, and the slots are as they were before.

        Raises:
            EdgeRouteError: The slots of this batch are spoilt; others are not.
        """
        ...

    def draw(self, run: Run) -> Token:
        """Draw the token that follows a run of the batch just decoded; the run has `draws`."""
        ...

    def close(self, slot: int) -> None:
        """Release what `open` made for a slot."""
        ...
