"""A text as the model takes it: which part is read, its ids, and where in it they stand.

Owns the bound on what is read and the weights of positions. Training and reading share it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeroute.understanding.signs import signs
from edgeroute.understanding.tokenizer import Tokenizer

ENDS: Final = 1600
"""Characters read at either end of a message; an instruction stands at one of them."""
CONTEXT: Final = 200
"""Characters read at either end of what was said before."""
TOKENS: Final = 256
"""Tokens at most at either end; a script of rare letters has more per character than English."""
DECAYS: Final = (6.0, 24.0)
"""Tokens over which attention to the beginning and to the end falls to 1/e."""
POOLS: Final = 2 * len(DECAYS) + 2
"""Beginning and end at every decay, all of the message alike, and what was said before it."""
_NOTHING = [0]
"""What is read where there is nothing: `[PAD]`."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the graph takes.

    Attributes:
        ids: WordPiece ids of the message, then of what was said before it, [tokens].
        weights: Of each position in each pool, [`POOLS`, tokens]; rows sum to 1, or to 0 where
            nothing was said before.
        signs: How the message looks, [`signs.COUNT`].
    """

    ids: NDArray[np.int32]
    weights: NDArray[np.float32]
    signs: NDArray[np.float32]


def prepare(tokenizer: Tokenizer, asked: str, context: str) -> Inputs:
    """The inputs for a message and what was said before it; bounded, whatever the text."""
    asked = ends(asked, ENDS)
    ids = tokenizer.encode(asked) or _NOTHING
    if len(ids) > 2 * TOKENS:
        ids = ids[:TOKENS] + ids[-TOKENS:]
    weights = position_weights(len(ids))
    if context:
        before = tokenizer.encode(ends(context, CONTEXT))[:TOKENS] or _NOTHING
        weights = np.pad(weights, ((0, 0), (0, len(before))))
        weights[-1, len(ids) :] = 1 / len(before)
        ids = ids + before
    return Inputs(np.array(ids, np.int32), weights, np.array(signs(asked), np.float32))


def ends(text: str, size: int) -> str:
    """`size` characters of either end of a text, without the words that this would cut."""
    if len(text) <= 2 * size:
        return text
    head, tail = text[:size], text[-size:]
    return (head.rpartition(" ")[0] or head) + "\n" + (tail.partition(" ")[2] or tail)


@lru_cache(maxsize=128)
def position_weights(length: int) -> NDArray[np.float32]:
    """Weights of a message's positions, [`POOLS`, length]; the last pool has none of them."""
    at = np.arange(length, dtype=np.float32)
    rows = [np.exp(-at / decay) for decay in DECAYS]
    weights = np.stack([*rows, *(row[::-1] for row in rows), np.ones(length)])
    weights /= weights.sum(axis=1, keepdims=True)
    return np.concatenate([weights, np.zeros((1, length))]).astype(np.float32)
