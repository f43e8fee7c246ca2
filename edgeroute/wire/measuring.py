"""What is said to and by a process that measures or requantises a model file.

Owns the messages, one JSON object per line: orders on its standard input, answers on its standard
output. The end of its input ends the process, whatever it does.
"""

import msgspec
from msgspec import Struct

PROMPT_TOKENS = 64
"""Tokens of each prompt that `MeasureSpeed` has read."""
MOST_SEQUENCES = 8
MOST_TOKENS = 128


class MeasureSpeed(Struct, frozen=True, tag="measure_speed"):
    """Answer so many prompts together; answered by `Speed`.

    Attributes:
        sequences: At most `MOST_SEQUENCES`.
        tokens: To be drawn for each, from 2 up to `MOST_TOKENS`.
    """

    sequences: int
    threads: int
    tokens: int


class Speed(Struct, frozen=True, tag="speed"):
    """How long that took.

    Attributes:
        prefill_s: Until every sequence had its first token.
        decode_s: From there to the last token.
        cpu_s: CPU time of the process, all threads, from begin to end.
        tokens: Drawn by all sequences together.
    """

    prefill_s: float
    decode_s: float
    cpu_s: float
    tokens: int


class Quality(Struct, frozen=True, tag="quality"):
    """What a model says of known text, token by token.

    Attributes:
        surprise: -ln P of each token, given all before it; perplexity is the exponential of
            their mean.
        likeliest: The token that the model would have drawn in its place.
    """

    surprise: tuple[float, ...]
    likeliest: tuple[int, ...]


class Share(Struct, frozen=True, tag="share"):
    """How much of the work is done, 0..1."""

    share: float


class Ready(Struct, frozen=True, tag="ready"):
    """The model is loaded and orders are taken."""


class Requantised(Struct, frozen=True, tag="requantised"):
    """The new file is written; in a dry run it would be.

    Attributes:
        tensor_bytes: Of its weights.
    """

    tensor_bytes: int


class Failed(Struct, frozen=True, tag="failed"):
    """It did not work; nothing follows.

    Attributes:
        no_space: The file system refused to take more bytes.
    """

    message: str
    no_space: bool = False


Said = Share | Ready | Speed | Quality | Requantised | Failed


def encode_line(message: Struct) -> bytes:
    """One message as a line."""
    return msgspec.json.encode(message) + b"\n"


def read_order(line: bytes) -> MeasureSpeed:
    """Read a line of the process's input.

    Raises:
        msgspec.DecodeError: It is no order.
    """
    return msgspec.json.decode(line, type=MeasureSpeed)


def read_said(line: bytes) -> Said:
    """Read a line of its output.

    Raises:
        msgspec.DecodeError: It is no message.
    """
    said: Said = msgspec.json.decode(line, type=Said)
    return said
