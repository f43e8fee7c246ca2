"""Rows of a labelled file, one JSON object per line, and how long one took."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

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


def latency_us(took_us: Sequence[float]) -> dict[str, float | None]:
    """The median and the 99th percentile of microseconds; `None` where nothing was timed."""
    if not took_us:
        return {"p50": None, "p99": None}
    p50, p99 = np.percentile(took_us, (50, 99))
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1)}
