"""Well-known open models, recognised by their header: family, licence and published scores.

Owns how benchmark results become prior scores per task; the results and the mapping themselves
are data (`models/known.toml`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from edgeroute.catalog.folders import shipped
from edgeroute.domain.card import ModelShape
from edgeroute.domain.features import Task
from edgeroute.wire.toml import TomlFile

KNOWN = "known.toml"
_SIZE_RATIO = 1.4
"""Files may hold the embeddings twice: Qwen2.5 0.5B has 0.63e9 numbers, 1.28 times its 0.49e9."""
_LEAST_SCORE = 0.01
"""No benchmark shows that a model is never right."""
Percent = Annotated[float, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(ge=0, lt=1)]


class _Entry(Struct, frozen=True):
    names: tuple[str, ...]
    architecture: str
    billions: Annotated[float, Meta(gt=0)]
    family: str
    licence: str
    source: str
    benchmarks: dict[str, Percent]


class _File(Struct, frozen=True):
    vendors: tuple[str, ...]
    tasks: dict[Task, tuple[str, ...]]
    guessing: dict[str, Share]
    model: tuple[_Entry, ...]


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What is publicly known of a model.

    Attributes:
        scores: Prior P(acceptable) per task.
        scores_source: Where the benchmark results are from, with a date.
    """

    family: str
    licence: str
    scores: Mapping[Task, float]
    scores_source: str


UNKNOWN = KnownModel("unknown", "unknown", {}, "")


class KnownModels:
    """The list of well-known models.

    Raises:
        InvalidConfig: The file is malformed or has a benchmark that no task uses.
    """

    def __init__(self, path: Path) -> None:
        file = TomlFile(path)
        content = file.convert(_File)
        used = {name for names in content.tasks.values() for name in names}
        for at, entry in enumerate(content.model):
            for benchmark in entry.benchmarks.keys() - used:
                raise file.fault(("model", at, "benchmarks", benchmark), "no task uses it")
        self._vendors = content.vendors
        self._models = [
            (entry, KnownModel(entry.family, entry.licence, _scores(entry, content), entry.source))
            for entry in content.model
        ]

    @classmethod
    def shipped(cls) -> "KnownModels":
        """The list that comes with EdgeRoute."""
        return cls(shipped("models") / KNOWN)

    def find(self, shape: ModelShape, file_name: str) -> KnownModel:
        """Recognise a model by its own name or its file's, its architecture and its size.

        Returns:
            The one with the longest name that fits; `UNKNOWN` where none does.
        """
        names = [*self._plain(shape.name), *self._plain(file_name)]
        matches = [
            (len(known_name), model)
            for entry, model in self._models
            if entry.architecture == shape.architecture
            and 1 / _SIZE_RATIO < shape.parameters / (entry.billions * 1e9) < _SIZE_RATIO
            for known_name in entry.names
            if any(_begins_with(name, known_name) for name in names)
        ]
        return max(matches, key=lambda match: match[0], default=(0, UNKNOWN))[1]

    def _plain(self, name: str) -> list[str]:
        """A name as the list writes it, lower case with dashes, with and without its vendor."""
        plain = re.sub(r"[\s_/-]+", "-", name.lower())
        vendors = [vendor for vendor in self._vendors if plain.startswith(f"{vendor}-")]
        return [plain, *(plain.removeprefix(f"{vendor}-") for vendor in vendors)]


def _begins_with(name: str, known_name: str) -> bool:
    rest = name.removeprefix(known_name)
    return rest != name and not rest[:1].isalnum()


def _scores(entry: _Entry, content: _File) -> Mapping[Task, float]:
    """The first benchmark of each task that is published, with the share of guesses taken off."""
    scores: dict[Task, float] = {}
    for task, benchmarks in content.tasks.items():
        name = next((name for name in benchmarks if name in entry.benchmarks), None)
        if name is not None:
            guessed = content.guessing.get(name, 0.0)
            right = (entry.benchmarks[name] / 100 - guessed) / (1 - guessed)
            scores[task] = round(max(right, _LEAST_SCORE), 3)
    return scores
