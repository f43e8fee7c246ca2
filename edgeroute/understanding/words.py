"""The words of a text, parted in one pass: which of a pattern's words it has is then a look-up."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

_PARTED: Final = bytes(
    code if chr(code).isalnum() or chr(code) == "_" else ord(" ") for code in range(128)
) + bytes(range(128, 256))


def words(text: str) -> list[bytes] | None:
    r"""What stands between two `\b` of a text in ASCII; `None` where some of it is not."""
    return text.encode().translate(_PARTED).split() if text.isascii() else None


class Wording:
    """A pattern, and words of which one is in whatever it matches: most texts have none.

    Args:
        pattern: A regular expression for casefolded text.
        needed: Words as `words` parts them.
    """

    def __init__(self, pattern: str, needed: Iterable[str]) -> None:
        self._pattern = re.compile(pattern)
        self._words = frozenset(word.encode() for word in needed)

    def search(self, text: str, parted: Sequence[bytes] | None) -> re.Match[str] | None:
        """The first match in a text with these words; `None` are words that nobody knows."""
        if parted is not None and self._words.isdisjoint(parted):
            return None
        return self._pattern.search(text)
