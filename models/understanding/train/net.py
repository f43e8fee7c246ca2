"""The taught part in numpy: hashed buckets and a hidden layer over what is fixed.

Owns the parameters, their derivatives and the optimiser (Adam with decoupled decay: Loshchilov and
Hutter 2019; rows of buckets move only when they were used).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeroute.understanding.inputs import HASHED_POOLS, POOLS
from edgeroute.understanding.signs import COUNT
from train import heads
from train.arrays import BUCKETS, Samples
from train.heads import Targets
from train.weights import Array

BUCKET_WIDTH: Final = 64
HIDDEN: Final = 192
OF_TASK: Final = 128
"""Hidden units of the task's own; the other heads share the rest, and neither bends the other's."""
_GAIN = 4.0
"""Buckets are learned at this scale, so that Adam's steps move them as far as the rest."""
_KEEP_HIDDEN, _KEEP_POOL, _KEEP_SIGN, _KEEP_BUCKET = 0.7, 0.7, 0.8, 0.5
_DECAY = 0.01
_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8


def _connected() -> Array:
    """1 where a hidden unit bears on a column of the output, else 0."""
    connected = np.zeros((HIDDEN, heads.COLUMNS), np.float32)
    connected[:OF_TASK, heads.TASK] = 1
    connected[OF_TASK:, heads.TASK.stop :] = 1
    return connected


_CONNECTED = _connected()


@dataclass(frozen=True)
class Step:
    """One step of the optimiser: how far, and the count of it from 1."""

    rate: float
    count: int


