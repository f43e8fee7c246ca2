"""Prompts as arrays: what the graph works out without being taught, and buckets for what it learns.

Owns the hash of ids and pairs of ids into buckets, which the graph repeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeroute.understanding.inputs import HASHED_POOLS, POOLS, position_weights, prepare
from edgeroute.understanding.signs import COUNT
from edgeroute.understanding.tokenizer import Tokenizer
from train.prompts.prompt import Prompt
from train.weights import Array

BUCKETS: Final = 1 << 15
ONE: Final = (40503, 7)
"""An id's bucket is (id * first + second) mod `BUCKETS`: no two ids share one."""
PAIR: Final = (25717, 30011, 11)
"""A pair's bucket is (id * first + next * second + third) mod `BUCKETS`."""


@dataclass(frozen=True)
class Samples:
    """Prompts, ready to learn from.

    Attributes:
        fixed: Pools of table rows, each of length 1, then the signs: [prompts, FIXED] float16.
        buckets: Per prompt: of its ids, then of its pairs of ids.
        weights: Per prompt: of each bucket in each of `inputs.HASHED_POOLS`, [pools, buckets].
    """

    fixed: NDArray[np.float16]
    buckets: Sequence[NDArray[np.int32]]
    weights: Sequence[Array]

    def take(self, rows: NDArray[np.int64]) -> "Samples":
        """Some of the samples."""
        buckets = [self.buckets[row] for row in rows]
        return Samples(self.fixed[rows], buckets, [self.weights[row] for row in rows])


def samples(tokenizer: Tokenizer, table: Array, prompts: Sequence[Prompt]) -> Samples:
    """What the model takes of each prompt; `table` has a row per WordPiece."""
    width = table.shape[1]
    fixed = np.empty((len(prompts), POOLS * width + COUNT), np.float16)
    buckets, weights = [], []
    for row, prompt in zip(fixed, prompts, strict=True):
        inputs = prepare(tokenizer, prompt.text, prompt.context)
        row[:-COUNT] = _of_length_one(inputs.weights @ table[inputs.ids]).ravel()
        row[-COUNT:] = inputs.signs
        asked = np.count_nonzero(inputs.weights[HASHED_POOLS[-1]])
        buckets.append(hashed(inputs.ids[:asked]))
        weights.append(position_weights(asked, 0)[1])
    return Samples(fixed, buckets, weights)


def hashed(ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """Buckets of ids, then of pairs of neighbours."""
    wide = ids.astype(np.int64)
    ones = wide * ONE[0] + ONE[1]
    pairs = wide[:-1] * PAIR[0] + wide[1:] * PAIR[1] + PAIR[2]
    return (np.concatenate([ones, pairs]) % BUCKETS).astype(np.int32)


def _of_length_one(pools: Array) -> Array:
    length = np.linalg.norm(pools, axis=1, keepdims=True)
    return np.asarray(pools / np.where(length > 0, length, 1), np.float32)
