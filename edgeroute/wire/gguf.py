"""GGUF headers: the bytes before the weights, read without trusting one of them.

Owns the only reader of model files outside the worker; what a header means for memory and speed is
`shape`'s. Reads with `pread` (a mapped file that is cut short kills its reader), keeps no token
list and no weights. Every count, length and offset is checked against the file before it is used,
so a hostile file costs at most `MAX_HEADER` bytes and one pass over them.
"""

import os
import reprlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np

from edgeroute.domain.errors import InvalidModelFile
from edgeroute.domain.units import KIB, MIB, format_bytes
from edgeroute.wire.ggml import TENSOR_TYPES, TensorType

MAX_HEADER = 64 * MIB
"""The longest known, of vocabularies with 262,144 tokens and their merges, are about 16 MiB."""
MAX_ENTRIES = 8192
MAX_TENSORS = 16384
MAX_STRINGS = 1 << 20
"""Strings in all arrays together, tokens and merges; Gemma 4 has 777,000."""
MAX_KEY = 256
MAX_TEXT = 4 * MIB
MAX_TENSOR_NAME = 63
MAX_ALIGNMENT = 1 << 16
MAX_DIMENSIONS = 4
MAX_LAYERS = 512
"""`LLAMA_MAX_LAYERS`: the engine's per-layer arrays have this size (llama.cpp 25821)."""
_MAX_ELEMENTS = (1 << 63) - 1
_FIRST_READ = 2 * MIB
_WINDOW = 64 * KIB
"""Bytes looked through at once; its temporaries stay in a core's cache."""

