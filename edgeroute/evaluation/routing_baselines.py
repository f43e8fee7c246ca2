"""What a router is held against: tables, neighbours, a regression on words, length alone.

Owns the baselines. Each takes labelled rows and gives a predicted score per query and model.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgeroute.evaluation.routing_set import Floats, RoutingSet, Rows

_WORD = re.compile(r"\b\w+\b")
_WORDS = 8192
_RIDGES = (3.0, 10.0, 30.0, 100.0)
_NEIGHBOURS = 40
_TABLE_STRENGTH = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Baselines:
    """The baselines of one set; what does not depend on labels is worked out once."""

    of: RoutingSet
    words: NDArray[np.float32]
    tasks: NDArray[np.intp]
    directions: NDArray[np.float32]

    @classmethod
    def build(cls, of: RoutingSet) -> "Baselines":
        """Read the words of every query."""
        names = [features.task.value for features in of.features]
        vectors = of.vectors / np.linalg.norm(of.vectors, axis=1, keepdims=True)
        return cls(
            of, tf_idf(of.texts), np.unique(names, return_inverse=True)[1], vectors.astype("f4")
        )

    def all(self) -> dict[str, Callable[[Rows, Rows], Floats]]:
        """By name; each predicts the second rows from the scores of the first."""
        return {"task_table": self.task_table, "knn": self.knn, "ridge": self.ridge}

    def means(self, seen: Rows) -> Floats:
        """Mean score per model; where a model was not run, the mean of all."""
        return column_means(self.of.scores[seen])

    def task_table(self, seen: Rows, asked: Rows) -> Floats:
        """Means per predicted task, shrunk to the model's own."""
        scores, means = self.of.scores[seen], self.means(seen)
        tasks = self.tasks.max() + 1
        total, count = np.zeros((2, tasks, len(means)))
        np.add.at(total, self.tasks[seen], np.nan_to_num(scores))
        np.add.at(count, self.tasks[seen], ~np.isnan(scores))
        table = (total + _TABLE_STRENGTH * means) / (count + _TABLE_STRENGTH)
        picked: Floats = table[self.tasks[asked]]
        return picked

    def knn(self, seen: Rows, asked: Rows) -> Floats:
        """The mean of the nearest labelled queries."""
        k = min(_NEIGHBOURS, len(seen))
        alike = self.directions[asked] @ self.directions[seen].T
        nearest = np.argpartition(-alike, k - 1, axis=1)[:, :k]
        filled = _filled(self.of.scores[seen], self.means(seen))
        predicted: Floats = filled[nearest].mean(axis=1)
        return predicted

    def ridge(self, seen: Rows, asked: Rows) -> Floats:
        """Ridge regression on TF-IDF; its strength is the best by leaving one out."""
        scores, means = self.of.scores[seen], self.means(seen)
        return ridge(self.words[seen], _filled(scores, means), self.words[asked])

    def length(self, seen: Rows, asked: Rows) -> Floats:
        """Ridge regression on the logarithm of the prompt's length alone."""
        log = np.log1p([len(text) for text in self.of.texts])[:, None].astype("f4")
        scores, means = self.of.scores[seen], self.means(seen)
        return ridge(log[seen], _filled(scores, means), log[asked])


def tf_idf(texts: Sequence[str]) -> NDArray[np.float32]:
    """Words and pairs of them, the most frequent ones, each text of length 1."""
    counts = []
    seen_in: Counter[str] = Counter()
    for text in texts:
        words = _WORD.findall(text.lower())
        count = Counter(words)
        count.update(map(" ".join, pairwise(words)))
        counts.append(count)
        seen_in.update(count.keys())
    columns = {word: at for at, (word, _) in enumerate(seen_in.most_common(_WORDS))}
    rare = {word: np.log((1 + len(texts)) / (1 + seen_in[word])) + 1 for word in columns}
    values = np.zeros((len(texts), len(columns)), dtype=np.float32)
    for row, count in enumerate(counts):
        for word, n in count.items():
            if word in columns:
                values[row, columns[word]] = (1 + np.log(n)) * rare[word]
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values /= np.maximum(length, np.float32(1e-9))
    return values


def ridge(seen: NDArray[np.float32], scores: Floats, asked: NDArray[np.float32]) -> Floats:
    """Ridge regression in its dual form, with the strength that leaving one out finds best."""
    centre = seen.mean(axis=0)
    rows, mean = seen - centre, scores.mean(axis=0)
    values, basis = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    rotated = basis.T @ (scores - mean)
    best, solution = np.inf, np.zeros_like(scores)
    for strength in _RIDGES:
        shrunk = 1.0 / (np.maximum(values, 0.0) + strength)
        dual = basis @ (shrunk[:, None] * rotated)
        left_out = dual / np.einsum("ij,j,ij->i", basis, shrunk, basis)[:, None]
        if (left_out**2).sum() < best:
            best, solution = float((left_out**2).sum()), dual
    weights = rows.T @ solution.astype(np.float32)
    predicted: Floats = (asked - centre) @ weights + mean
    return predicted


def column_means(scores: Floats) -> Floats:
    """Means of what was run; where a model was not, the mean of all."""
    count = (~np.isnan(scores)).sum(axis=0)
    total = np.nan_to_num(scores).sum(axis=0)
    everything = total.sum() / max(1, count.sum())
    means: Floats = np.where(count > 0, total / np.maximum(count, 1), everything)
    return means


def _filled(scores: Floats, means: Floats) -> Floats:
    return np.where(np.isnan(scores), means, scores)
