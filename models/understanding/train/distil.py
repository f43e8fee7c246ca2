"""The token table: what MiniLM makes of every WordPiece alone, in fewer dimensions and bytes.

Owns the recipe (model2vec's: every piece between [CLS] and [SEP], mean of the states, PCA) and the
rounding to int8 rows.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from train import minilm
from train.graph import Rounded
from train.weights import Array, Tensors

PIECES: Final = 30_522
_BATCH = 512
_NOTHING = 0


def piece_states(tensors: Tensors, pieces: NDArray[np.int64]) -> Array:
    """MiniLM's mean state of each piece alone, [pieces, 384]."""
    rows = np.empty((len(pieces), 3), np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = minilm.CLS, pieces, minilm.SEP
    batches = range(0, len(rows), _BATCH)
    return np.concatenate([minilm.mean_states(tensors, rows[at : at + _BATCH]) for at in batches])


def components(states: Array, dimensions: int) -> tuple[Array, Array]:
    """Mean [384] and principal axes [dimensions, 384], each with its largest entry positive."""
    mean = states.mean(axis=0, dtype=np.float64)
    centred = states - mean
    _, vectors = np.linalg.eigh(centred.T @ centred / len(states))
    axes = vectors[:, ::-1][:, :dimensions].T
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(dimensions), largest])[:, None]
    return mean.astype(np.float32), axes.astype(np.float32)


def table(states: Array, dimensions: int) -> Rounded:
    """The table of the graph; what stands for nothing, `[PAD]`, is 0."""
    mean, axes = components(states, dimensions)
    rows = np.asarray((states - mean) @ axes.T, np.float32)
    rows[_NOTHING] = 0
    return rounded(rows)


def rounded(values: Array) -> Rounded:
    """Rows of int8, each as fine as its largest value allows."""
    scales = (np.maximum(np.abs(values).max(axis=1), 1e-12) / 127).astype(np.float32)
    return Rounded(np.rint(values / scales[:, None]).astype(np.int8), scales)
