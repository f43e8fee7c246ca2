"""What decoding raises for bytes that are not what they should be, whoever sent them."""

from typing import Final

import msgspec

UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Not of the format or the type; a string that is not UTF-8; nested without end."""
