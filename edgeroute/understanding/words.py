"""The words of a text, parted in one pass: which of a pattern's words it has is then a look-up."""

from typing import Final

_PARTED: Final = bytes(
    code if chr(code).isalnum() or chr(code) == "_" else ord(" ") for code in range(128)
) + bytes(range(128, 256))


def words(text: str) -> list[bytes] | None:
    r"""What stands between two `\b` of a text in ASCII; `None` where some of it is not."""
    return text.encode().translate(_PARTED).split() if text.isascii() else None
