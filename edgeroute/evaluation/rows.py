"""Rows of a labelled file: one JSON object per line."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from edgeroute.domain.errors import InvalidRequest

Row = TypeVar("Row", bound=msgspec.Struct)


def read_rows(path: Path, row: type[Row]) -> Iterator[Row]:
    """Yield the rows of a JSON Lines file; blank lines are passed over, unknown keys allowed.

    Raises:
        InvalidRequest: A line is not such a row; says which and why.
        OSError: The file cannot be read.
    """
    decoder = msgspec.json.Decoder(row)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise InvalidRequest(f"{path}, line {number}: {error}") from error


def write_rows(path: Path, rows: Iterator[dict[str, object]]) -> None:
    """Write one JSON object per line."""
    with path.open("wb") as lines:
        for row in rows:
            lines.write(msgspec.json.encode(row) + b"\n")
