"""A model's file in another format, kept as a model of its own.

Owns the folder of such files and the order in which one comes to be: all work is done on unfinished
files, which nobody sees and the next run removes; then the file gets its name, which none had
before; then its card is written, in one step. Whatever ends it in between, the model is there
whole, or as it was before.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from edgeroute.catalog.cards import LinkedCard, linked
from edgeroute.catalog.files import hash_model, stamp_of
from edgeroute.catalog.folders import Folders, shipped
from edgeroute.catalog.known import KnownModels
from edgeroute.catalog.linking import card_file_of, replace_card
from edgeroute.domain.card import ModelCard, Tuned
from edgeroute.domain.errors import EdgeRouteError, InvalidConfig, InvalidRequest
from edgeroute.domain.units import ModelId
from edgeroute.wire.parts import read_model
from edgeroute.wire.shape import shape_of
from edgeroute.wire.toml import TomlFile


class AlreadyTuning(EdgeRouteError):
    """Another process tunes a model of this user."""

    code = "already_tuning"
    http_status = 503


@contextmanager
def unfinished_files(folders: Folders) -> Iterator[Path]:
    """A folder for unfinished files, on the file system of the finished ones, ours alone.

    What is left in it is removed at the end, or, where this process was killed, by the next.

    Raises:
        AlreadyTuning: Another process has it.
        InvalidConfig: It cannot be made.
    """
    folder = _folder(folders) / "unfinished"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidConfig(f"{folder} cannot be made: {error.strerror}") from error
    try:
        _lock(lock, folder)
        _empty(folder)
        try:
            yield folder
        finally:
            _empty(folder)
    finally:
        os.close(lock)


def tuned_id(parent: ModelCard, format_: str) -> ModelId:
    """The id of a model's file in another format."""
    return ModelId(f"{parent.id}-{format_.lower()}")


def provenance(folders: Folders, model: ModelId) -> Tuned | None:
    """How a model's file was made of another; `None` where it was not made here.

    Raises:
        InvalidConfig: Its card is malformed.
    """
    card_file = card_file_of(folders, model)
    card = TomlFile(card_file) if card_file.exists() else None
    return card.convert(LinkedCard).tuned if card and "tuned" in card.table else None


def refuse_taken(folders: Folders, parent: ModelCard, format_: str) -> None:
    """Raise `InvalidRequest` where the new model's id is one that was not made of `parent`."""
    model = tuned_id(parent, format_)
    card_file = card_file_of(folders, model)
    if not card_file.exists() and not (shipped("models") / card_file.name).exists():
        return
    before = provenance(folders, model)
    if before is None or before.parent != parent.id:
        raise InvalidRequest(
            f"the id {model!r} is taken by another model",
            hint=f"run `edgeroute models unlink {model}` first, or leave {format_} out",
        )


def keep_tuned(
    folders: Folders, parent: ModelCard, file: Path, tuned: Tuned, *, inherit_scores: bool
) -> ModelCard:
    """Make an unfinished file a model; one that was made of `parent` before is replaced.

    Args:
        folders: The user's folders.
        parent: What it was made of.
        file: Moved from where it is.
        tuned: For the card.
        inherit_scores: The loss is too small to matter; otherwise it has no scores at all.

    Raises:
        InvalidModelFile: The file cannot be served.
        InvalidConfig: File or card cannot be put in place.
    """
    model = tuned_id(parent, tuned.format)
    loss = f"{tuned.perplexity_change_pct:+.2f} % perplexity"
    shape = shape_of(read_model(file))
    stamp = stamp_of(file)
    path = _folder(folders) / f"{model}-{uuid.uuid4().hex[:8]}.gguf"
    card = LinkedCard(
        path=str(path),
        sha256=hash_model(file),
        size=stamp.size,
        mtime_ns=stamp.mtime_ns,
        shape=asdict(shape),
        family=parent.family,
        licence=parent.licence,
        scores=dict(parent.scores) if inherit_scores else {},
        scores_source=f"{parent.scores_source}; of {parent.id}, {loss}"
        if inherit_scores
        else f"none: {loss} against {parent.id}, whose scores do not hold for it",
        tuned=tuned,
    )
    card_file = card_file_of(folders, model)
    older = TomlFile(card_file).convert(LinkedCard).path if card_file.exists() else None
    try:
        file.rename(path)
    except OSError as error:
        raise InvalidConfig(f"{path} cannot be made: {error.strerror}") from error
    try:
        replace_card(card_file, card)
    except EdgeRouteError:
        path.unlink()
        raise
    if older is not None:
        Path(older).unlink(missing_ok=True)  # ours, see `refuse_taken`
    return linked(model, card, KnownModels.shipped())


def _folder(folders: Folders) -> Path:
    return folders.data / "tuned"


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyTuning(
            f"another `edgeroute models tune` works in {folder}", hint="wait until it is done"
        ) from None


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
