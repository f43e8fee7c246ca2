"""Well-known models, recognised by header or by name: family, licence and published scores.

Owns how benchmark results become prior scores per task; the results and the mapping themselves
are data (`models/known.toml`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from edgeroute.catalog.folders import shipped
from edgeroute.domain.card import ModelShape
from edgeroute.domain.destination import ModelPrior
from edgeroute.domain.features import Task
from edgeroute.wire.toml import TomlFile

KNOWN = "known.toml"
_SIZE_RATIO = 1.4
"""Files may hold the embeddings twice: Qwen2.5 0.5B has 0.63e9 numbers, 1.28 times its 0.49e9."""
_LEAST_SCORE = 0.01
"""No benchmark shows that a model is never right."""
_BILLIONS = re.compile(r"(?<![a-z0-9.])([0-9]{1,4}(?:\.[0-9]{1,2})?)b(?![a-z0-9])")
"""The size in a name such as `llama3.2-3b` or `mixtral-8x22b-instruct`, whose experts are not
counted."""
_USUAL_AFAR = 70.0
_USUAL_NEAR = 7.0
"""Billions of parameters, where a name tells nothing: a judgement, until outcomes say more."""
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


class _Cloud(Struct, frozen=True):
    names: tuple[str, ...]
    context: Annotated[int, Meta(gt=0)]
    source: str
    benchmarks: dict[str, Percent]


class _File(Struct, frozen=True):
    vendors: tuple[str, ...]
    tasks: dict[Task, tuple[str, ...]]
    guessing: dict[str, Share]
    model: tuple[_Entry, ...]
    cloud: tuple[_Cloud, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What is publicly known of a model.

    Attributes:
        scores: Prior P(acceptable) per task.
        scores_source: Where the benchmark results are from, with a date.
    """

    family: str
    licence: str
    scores: dict[Task, float]
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
        told = [("model", at, entry.benchmarks) for at, entry in enumerate(content.model)]
        told += [("cloud", at, entry.benchmarks) for at, entry in enumerate(content.cloud)]
        for kind, at, benchmarks in told:
            for benchmark in benchmarks.keys() - used:
                raise file.fault((kind, at, "benchmarks", benchmark), "no task uses it")
        self._vendors = content.vendors
        self._named = [(name, prior) for names, prior in _priors(content) for name in names]
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

    def named(self, name: str, *, afar: bool) -> ModelPrior:
        """What is believed of a model that another server calls so.

        Args:
            name: As in its list, with or without a vendor: `Qwen/Qwen2.5-7B-Instruct`,
                `llama3.2:3b`, `gpt-4o-mini-2024-07-18`.
            afar: It is a cloud's. What tells nothing of its size is taken for one of the
                usual size there, and for a small one anywhere else.
        """
        names = self._plain(name.rpartition("/")[2].replace(":", "-"))
        matches = [
            (len(known_name), prior)
            for known_name, prior in self._named
            if any(_begins_with(name, known_name) or name == known_name for name in names)
        ]
        if matches:
            return max(matches, key=lambda match: match[0])[1]
        told = _BILLIONS.search(names[0])
        billions = float(told[1]) if told else _USUAL_AFAR if afar else _USUAL_NEAR
        return ModelPrior(int(billions * 1e9))

    def _plain(self, name: str) -> list[str]:
        """A name as the list writes it, lower case with dashes, with and without its vendor."""
        plain = re.sub(r"[\s_/-]+", "-", name.lower())
        vendors = [vendor for vendor in self._vendors if plain.startswith(f"{vendor}-")]
        return [plain, *(plain.removeprefix(f"{vendor}-") for vendor in vendors)]


def _begins_with(name: str, known_name: str) -> bool:
    rest = name.removeprefix(known_name)
    return rest != name and not rest[:1].isalnum()


def _priors(content: _File) -> Iterator[tuple[tuple[str, ...], ModelPrior]]:
    for model in content.model:
        yield model.names, ModelPrior(int(model.billions * 1e9), _scores(model, content))
    for cloud in content.cloud:
        size = int(_USUAL_AFAR * 1e9)
        yield cloud.names, ModelPrior(size, _scores(cloud, content), cloud.context)


def _scores(entry: _Entry | _Cloud, content: _File) -> dict[Task, float]:
    """The first benchmark of each task that is published, with the share of guesses taken off."""
    scores: dict[Task, float] = {}
    for task, benchmarks in content.tasks.items():
        name = next((name for name in benchmarks if name in entry.benchmarks), None)
        if name is not None:
            guessed = content.guessing.get(name, 0.0)
            right = (entry.benchmarks[name] / 100 - guessed) / (1 - guessed)
            scores[task] = round(max(right, _LEAST_SCORE), 3)
    return scores
