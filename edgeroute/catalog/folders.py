"""Where cards and profiles lie: what comes with EdgeRoute, and what the user adds."""

from pathlib import Path
from typing import Protocol

_PACKAGE = Path(__file__).parent.parent


class Folders(Protocol):
    """The user's folders, as `config` names them."""

    @property
    def config(self) -> Path:
        """Has `profiles/`."""
        ...

    @property
    def data(self) -> Path:
        """Has `models/`, the cards of linked files."""
        ...


def shipped(kind: str) -> Path:
    """The folder `models` or `profiles` that comes with EdgeRoute.

    In a wheel it lies inside the package; an editable install uses the checkout's.
    """
    inside = _PACKAGE / "data" / kind
    return inside if inside.is_dir() else _PACKAGE.parent / kind


def cards_in(folder: Path) -> list[Path]:
    """The TOML files of a folder by name; none where there is no folder."""
    return sorted(folder.glob("*.toml"))
