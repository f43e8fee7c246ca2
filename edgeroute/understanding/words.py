"""The words of a text, parted in one pass: which of a pattern's words it has is then a look-up."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_PARTED: Final = bytes(
    code if chr(code).isalnum() or chr(code) == "_" else ord(" ") for code in range(128)
) + bytes(range(128, 256))


def words(text: str) -> frozenset[bytes] | None:
    r"""What stands between two `\b` of a text in ASCII; `None` where some of it is not."""
    return frozenset(text.encode().translate(_PARTED).split()) if text.isascii() else None


@dataclass(frozen=True, slots=True)
class Said:
    """What a text says, read once for all who look for words in it.

    Attributes:
        source: The text as it was written.
        lower: The same in small letters.
        words: Those of `lower`, as `words` parts them.
    """

    source: str
    lower: str
    words: frozenset[bytes] | None

    @classmethod
    def of(cls, source: str) -> "Said":
        """What a text says, casefolded."""
        lower = source.casefold()
        return cls(source, lower, words(lower))

    def by(self, source: str) -> "Said":
        """The same of another text; nothing is done where it is this one."""
        return self if source == self.source else Said.of(source)


NOTHING: Final = Said.of("")


class Wording:
    """A pattern, and words of which one is in whatever it matches: most texts have none.

    Args:
        pattern: A regular expression for casefolded text.
        needed: Words as `words` parts them.
    """

    def __init__(self, pattern: str, needed: Iterable[str]) -> None:
        self._pattern = re.compile(pattern)
        self._words = frozenset(word.encode() for word in needed)

    def search(self, said: Said) -> re.Match[str] | None:
        """The first match in what is said."""
        if said.words is not None and self._words.isdisjoint(said.words):
            return None
        return self._pattern.search(said.lower)
