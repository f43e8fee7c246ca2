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
HASHED_POOLS: Final = (1, 3, 4)
"""Of the pools, those of hashed ids and pairs: the broad beginning, the broad end, all alike."""
_NOTHING = [0]
"""What is read where there is nothing: `[PAD]`."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the graph takes.

    Attributes:
        ids: WordPiece ids of the message, then of what was said before it, [tokens].
        weights: Of each position in each pool, [`POOLS`, tokens]; rows sum to 1, or to 0 where
            nothing was said before.
        hashed_weights: Of each position, then of each pair of neighbours, in each of
            `HASHED_POOLS`, [pools, 2 tokens - 1].
        signs: How the message looks, [1, `signs.COUNT`].
    """

    ids: NDArray[np.int32]
    weights: NDArray[np.float32]
    hashed_weights: NDArray[np.float32]
    signs: NDArray[np.float32]

    @property
    def feed(self) -> dict[str, NDArray[np.generic]]:
        """The inputs by the names that they have in the graph."""
        return {
            "ids": self.ids,
            "weights": self.weights,
            "hashed_weights": self.hashed_weights,
            "signs": self.signs,
        }


def prepare(tokenizer: Tokenizer, asked: str, context: str) -> Inputs:
    """The inputs for a message and what was said before it; bounded, whatever the text."""
    asked = ends(asked, ENDS)
    ids = tokenizer.encode(asked) or _NOTHING
    if len(ids) > 2 * TOKENS:
        ids = ids[:TOKENS] + ids[-TOKENS:]
    before = tokenizer.encode(ends(context, CONTEXT))[:TOKENS] or _NOTHING if context else []
    weights, hashed_weights = position_weights(len(ids), len(before))
    figures = np.array([signs(asked)], np.float32)
    return Inputs(np.array(ids + before, np.int32), weights, hashed_weights, figures)


def ends(text: str, size: int) -> str:
    """`size` characters of either end of a text, without the words that this would cut."""
    if len(text) <= 2 * size:
        return text
    head, tail = text[:size], text[-size:]
    return (head.rpartition(" ")[0] or head) + "\n" + (tail.partition(" ")[2] or tail)


@lru_cache(maxsize=128)
def position_weights(asked: int, before: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """`Inputs.weights` and `Inputs.hashed_weights` for so many tokens asked and said before."""
    at = np.arange(asked, dtype=np.float32)
    rows = [np.exp(-at / decay) for decay in DECAYS]
    of_asked = np.stack([*rows, *(row[::-1] for row in rows), np.ones(asked)])
    weights = np.zeros((POOLS, asked + before), np.float32)
    weights[:-1, :asked] = of_asked / of_asked.sum(axis=1, keepdims=True)
    weights[-1, asked:] = 1 / before if before else 0
    of_ids = weights[list(HASHED_POOLS)]
    return weights, np.concatenate([of_ids, of_ids[:, 1:]], axis=1)
