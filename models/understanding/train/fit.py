"""From samples to parameters: epochs and the rate of learning.

Owns the recipe; it is the same for a trial on left-out families and for the model that is kept.
"""

import math

import numpy as np

from train.arrays import Samples
from train.heads import Targets
from train.net import Net, Step

BATCH = 128
_RATE, _WARM_UP, _LAST_RATE = 7e-4, 50, 0.02


def fit(samples: Samples, known: Targets, epochs: int, seed: int) -> Net:
    """Learn from the samples; one core, about 3 s an epoch of 10,000."""
    draws = np.random.default_rng(seed)
    net = Net(samples.fixed.shape[1], draws)
    per_epoch = len(known.task) // BATCH
    last, count = epochs * per_epoch, 0
    for _ in range(epochs):
        order = draws.permutation(len(known.task))
        for at in range(0, per_epoch * BATCH, BATCH):
            rows, count = order[at : at + BATCH], count + 1
            net.learn(samples.take(rows), known.take(rows), Step(_rate(count, last), count))
    return net


def _rate(count: int, last: int) -> float:
    falling = (1 + math.cos(math.pi * count / last)) / 2
    return _RATE * min(1, count / _WARM_UP) * (falling + _LAST_RATE)
