"""What the features that queries are read by are worth on CLINC150.

The linear head is taught on the set's own training split, on what the model's hidden layer takes;
it is for `bench/understanding.py` alone.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgeroute.understanding.encoder import FEATURES, GRAPH
from edgeroute.understanding.inputs import HASHED_POOLS, prepare
from edgeroute.understanding.signs import COUNT
from edgeroute.understanding.tokenizer import Tokenizer

MODEL = Path(__file__).parent.parent / "models" / "understanding"
sys.path.insert(0, str(MODEL))
from train.arrays import BUCKETS, hashed  # noqa: E402 - training lies outside the package
from train.net import BUCKET_WIDTH  # noqa: E402

RATE, BUCKET_RATE, BATCH, EPOCHS = 0.01, 0.03, 256, 15


@dataclass
class Taken:
    """What the encoder takes of texts: the hidden layer's inputs and the hashed buckets in use."""

    dense: NDArray[np.float32]
    buckets: list[NDArray[np.int32]]

    def scores(self, rows: NDArray[np.int64], head: Head) -> NDArray[np.float32]:
        """A linear head's scores of some texts, [rows, labels]."""
        scores = self.dense[rows] @ head.dense
        for at, row in enumerate(rows):
            scores[at] += head.buckets[self.buckets[row]].sum(axis=0)
        return scores


@dataclass
class Head:
    """Weights per column of `Taken.dense` and per bucket, [.., labels]."""

    dense: NDArray[np.float32]
    buckets: NDArray[np.float32]


def taken(tokenizer: Tokenizer, rows: list[dict[str, str]]) -> Taken:
    """What the encoder takes of rows' texts."""
    session = onnxruntime.InferenceSession(str(MODEL / GRAPH))
    dense, buckets = [], []
    for row in rows:
        inputs = prepare(tokenizer, row["text"], "")
        dense.append(np.append(session.run([FEATURES], inputs.feed)[0][0], np.float32(1)))
        buckets.append(hashed(inputs.ids))
    return Taken(np.stack(dense), buckets)


def clinc(file: Path, tokenizer: Tokenizer) -> dict[str, float]:
    """Accuracy on CLINC150's in-scope test split of linear heads on what the encoder takes."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    names = sorted({row["intent"] for row in rows if row["split"] == "train"} - {"oos"})
    parts = {}
    for split in ("train", "test"):
        kept = [row for row in rows if row["split"] == split and row["intent"] in names]
        label = np.array([names.index(row["intent"]) for row in kept])
        parts[split] = taken(tokenizer, kept), label
    (taught, label), (tested, wanted) = parts["train"], parts["test"]
    scale = block_scale(taught.dense)
    taught.dense *= scale
    tested.dense *= scale
    result = {"n": float(len(wanted))}
    for name, rate in (("pooled", 0.0), ("pooled_and_buckets", BUCKET_RATE)):
        head = linear_head(taught, label, rate)
        right = tested.scores(np.arange(len(wanted)), head).argmax(axis=1) == wanted
        result[name] = float(right.mean())
    return result


def block_scale(dense: NDArray[np.float32]) -> NDArray[np.float32]:
    """What brings pools, signs and buckets to one size; the size was chosen on validation."""
    signs_end = dense.shape[1] - 1 - len(HASHED_POOLS) * BUCKET_WIDTH
    blocks = np.split(dense[:, :-1], (signs_end - COUNT, signs_end), axis=1)
    scales = [np.full(b.shape[1], 0.25 / np.sqrt(np.square(b).mean())) for b in blocks]
    return np.append(np.concatenate(scales), 1).astype(np.float32)


def linear_head(taught: Taken, label: NDArray[np.int64], bucket_rate: float) -> Head:
    """Softmax regression: Adam, and Adagrad for buckets, which stay 0 at a rate of 0."""
    draws = np.random.default_rng(0)
    labels = int(label.max()) + 1
    head = Head(
        np.zeros((taught.dense.shape[1], labels), np.float32),
        np.zeros((BUCKETS, labels), np.float32),
    )
    momentum, square = np.zeros_like(head.dense), np.zeros_like(head.dense)
    used = np.full((BUCKETS, 1), 1e-6, np.float32)
    steps = EPOCHS * (len(label) // BATCH)
    for step in range(1, steps + 1):
        rows = draws.integers(len(label), size=BATCH)
        scores = taught.scores(rows, head)
        error = np.exp(scores - scores.max(axis=1, keepdims=True))
        error /= error.sum(axis=1, keepdims=True)
        error[np.arange(BATCH), label[rows]] -= 1
        gradient = taught.dense[rows].T @ error / BATCH
        momentum += 0.1 * (gradient - momentum)
        square += 0.001 * (gradient**2 - square)
        size = np.sqrt(square / (1 - 0.999**step)) + 1e-8
        rate = 1 - step / steps
        head.dense -= RATE * rate * (momentum / (1 - 0.9**step) / size)
        if bucket_rate:
            for row, wrong in zip(rows, error, strict=True):
                at = taught.buckets[row]
                used[at] += np.square(wrong).mean()
                head.buckets[at] -= bucket_rate * rate * wrong / np.sqrt(used[at])
    return head
