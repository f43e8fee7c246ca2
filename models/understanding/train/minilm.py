"""MiniLM-L6 in numpy: batches of equally long rows of ids to hidden states.

Owns the forward pass (BERT: Devlin et al. 2018; the weights: sentence-transformers
all-MiniLM-L6-v2).
"""

import math

import numpy as np
from numpy.typing import NDArray

from train.weights import Array, Tensors

_LAYERS, _HEADS, _WIDTH = 6, 12, 384
_EPSILON = 1e-12
CLS, SEP = 101, 102


def mean_states(tensors: Tensors, ids: NDArray[np.int64]) -> Array:
    """Mean of the last hidden states, [rows, 384], for ids [rows, length] without padding."""
    length = ids.shape[1]
    hidden = tensors["embeddings.word_embeddings.weight"][ids]
    hidden = hidden + tensors["embeddings.position_embeddings.weight"][:length]
    hidden = hidden + tensors["embeddings.token_type_embeddings.weight"][0]
    hidden = _normalised(tensors, "embeddings.LayerNorm", hidden)
    for layer in range(_LAYERS):
        hidden = _layer(tensors, f"encoder.layer.{layer}.", hidden)
    return np.asarray(hidden.mean(axis=1), np.float32)


def _layer(tensors: Tensors, name: str, hidden: Array) -> Array:
    attended = _dense(tensors, name + "attention.output.dense", _attend(tensors, name, hidden))
    hidden = _normalised(tensors, name + "attention.output.LayerNorm", hidden + attended)
    wide = _gelu(_dense(tensors, name + "intermediate.dense", hidden))
    wide = _dense(tensors, name + "output.dense", wide)
    return _normalised(tensors, name + "output.LayerNorm", hidden + wide)


def _attend(tensors: Tensors, name: str, hidden: Array) -> Array:
    rows, length, _ = hidden.shape
    query, key, value = (
        _dense(tensors, f"{name}attention.self.{part}", hidden)
        .reshape(rows, length, _HEADS, -1)
        .transpose(0, 2, 1, 3)
        for part in ("query", "key", "value")
    )
    scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(_WIDTH / _HEADS)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.asarray((weights @ value).transpose(0, 2, 1, 3).reshape(rows, length, _WIDTH))


def _dense(tensors: Tensors, name: str, hidden: Array) -> Array:
    return np.asarray(hidden @ tensors[name + ".weight"].T + tensors[name + ".bias"])


def _normalised(tensors: Tensors, name: str, hidden: Array) -> Array:
    centred = hidden - hidden.mean(axis=-1, keepdims=True)
    scale = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + _EPSILON)
    return np.asarray(centred / scale * tensors[name + ".weight"] + tensors[name + ".bias"])


_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


def _gelu(values: Array) -> Array:
    """Gaussian error linear unit; erf by Abramowitz and Stegun 7.1.26, within 1.5e-7."""
    size = np.abs(values) / np.float32(math.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * size)
    series = t * np.polyval(np.asarray(_ERF[::-1], np.float32), t)
    erf = np.sign(values) * (1 - series * np.exp(-size * size))
    return np.asarray(values * (1 + erf) / 2, np.float32)