class Net:
    """Parameters by name: `buckets`, `hidden`, `hidden_bias`, `output`, `output_bias`."""

    def __init__(self, fixed: int, draws: np.random.Generator) -> None:
        """Parameters to begin with, for `fixed` columns of `Samples.fixed`."""
        self._draws = draws
        self._fixed = fixed
        width = fixed + len(HASHED_POOLS) * BUCKET_WIDTH
        self.parameters: dict[str, Array] = {
            "buckets": _normal(draws, (BUCKETS, BUCKET_WIDTH), 0.01),
            "hidden": _normal(draws, (width, HIDDEN), 0.09),
            "hidden_bias": np.zeros(HIDDEN, np.float32),
            "output": _normal(draws, (HIDDEN, heads.COLUMNS), OF_TASK**-0.5) * _CONNECTED,
            "output_bias": heads.first_bias(),
        }
        self._momentum = {name: np.zeros_like(v) for name, v in self.parameters.items()}
        self._square = {name: np.zeros_like(v) for name, v in self.parameters.items()}
        self._square["buckets"] = np.zeros((BUCKETS, 1), np.float32)

    def logits(self, samples: Samples) -> Array:
        """Output before its activations, [samples, heads.COLUMNS]."""
        taken = self._inputs(samples)
        hidden = np.maximum(taken @ self.parameters["hidden"] + self.parameters["hidden_bias"], 0)
        return np.asarray(hidden @ self.parameters["output"] + self.parameters["output_bias"])

    def learn(self, samples: Samples, known: Targets, step: Step) -> None:
        """Move every parameter once along these samples, with parts of them left out."""
        samples = self._thinned(samples)
        kept = self._kept_inputs(len(known.task))
        taken = self._inputs(samples) * kept
        before = taken @ self.parameters["hidden"] + self.parameters["hidden_bias"]
        kept_hidden = self._mask(before.shape, _KEEP_HIDDEN) * (before > 0)
        hidden = before * kept_hidden
        logits = hidden @ self.parameters["output"] + self.parameters["output_bias"]
        error = heads.gradient(_single(logits), known)
        back = (error @ self.parameters["output"].T) * kept_hidden
        hashed = self._fixed
        to_buckets = _single(
            (back @ self.parameters["hidden"][hashed:].T) * kept[:, hashed:] * _GAIN
        )
        self._move("output", _single(hidden.T @ error) * _CONNECTED, step, _DECAY)
        self._move("output_bias", _single(error.sum(axis=0)), step)
        self._move("hidden", _single(taken.T @ back), step, _DECAY)
        self._move("hidden_bias", _single(back.sum(axis=0)), step)
        self._move_buckets(samples, to_buckets, step)

    def _inputs(self, samples: Samples) -> Array:
        rows = self.parameters["buckets"][np.concatenate(samples.buckets)]
        weights = np.concatenate(samples.weights, axis=1)
        starts = np.cumsum([0, *(len(buckets) for buckets in samples.buckets[:-1])])
        pools = [np.add.reduceat(rows * weight[:, None], starts) for weight in weights]
        return np.concatenate(
            [samples.fixed.astype(np.float32), *(pool * _GAIN for pool in pools)], axis=1
        )

    def _thinned(self, samples: Samples) -> Samples:
        """The samples without some of their buckets, so that no wording is learned by heart."""
        buckets, weights = [], []
        for all_buckets, all_weights in zip(samples.buckets, samples.weights, strict=True):
            kept = self._draws.random(len(all_buckets)) < _KEEP_BUCKET
            kept[0] = True
            buckets.append(all_buckets[kept])
            weights.append(all_weights[:, kept] / np.float32(_KEEP_BUCKET))
        return Samples(samples.fixed, buckets, weights)

    def _kept_inputs(self, count: int) -> Array:
        """0 or a little over 1 for every input: whole pools and single signs are left out."""
        pools = self._mask((count, POOLS), _KEEP_POOL)
        signs = self._mask((count, COUNT), _KEEP_SIGN)
        hashed = self._mask((count, len(HASHED_POOLS)), _KEEP_POOL)
        width = (self._fixed - COUNT) // POOLS
        parts = [pools.repeat(width, axis=1), signs, hashed.repeat(BUCKET_WIDTH, axis=1)]
        return np.concatenate(parts, axis=1)

    def _mask(self, shape: tuple[int, ...], keep: float) -> Array:
        return _single((self._draws.random(shape, np.float32) < keep) / np.float32(keep))

    def _move(self, name: str, gradient: Array, step: Step, decay: float = 0.0) -> None:
        value = self.parameters[name]
        momentum, square = self._momentum[name], self._square[name]
        momentum += (1 - _FIRST) * (gradient - momentum)
        square += (1 - _SECOND) * (gradient * gradient - square)
        size = np.sqrt(square / (1 - _SECOND**step.count)) + _TINY
        value -= step.rate * (momentum / (1 - _FIRST**step.count) / size + decay * value)

    def _move_buckets(self, samples: Samples, gradient: Array, step: Step) -> None:
        used, summed = _summed(samples, gradient)
        momentum = self._momentum["buckets"][used]
        square = self._square["buckets"][used]
        momentum += (1 - _FIRST) * (summed - momentum)
        square += (1 - _SECOND) * ((summed * summed).mean(axis=1, keepdims=True) - square)
        self._momentum["buckets"][used], self._square["buckets"][used] = momentum, square
        size = np.sqrt(square / (1 - _SECOND**step.count)) + _TINY
        self.parameters["buckets"][used] -= step.rate * momentum / size


def _summed(samples: Samples, gradient: Array) -> tuple[NDArray[np.int32], Array]:
    """The buckets that were used, and the derivative of the loss by each."""
    buckets = np.concatenate(samples.buckets)
    weights = np.concatenate(samples.weights, axis=1)
    owner = np.repeat(np.arange(len(gradient)), [len(b) for b in samples.buckets])
    pools = gradient.reshape(len(gradient), len(HASHED_POOLS), BUCKET_WIDTH)[owner]
    each = np.einsum("pn,npd->nd", weights, pools)
    order = np.argsort(buckets, kind="stable")
    used, starts = np.unique(buckets[order], return_index=True)
    return used, np.add.reduceat(each[order], starts)


def _single(values: NDArray[np.floating]) -> Array:
    return np.asarray(values, np.float32)


def _normal(draws: np.random.Generator, shape: tuple[int, int], scale: float) -> Array:
    return draws.standard_normal(shape, np.float32) * np.float32(scale)


def scaled_buckets(parameters: Mapping[str, Array]) -> Array:
    """The rows of buckets as the hidden layer takes them."""
    return parameters["buckets"] * np.float32(_GAIN)
