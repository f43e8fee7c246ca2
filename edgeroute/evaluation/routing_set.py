"""A set of queries with every model's score, as files that others published.

Owns the format: `queries.jsonl` rows `{id, text}`, `scores.csv` `id,<model>,...` with values 0..1
and blanks for what was not run; optional `cost_usd.csv` of the same shape.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.features import Features
from edgeroute.domain.request import AUTO, Message, Request
from edgeroute.domain.units import RequestId
from edgeroute.evaluation.rows import read_rows
from edgeroute.ports import Reading

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


class QueryRow(msgspec.Struct, frozen=True):
    """A query; whatever else its row says, such as its task, is not read."""

    id: str | int
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class RoutingSet:
    """Queries as the router sees them, and what every model made of each.

    Attributes:
        models: Names, in the order of the columns.
        scores: 0..1, NaN where a model was not run, shape (queries, models).
        cost_usd: Dollars of the same shape, or `None`.
        features: What was predicted of each query.
        vectors: The rest of what was read of it, shape (queries, width).
        texts: The queries, for baselines that read them.
    """

    name: str
    models: tuple[str, ...]
    scores: Floats
    cost_usd: Floats | None
    features: tuple[Features, ...]
    vectors: Floats
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)


def read_set(folder: Path, understanding: Reading, progress: Callable[[float], None]) -> RoutingSet:
    """Read a folder and understand every query of it that some model was run on.

    Raises:
        InvalidRequest: A file is malformed, or queries and scores do not belong together.
        OSError: A file cannot be read.
    """
    queries = list(read_rows(folder / "queries.jsonl", QueryRow))
    if not queries:
        raise InvalidRequest(f"{folder / 'queries.jsonl'} has no rows")
    models, scores = _table(folder / "scores.csv", [str(query.id) for query in queries])
    answered = np.isnan(scores).sum(axis=1) < scores.shape[1]
    queries = [query for query, keep in zip(queries, answered.tolist(), strict=True) if keep]
    ids, scores = [str(query.id) for query in queries], scores[answered]
    within = scores[~np.isnan(scores)]
    if not within.size or within.min() < 0 or within.max() > 1:
        raise InvalidRequest(f"{folder / 'scores.csv'}: scores must be within 0..1, and some given")
    looks = []
    for at, query in enumerate(queries):
        request = Request(RequestId(ids[at]), AUTO, (Message("user", query.text),))
        looks.append(understanding.look(request))
        progress((at + 1) / len(queries))
    return RoutingSet(
        name=folder.resolve().name,
        models=models,
        scores=scores,
        cost_usd=_optional(folder / "cost_usd.csv", ids, models),
        features=tuple(look.features for look in looks),
        vectors=np.array([look.vector for look in looks]),
        texts=tuple(query.text for query in queries),
    )


def _optional(file: Path, ids: Sequence[str], models: tuple[str, ...]) -> Floats | None:
    if not file.exists():
        return None
    names, values = _table(file, ids)
    if names != models:
        raise InvalidRequest(f"{file} has other models than scores.csv")
    return values


def _table(file: Path, ids: Sequence[str]) -> tuple[tuple[str, ...], Floats]:
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.reader(lines)
        head = next(rows, [])
        models = tuple(head[1:])
        if not models or len(set(models)) < len(models):
            raise InvalidRequest(f"{file}: the first line must be id and the models, each once")
        values = {
            row[0]: _numbers(file, at, row, len(head)) for at, row in enumerate(rows, 2) if row
        }
    missing = [name for name in ids if name not in values]
    if missing or len(set(ids)) < len(ids):
        what = f"there is no row {missing[0]!r}" if missing else "ids of queries repeat"
        raise InvalidRequest(f"{file}: {what}")
    return models, np.array([values[name] for name in ids])


def _numbers(file: Path, line: int, row: Sequence[str], width: int) -> list[float]:
    if len(row) != width:
        raise InvalidRequest(f"{file}, line {line}: {len(row)} cells, the first line has {width}")
    try:
        return [float(cell) if cell.strip() else float("nan") for cell in row[1:]]
    except ValueError as error:
        raise InvalidRequest(f"{file}, line {line}: {error}") from error
