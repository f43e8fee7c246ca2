"""Card files: one model each, in one of three kinds.

`path` makes a linked file's card, `[pypi]` that of a model inside an installed package, `[echo]`
that of a pretended model for tests and benches. Owns what each may hold and what makes a model
unavailable; which folders cards lie in is `listing`'s.
"""

import hashlib
import re
from importlib import metadata
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from edgeroute.catalog.files import stamp_of
from edgeroute.catalog.known import KnownModels
from edgeroute.domain.card import ModelCard, ModelShape, Tuned
from edgeroute.domain.errors import InvalidModelFile, InvalidRequest, NotFound
from edgeroute.domain.features import Task
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.request import AUTO
from edgeroute.domain.units import Bytes, ModelId
from edgeroute.wire.parts import read_model
from edgeroute.wire.shape import shape_of
from edgeroute.wire.toml import TomlFile

_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_ECHO_CONTEXT = 8192
_ECHO_VOCABULARY = 256


class _Card(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every kind of card may say; what it does not say may be known of the model anyway.

    Scores are known of the original formats alone: a tuned file has those on its card, or none.
    """

    family: str = ""
    licence: str = ""
    pinned: bool = False
    scores: dict[Task, Annotated[float, Meta(ge=0, le=1)]] = {}
    scores_source: str = ""
    tuned: Tuned | None = None


class LinkedCard(_Card, frozen=True, kw_only=True):
    """A file where the user has it; `shape` is kept so that start-up reads no headers."""

    path: Annotated[str, Meta(pattern=r"^/[^\x00]*$")]
    sha256: str
    size: int
    mtime_ns: int
    shape: dict[str, str | int | bool]


class _Package(Struct, frozen=True):
    name: str
    version: str
    file: str
    size: int
    sha256: str


class _PackagedCard(_Card, frozen=True, kw_only=True):
    pypi: _Package


class _EchoCard(_Card, frozen=True, kw_only=True):
    echo: EchoBehaviour


def read_card(file: Path, known: KnownModels) -> ModelCard:
    """Read a card; its file name is the model's id.

    Raises:
        InvalidConfig: The card is malformed.
        InvalidRequest: Its name cannot be an id.
        InvalidModelFile: The model's file is gone, has changed, or cannot be served.
        NotFound: The package that brings the model is not installed.
    """
    model = ModelId(file.stem)
    refuse_bad_id(model)
    toml = TomlFile(file)
    if "echo" in toml.table:
        return _echo(model, toml.convert(_EchoCard))
    if "pypi" in toml.table:
        return _packaged(model, toml.convert(_PackagedCard), known)
    return linked(model, toml.convert(LinkedCard), known)


def requirement_of(file: Path) -> str:
    """The package, with its version, that brings the model of a packaged card."""
    package = TomlFile(file).convert(_PackagedCard).pypi
    return f"{package.name}=={package.version}"


def refuse_bad_id(model: ModelId) -> None:
    """Raise `InvalidRequest` for what cannot be a model's id."""
    if not _ID.fullmatch(model) or model == AUTO:
        raise InvalidRequest(
            f"{model!r} cannot be a model's id",
            hint=f"use letters a-z, digits, '.', '_' and '-', and not {AUTO!r}",
        )


def linked(model: ModelId, card: LinkedCard, known: KnownModels) -> ModelCard:
    """The card of a linked file, which must be as it was when it was linked.

    Raises:
        InvalidModelFile: The file is gone or has changed.
    """
    path = Path(card.path)
    again = f"run `edgeroute models link {path} --id {model}` again"
    try:
        stamp = stamp_of(path)
    except InvalidModelFile as error:
        raise InvalidModelFile(error.message, hint=again) from error
    if stamp != (card.size, card.mtime_ns):
        raise InvalidModelFile(f"{path} has changed since it was linked", hint=again)
    return _card(model, path, card.sha256, _kept_shape(card), card, known)


def _kept_shape(card: LinkedCard) -> ModelShape:
    try:
        return msgspec.convert(card.shape, ModelShape)
    except msgspec.ValidationError:  # written by a version that kept other facts
        return shape_of(read_model(card.path))


def _packaged(model: ModelId, card: _PackagedCard, known: KnownModels) -> ModelCard:
    """The card of a file inside an installed package, found without importing the package."""
    package = card.pypi
    install = f"run `edgeroute pull {model}`"
    try:
        path = Path(str(metadata.distribution(package.name).locate_file(package.file)))
    except metadata.PackageNotFoundError as error:
        raise NotFound(f"package {package.name} is not installed", hint=install) from error
    shape = shape_of(read_model(path))
    if shape.file_bytes != package.size:
        raise InvalidModelFile(f"{path} is not the file of version {package.version}", hint=install)
    return _card(model, path, package.sha256, shape, card, known)


def _card(
    model: ModelId, path: Path, sha256: str, shape: ModelShape, card: _Card, known: KnownModels
) -> ModelCard:
    """Join what the card says with what is known of the model; the card's own word is first."""
    found = known.find(shape, path.name)
    rated = card if card.scores or card.tuned else found
    return ModelCard(
        id=model,
        path=str(path),
        sha256=sha256,
        shape=shape,
        family=card.family or found.family,
        licence=card.licence or found.licence,
        scores=rated.scores,
        scores_source=rated.scores_source,
        pinned=card.pinned,
        tuned=card.tuned,
    )


def _echo(model: ModelId, card: _EchoCard) -> ModelCard:
    none = Bytes(0)
    return ModelCard(
        id=model,
        path="",
        sha256=hashlib.sha256(f"echo:{model}".encode()).hexdigest(),
        shape=ModelShape(
            architecture="echo",
            name=model,
            parameters=0,
            file_bytes=none,
            n_layers=1,
            n_embd=0,
            n_vocab=_ECHO_VOCABULARY,
            context_train=_ECHO_CONTEXT,
            block_bytes=none,
            other_bytes=none,
            kv_bytes_per_token=none,
            repack_bytes=none,
            quantisation="none",
            chat_template=True,
            embeds=False,
        ),
        family=card.family or "echo",
        licence=card.licence or "unknown",
        scores=card.scores,
        scores_source=card.scores_source,
        pinned=card.pinned,
        echo=card.echo,
    )