_U32, _U64 = Struct("<I"), Struct("<Q")
_TENSOR = [Struct(f"<{n}QIQ") for n in range(MAX_DIMENSIONS + 1)]
"""Dimensions, type and offset, by number of dimensions."""
STRING, ARRAY = 8, 9
INT32, FLOAT32 = 5, 6
_SCALARS = {
    kind: Struct(f"<{code}")
    for kind, code in {
        0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
    }.items()
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GgufArray:
    """An array of the header.

    Attributes:
        element: GGUF type number of its elements.
        values: The elements of a numeric array of at most `MAX_LAYERS`; others are skipped.
    """

    element: int
    count: int
    values: tuple[int | float, ...] = ()


Value = int | float | str | GgufArray


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where one tensor lies; `offset` counts from the start of the data."""

    name: str
    type: TensorType
    dimensions: tuple[int, ...]
    offset: int

    @property
    def elements(self) -> int:
        """Numbers in the tensor."""
        return prod(self.dimensions)

    @property
    def size(self) -> int:
        """Bytes in the file; rows are whole blocks."""
        return self.elements // self.type.block * self.type.block_bytes


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """A header whose structure is sound and whose tensors lie inside the file."""

    path: str
    version: int
    metadata: Mapping[str, Value]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    file_bytes: int


def read_header(path: Path | str) -> GgufHeader:
    """Read the header of a GGUF file, version 2 or 3, little endian.

    Raises:
        InvalidModelFile: Not a regular file, not GGUF, malformed, or shorter than its tensors.
    """
    try:
        # Without O_NONBLOCK a named pipe would hold the caller until someone writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidModelFile(f"{path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidModelFile(f"{path}: not a regular file")
        return _header(_Cursor(descriptor, str(path), status.st_size))
    except OSError as error:
        raise InvalidModelFile(f"{path}: {error.strerror}") from error
    finally:
        os.close(descriptor)


class _Cursor:
    """A position in the header; reads ahead in growing steps, never beyond file or `MAX_HEADER`."""

    def __init__(self, descriptor: int, path: str, size: int) -> None:
        self._descriptor = descriptor
        self._data = b""
        self._strings = 0
        self.path = path
        self.size = size
        self.position = 0

    def refusal(self, what: str, hint: str | None = None) -> InvalidModelFile:
        return InvalidModelFile(f"{self.path}: {what}", hint=hint)

    def need(self, count: int) -> None:
        """Make the next `count` bytes readable."""
        end = self.position + count
        if end <= len(self._data):
            return
        if end > self.size:
            raise _truncated(self.path, end - self.size)
        if end > MAX_HEADER:
            raise self.refusal(f"the header is longer than {format_bytes(MAX_HEADER)}")
        ahead = max(end, _FIRST_READ, 4 * len(self._data))
        self._data = os.pread(self._descriptor, min(ahead, self.size, MAX_HEADER), 0)
        if end > len(self._data):
            raise self.refusal("the file became shorter while it was read")

    def bytes(self, count: int) -> bytes:
        self.need(count)
        self.position += count
        return self._data[self.position - count : self.position]

    def numbers(self, layout: Struct) -> tuple[Any, ...]:
        self.need(layout.size)
        self.position += layout.size
        return layout.unpack_from(self._data, self.position - layout.size)

    def integer(self, layout: Struct) -> int:
        (value,) = self.numbers(layout)
        return int(value)

    def count(self, layout: Struct, limit: int, what: str) -> int:
        """Read a count, refusing one above `limit`."""
        value = self.integer(layout)
        if value > limit:
            raise self.refusal(f"{value} {what}, the limit is {limit}")
        return value

    def text(self, limit: int, what: str) -> str:
        """Read a string, refusing one longer than `limit` bytes or not UTF-8."""
        raw = self.bytes(self.count(_U64, limit, f"bytes of {what}"))
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise self.refusal(f"{what} is not UTF-8: {raw[:40]!r}") from error

    def skip_strings(self, count: int) -> None:
        """Go past `count` strings without making any: a vocabulary has 300,000 of them."""
        self._strings += count
        if self._strings > MAX_STRINGS:
            raise self.refusal(f"{self._strings} strings in arrays, the limit is {MAX_STRINGS}")
        while count:
            self.need(_U64.size)
            end = min(len(self._data), self.position + _WINDOW)
            count -= self._leap(end, count)
            count -= self._walk(end, count)
        self.need(0)

    def _leap(self, end: int, count: int) -> int:
        """Skip short strings up to `end` at once; returns how many, 0 where it cannot tell.

        The length of a string under 256 bytes is one byte and seven zeros, so lengths are where
        seven zeros follow a byte; those that are reached from one another by their own values are
        certain, whatever the strings hold. Takes a fifth of the time of walking.
        """
        raw = np.frombuffer(self._data, np.uint8, end - self.position, self.position)
        zero = raw == 0
        two = zero[:-1] & zero[1:]
        four = two[:-2] & two[2:]
        seven = four[:-3] & four[3:]
        lengths = np.flatnonzero(seven[1:])
        if lengths.size == 0 or lengths[0] != 0:
            return 0
        chained = lengths[1:] == lengths[:-1] + _U64.size + raw[lengths[:-1]]
        certain = int(chained.size if chained.all() else chained.argmin())
        skipped = min(certain, count)
        self.position += int(lengths[skipped])
        return skipped

    def _walk(self, end: int, count: int) -> int:
        """Skip strings one by one up to `end`; returns how many."""
        position, left = self.position, count
        while left and position < end and position + _U64.size <= len(self._data):
            position += _U64.size + _U64.unpack_from(self._data, position)[0]
            left -= 1
        self.position = position
        return count - left


def _truncated(path: str, missing: int) -> InvalidModelFile:
    return InvalidModelFile(
        f"{path}: the file is incomplete, at least {missing} bytes are missing",
        hint="copy or download the whole file again",
    )


def _header(cursor: _Cursor) -> GgufHeader:
    if cursor.size < len(b"GGUF") or cursor.bytes(4) != b"GGUF":
        raise cursor.refusal("not a GGUF file")
    version = cursor.integer(_U32)
    if version not in (2, 3):
        raise cursor.refusal(
            f"GGUF version {version:#x}; little-endian versions 2 and 3 can be read",
            hint="convert the model again with a current llama.cpp",
        )
    n_tensors = cursor.count(_U64, MAX_TENSORS, "tensors")
    n_entries = cursor.count(_U64, MAX_ENTRIES, "metadata entries")
    metadata = _metadata(cursor, n_entries)
    alignment = _alignment(cursor, metadata.get("general.alignment", 32))
    tensors = _tensors(cursor, n_tensors, alignment)
    data_offset = _padded(cursor.position, alignment)
    if tensors:
        missing = data_offset + tensors[-1].offset + tensors[-1].size - cursor.size
        if missing > 0:
            raise _truncated(cursor.path, missing)
    return GgufHeader(cursor.path, version, metadata, tensors, data_offset, cursor.size)


def _metadata(cursor: _Cursor, n_entries: int) -> Mapping[str, Value]:
    metadata: dict[str, Value] = {}
    for _ in range(n_entries):
        key = cursor.text(MAX_KEY, "a metadata key")
        if key in metadata:
            raise cursor.refusal(f"metadata key {key!r} is there twice")
        metadata[key] = _value(cursor, key)
    return metadata


def _value(cursor: _Cursor, key: str) -> Value:
    kind = cursor.integer(_U32)
    if kind == STRING:
        return cursor.text(MAX_TEXT, f"the text of {key!r}")
    if kind == ARRAY:
        return _array(cursor, key)
    if kind in _SCALARS:
        value: Value = cursor.numbers(_SCALARS[kind])[0]
        return value
    raise cursor.refusal(f"metadata key {key!r} is of unknown type {kind}")


def _array(cursor: _Cursor, key: str) -> GgufArray:
    element, count = cursor.integer(_U32), cursor.integer(_U64)
    if element == STRING:
        cursor.skip_strings(count)
        return GgufArray(element, count)
    if element not in _SCALARS:  # arrays of arrays too: the engine knows none
        raise cursor.refusal(f"metadata key {key!r} is an array of unknown type {element}")
    layout = _SCALARS[element]
    raw = cursor.bytes(count * layout.size)
    kept = raw if count <= MAX_LAYERS else b""
    return GgufArray(element, count, tuple(number for (number,) in layout.iter_unpack(kept)))


def _alignment(cursor: _Cursor, value: Value) -> int:
    if not isinstance(value, int) or not 0 < value <= MAX_ALIGNMENT or value & (value - 1):
        shown = reprlib.repr(value)  # short, whatever the file says
        raise cursor.refusal(f"alignment {shown} is not a power of two up to {MAX_ALIGNMENT}")
    return value


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _tensors(cursor: _Cursor, n_tensors: int, alignment: int) -> tuple[TensorInfo, ...]:
    tensors: dict[str, TensorInfo] = {}
    expected = 0
    for _ in range(n_tensors):
        tensor = _tensor(cursor)
        if tensor.name in tensors:
            raise cursor.refusal(f"tensor {tensor.name!r} is there twice")
        if tensor.offset != expected:  # the engine takes no gaps and no overlaps either
            raise cursor.refusal(
                f"tensor {tensor.name!r} is at offset {tensor.offset}, not at {expected}"
            )
        tensors[tensor.name] = tensor
        expected = _padded(expected + tensor.size, alignment)
    return tuple(tensors.values())


def _tensor(cursor: _Cursor) -> TensorInfo:
    name = cursor.text(MAX_TENSOR_NAME, "a tensor's name")
    n_dimensions = cursor.count(_U32, MAX_DIMENSIONS, f"dimensions of tensor {name!r}")
    *dimensions, kind, offset = cursor.numbers(_TENSOR[n_dimensions])
    if not 0 < prod(dimensions) <= _MAX_ELEMENTS:
        raise cursor.refusal(f"tensor {name!r} has impossible dimensions {dimensions}")
    if kind not in TENSOR_TYPES:
        raise cursor.refusal(f"tensor {name!r} is of unknown type {kind}")
    tensor = TensorInfo(name, TENSOR_TYPES[kind], tuple(dimensions), offset)
    row = dimensions[0] if dimensions else 1
    if row % tensor.type.block:
        raise cursor.refusal(
            f"tensor {name!r} has rows of {row}, not whole {tensor.type.name} blocks"
            f" of {tensor.type.block}"
        )
    return tensor
