"""The folders that a catalog is read from, in a test's own."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CatalogPlaces:
    """Stands for the user's folders."""

    root: Path

    @property
    def config(self) -> Path:
        """Of profiles."""
        return self.root / "config"

    @property
    def data(self) -> Path:
        """Of models and their cards."""
        return self.root / "data"
