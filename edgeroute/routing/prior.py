"""What to expect of a model's answers when nothing is known of it but its size.

Owns the size prior of P(acceptable). It is a prior and no measurement: what a card says replaces
it, task by task.

Each task has a curve `ceiling / (1 + exp(-slope * (log10(parameters) - midpoint)))`.

- Math, coding, knowledge, reasoning, creative and unknown are laid through the published results
  of models from 135M to 72B parameters in `models/known.toml`, as cards count them (GSM8K,
  HumanEval, MMLU and BBH without what guessing gets right, IFEval). Mean distance of a model from
  its curve: .05 to .09. Coding is held lower under 300M, where nobody publishes a result.
- Tool use passes by BFCL results: .36 at 0.5B, .48 at 1.5B, .67 at 3B, .76 at 8B.
- No benchmark says when small talk, a summary, an edit, an extraction, a label or a translation is
  good enough. Those curves are judgement: they rise early and flatten, since even SmolLM2 135M
  summarises a short text in one sentence, and ROUGE of Llama 3.2 on rewriting is the same at 1B and
  at 3B. Translation rises late: small models speak little but English.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.features import Task


@dataclass(frozen=True, slots=True)
class Curve:
    """P(acceptable) over the size of a model.

    Attributes:
        midpoint: log10 of the parameters at half the ceiling.
        slope: Steepness per factor of ten in size.
        ceiling: What no size exceeds.
    """

    midpoint: float
    slope: float
    ceiling: float


CURVES: dict[Task, Curve] = {
    Task.MATH: Curve(8.9, 3.4, 0.95),
    Task.CODING: Curve(9.0, 2.4, 0.88),
    Task.KNOWLEDGE_QA: Curve(9.3, 1.8, 0.86),
    Task.REASONING: Curve(9.5, 2.6, 0.83),
    Task.CREATIVE: Curve(8.6, 1.4, 0.86),
    Task.TOOL_USE: Curve(9.0, 1.8, 0.88),
    Task.CHIT_CHAT: Curve(6.8, 1.1, 0.85),
    Task.SUMMARISE: Curve(7.0, 1.3, 0.86),
    Task.EXTRACT: Curve(8.3, 1.6, 0.92),
    Task.CLASSIFY: Curve(8.2, 1.4, 0.90),
    Task.REWRITE: Curve(7.7, 1.3, 0.88),
    Task.TRANSLATE: Curve(8.9, 1.8, 0.92),
    Task.UNKNOWN: Curve(8.6, 1.4, 0.86),
}
COLUMN = {task: at for at, task in enumerate(Task)}
"""Where a task stands in every quality matrix."""

_MIDPOINT = np.array([CURVES[task].midpoint for task in COLUMN])
_SLOPE = np.array([CURVES[task].slope for task in COLUMN])
_CEILING = np.array([CURVES[task].ceiling for task in COLUMN])


def quality_by_size(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(acceptable) per model and task, shape (models, tasks) in the order of `COLUMN`.

    Args:
        parameters: Number of weights per model; under one counts as one, so unknown sizes promise
            nothing.
    """
    size = np.log10(np.maximum(parameters, 1.0))[:, None]
    quality: NDArray[np.float64] = _CEILING / (1.0 + np.exp(-_SLOPE * (size - _MIDPOINT)))
    return quality
