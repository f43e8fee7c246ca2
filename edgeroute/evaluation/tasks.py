"""How well tasks are recognised: accuracy by task and source, calibration, time.

Owns the figures. What is timed is all of what the daemon does to understand a request, by the wall
clock.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from edgeroute.domain.features import Task
from edgeroute.domain.request import AUTO, Message, Request
from edgeroute.domain.units import RequestId
from edgeroute.evaluation.rows import latency_us
from edgeroute.ports import Understanding

_BINS = 15
_MIN_ROWS = 30
"""A task with fewer rows has no share in `macro_accuracy`."""


class TaskRow(msgspec.Struct, frozen=True):
    """A prompt, and its task where it is known."""

    id: str | int
    text: str
    task: Task | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was made of a row.

    Attributes:
        probability: Of the predicted task.
        took_us: Microseconds.
    """

    row: TaskRow
    task: Task
    probability: float
    took_us: float

    @property
    def right(self) -> bool:
        """Whether the predicted task is the row's; abstaining is wrong."""
        return self.task is self.row.task


def predict(rows: Iterable[TaskRow], understanding: Understanding) -> list[Prediction]:
    """Understand every row as a request of one message."""
    predictions = []
    for row in rows:
        request = Request(RequestId(str(row.id)), AUTO, (Message("user", row.text),))
        began = time.perf_counter_ns()
        features = understanding.features(request)
        took_us = (time.perf_counter_ns() - began) / 1e3
        predictions.append(Prediction(row, features.task, features.task_probability, took_us))
    return predictions


def out_rows(predictions: Iterable[Prediction]) -> Iterator[dict[str, object]]:
    """One line per row, labelled or not."""
    for made in predictions:
        yield {"id": made.row.id, "task": made.task.value, "p": round(made.probability, 4)}


def report(predictions: Sequence[Prediction]) -> dict[str, object]:
    """Figures over the rows that have a label; the time is over all.

    `macro_accuracy` is the mean over tasks with at least 30 rows, `macro_source` the mean over
    sources, `macro_f1` the mean over the tasks that occur as labels, `ece` the expected
    calibration error over 15 bins of equal count (Guo et al. 2017, arXiv:1706.04599). Without any
    label `n` is 0 and there is nothing but the time.
    """
    labelled = [made for made in predictions if made.row.task is not None]
    latency = {"latency_us": latency_us([made.took_us for made in predictions])}
    if not labelled:
        return {"n": 0, **latency}
    by_task = _accuracies(labelled, lambda made: str(made.row.task))
    by_source = _accuracies(labelled, lambda made: made.row.source or "")
    of_size = [accuracy for n, accuracy in by_task.values() if n >= _MIN_ROWS]
    return {
        "n": len(labelled),
        "accuracy": _round(np.mean([made.right for made in labelled])),
        "macro_accuracy": _round(np.mean(of_size)) if of_size else None,
        "macro_source": _round(np.mean([accuracy for _, accuracy in by_source.values()])),
        "macro_f1": _round(_macro_f1(labelled)),
        "ece": _round(_calibration_error(labelled)),
        "by_task": _table(by_task),
        "by_source": _table(by_source),
        **latency,
    }


_ByName = dict[str, tuple[int, float]]
"""Rows and accuracy per name."""


def _accuracies(labelled: Sequence[Prediction], name: Callable[[Prediction], str]) -> _ByName:
    rights = defaultdict(list)
    for made in labelled:
        rights[name(made)].append(made.right)
    return {key: (len(rights[key]), float(np.mean(rights[key]))) for key in sorted(rights)}


def _macro_f1(labelled: Sequence[Prediction]) -> float:
    scores = []
    for task in {made.row.task for made in labelled}:
        right = sum(made.right for made in labelled if made.task is task)
        predicted = sum(made.task is task for made in labelled)
        actual = sum(made.row.task is task for made in labelled)
        scores.append(2 * right / (predicted + actual))
    return float(np.mean(scores))


def _calibration_error(labelled: Sequence[Prediction]) -> float:
    ordered = sorted(labelled, key=lambda made: made.probability)
    gaps = 0.0
    for chosen in np.array_split(np.arange(len(ordered)), min(_BINS, len(ordered))):
        share = np.mean([ordered[at].right for at in chosen])
        claimed = np.mean([ordered[at].probability for at in chosen])
        gaps += len(chosen) * abs(float(share - claimed))
    return gaps / len(ordered)


def _table(by_name: _ByName) -> dict[str, dict[str, float]]:
    return {name: {"n": n, "accuracy": _round(share)} for name, (n, share) in by_name.items()}


def _round(value: "float | np.floating[Any]") -> float:
    return round(float(value), 4)
