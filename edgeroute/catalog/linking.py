"""Making a GGUF file known: its header checked, its hash taken, its card written.

Owns the choice of an id and the atomic write; the file itself is neither copied nor touched.
"""

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import msgspec

from edgeroute.catalog.cards import LinkedCard, linked, refuse_bad_id
from edgeroute.catalog.files import hash_model, stamp_of
from edgeroute.catalog.folders import Folders, shipped
from edgeroute.catalog.known import KnownModels
from edgeroute.domain.card import ModelCard
from edgeroute.domain.errors import InvalidConfig, InvalidModelFile, InvalidRequest, UnknownModel
from edgeroute.domain.units import ModelId
from edgeroute.wire.copying import CardFacts
from edgeroute.wire.parts import parts_of, read_model, stem_of
from edgeroute.wire.shape import shape_of
from edgeroute.wire.toml import TomlFile, replace_file, write


def link_model(
    folders: Folders,
    path: Path,
    name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    sha256: str | None = None,
    said: CardFacts = CardFacts(),  # noqa: B008 - frozen
) -> ModelCard:
    """Make a GGUF file known; linking it again refreshes its card and keeps what it says.

    Args:
        folders: The user's folders.
        path: The file, any part where it is split; it stays where it is.
        name: The id to use; without one it comes from the file's name.
        progress: Called with the bytes hashed so far and in all.
        sha256: The file's hash, where whoever put it there has checked it.
        said: What is known of it besides; a card that is there already knows better.

    Raises:
        InvalidModelFile: The file cannot be served, or changed while it was read.
        InvalidRequest: The id is another model's, or cannot be one.
        InvalidConfig: The card that is there is malformed, or a new one cannot be written.
    """
    path = parts_of(path.absolute())[0]
    before = stamp_of(path)
    shape = shape_of(read_model(path))
    model = ModelId(id_of(stem_of(path)) or id_of(shape.name) if name is None else name)
    card_file = card_file_of(folders, model)
    card = msgspec.structs.replace(
        _card_before(card_file, path, said),
        sha256=sha256 or hash_model(path, progress),
        size=before.size,
        mtime_ns=before.mtime_ns,
        shape={name: fact for name, fact in asdict(shape).items() if fact is not None},
    )
    answer = linked(model, card, KnownModels.shipped())  # refuses a file that changed meanwhile
    replace_card(card_file, card)
    return answer


def unlink_model(folders: Folders, model: str) -> None:
    """Forget a linked model; its file stays.

    Raises:
        UnknownModel: No linked model has this id.
        InvalidRequest: It cannot be an id.
        InvalidConfig: Its card cannot be removed.
    """
    try:
        card_file_of(folders, ModelId(model)).unlink()
    except FileNotFoundError as error:
        raise UnknownModel(
            f"no linked model {model!r}", hint="`edgeroute models` lists all models"
        ) from error
    except OSError as error:
        raise InvalidConfig(f"{error.filename}: {error.strerror}") from error


def card_file_of(folders: Folders, model: ModelId) -> Path:
    """Where the card of a model of the user's lies; refuses what cannot be an id."""
    refuse_bad_id(model)
    return folders.data / "models" / f"{model}.toml"


def id_of(name: str) -> str:
    """A name as an id: lower case, dashes for what ids may not have; empty if nothing is left."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("._-")


def _card_before(card_file: Path, path: Path, said: CardFacts) -> LinkedCard:
    """The card that this file has under this id, or a new one; refuses another model's."""
    model = card_file.stem
    if (shipped("models") / card_file.name).exists():
        raise InvalidRequest(
            f"the id {model!r} is taken by a model that comes with EdgeRoute",
            hint="give another with --id",
        )
    if not card_file.exists():
        return LinkedCard(
            path=str(path), sha256="", size=0, mtime_ns=0, shape={},
            family=said.family, licence=said.licence, scores=said.scores,
            scores_source=said.scores_source, tuned=said.tuned,
        )  # fmt: skip
    file = TomlFile(card_file)
    other = file.table.get("path", "a model without a file")
    if other != str(path):
        raise InvalidRequest(
            f"the id {model!r} is taken by {other}",
            hint=f"give another with --id, or run `edgeroute models unlink {model}` first",
        )
    return file.convert(LinkedCard)


def replace_card(card_file: Path, card: LinkedCard) -> None:
    """Write a card in one step, so that no reader ever finds half of it.

    Raises:
        InvalidModelFile: The path of its model is not UTF-8.
        InvalidConfig: It cannot be written.
    """
    try:
        text = write(msgspec.to_builtins(card))
    except UnicodeEncodeError as error:
        raise InvalidModelFile(
            f"{card.path!r} is not UTF-8, which a card must be", hint="rename the file"
        ) from error
    replace_file(card_file, text)
