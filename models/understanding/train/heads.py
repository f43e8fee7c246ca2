"""What the model is taught to say: the columns of its output, their targets and their losses.

Owns the order of the columns, which `manifest.json` repeats for the reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.features import Subject, Task, Topic
from train.prompts.prompt import Prompt
from train.weights import Array

TASKS: Final = tuple(Task)
SUBJECTS: Final = tuple(Subject)
TOPICS: Final = tuple(Topic)
TASK: Final = slice(0, len(TASKS))
SUBJECT: Final = slice(TASK.stop, TASK.stop + len(SUBJECTS))
YES_NO: Final = slice(SUBJECT.stop, SUBJECT.stop + len(TOPICS) + 3)
"""Topics, needs tools, needs fresh facts, difficulty: a sigmoid each."""
LENGTH: Final = slice(YES_NO.stop, YES_NO.stop + 2)
"""ln(tokens) of the answer: p50 and p90."""
COLUMNS: Final = LENGTH.stop

_QUANTILES = np.array([0.5, 0.9], np.float32)
_USUAL_LENGTH = (4.0, 5.5)
"""ln(tokens) from which the lengths start."""
_HARDEST = 4
_SMOOTHING = 0.1
_SHARES = {"subject": 0.5, "yes_no": 0.2, "length": 0.1}
"""Weight of each loss beside the task's."""


@dataclass(frozen=True)
class Targets:
    """What is known of prompts; NaN and -1 are not known.

    Attributes:
        task: Index, [prompts].
        subject: Index or -1, [prompts].
        yes_no: 0..1 or NaN, [prompts, columns of `YES_NO`].
        length: ln(tokens) or NaN, [prompts].
        weight: Of each prompt, so that tasks count alike; [prompts].
    """

    task: NDArray[np.int64]
    subject: NDArray[np.int64]
    yes_no: Array
    length: Array
    weight: Array

    def take(self, rows: NDArray[np.int64]) -> "Targets":
        """The targets of some prompts."""
        return Targets(
            self.task[rows],
            self.subject[rows],
            self.yes_no[rows],
            self.length[rows],
            self.weight[rows],
        )


def targets(prompts: Sequence[Prompt]) -> Targets:
    """Targets of prompts."""
    task = np.array([TASKS.index(Task(prompt.task)) for prompt in prompts])
    counts = np.bincount(task, minlength=len(TASKS))
    weight = len(task) / np.maximum(counts, 1) / np.count_nonzero(counts)
    return Targets(
        task,
        np.array([SUBJECTS.index(Subject(p.subject)) if p.subject else -1 for p in prompts]),
        np.array([_yes_no(prompt) for prompt in prompts], np.float32),
        np.array([np.log(p.output_tokens) if p.output_tokens else np.nan for p in prompts]),
        np.minimum(weight, 4.0)[task].astype(np.float32),
    )


def _yes_no(prompt: Prompt) -> list[float]:
    known = prompt.topics
    topics = [np.nan if known is None else float(topic in known) for topic in TOPICS]
    others = (prompt.needs_tools, prompt.needs_fresh)
    difficulty = np.nan if prompt.difficulty is None else prompt.difficulty / _HARDEST
    return [*topics, *(np.nan if other is None else float(other) for other in others), difficulty]


def first_bias() -> Array:
    """Biases to start from."""
    bias = np.zeros(COLUMNS, np.float32)
    bias[LENGTH] = _USUAL_LENGTH
    return bias


def gradient(logits: Array, known: Targets) -> Array:
    """Derivative of the mean loss by the logits, [prompts, COLUMNS]."""
    result = np.zeros_like(logits)
    weight = known.weight[:, None]
    rows = np.arange(len(logits))
    wanted = np.full((len(logits), len(TASKS)), _SMOOTHING / len(TASKS), np.float32)
    wanted[rows, known.task] += 1 - _SMOOTHING
    result[:, TASK] = weight * (softmax(logits[:, TASK]) - wanted)
    result[:, SUBJECT] = _SHARES["subject"] * _subject_gradient(logits[:, SUBJECT], known.subject)
    missing = np.isnan(known.yes_no)
    error = sigmoid(logits[:, YES_NO]) - np.where(missing, 0, known.yes_no)
    result[:, YES_NO] = _SHARES["yes_no"] * np.where(missing, 0, error)
    known_length = ~np.isnan(known.length)[:, None]
    above = logits[:, LENGTH] > np.nan_to_num(known.length)[:, None]
    result[:, LENGTH] = _SHARES["length"] * known_length * (above - _QUANTILES)
    return np.asarray(result / len(logits), np.float32)


def _subject_gradient(logits: Array, subject: NDArray[np.int64]) -> Array:
    error = softmax(logits)
    error[np.arange(len(subject)), subject] -= 1
    return np.asarray(np.where((subject >= 0)[:, None], error, 0), np.float32)


def softmax(logits: Array) -> Array:
    """Probabilities along the last axis."""
    grown = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=-1, keepdims=True), np.float32)


def sigmoid(logits: Array) -> Array:
    """Probability of each alone."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def temperature(logits: Array, task: NDArray[np.int64]) -> float:
    """What task logits are divided by for the least log loss, in steps of 5%."""
    rows = np.arange(len(task))
    grid = 1.05 ** np.arange(-20, 30)
    losses = [-np.log(softmax(logits / t)[rows, task] + 1e-9).mean() for t in grid]
    return float(grid[int(np.argmin(losses))])
