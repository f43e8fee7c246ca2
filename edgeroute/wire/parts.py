"""Models split over several GGUF files, as llama.cpp's `llama-gguf-split` makes and loads them.

Owns the names of the parts and how their headers become one. The first part has all metadata, the
others only say which part they are; the engine is given the first and finds the others by name.
"""

import re
from dataclasses import replace
from pathlib import Path

from edgeroute.domain.errors import InvalidModelFile
from edgeroute.wire.gguf import GgufHeader, read_header

MAX_PARTS = 512
"""DeepSeek-V3 at 16 bits in parts of 4 GB has 336."""
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
_SPLIT = ("split.no", "split.count", "split.tensors.count")


def parts_of(path: Path) -> tuple[Path, ...]:
    """The files of one model, first part first; a whole model is its only part.

    Any part names all of them; none is opened.

    Raises:
        InvalidModelFile: The name announces no parts, or more than `MAX_PARTS`.
    """
    name = _PART.fullmatch(path.name)
    if name is None:
        return (path,)
    count = int(name["count"])
    if not 1 <= count <= MAX_PARTS:
        raise InvalidModelFile(f"{path}: {count} parts, the limit is {MAX_PARTS}")
    return tuple(
        path.with_name(f"{name['stem']}-{number:05}-of-{count:05}.gguf")
        for number in range(1, count + 1)
    )


def stem_of(path: Path) -> str:
    """The name of a model's file without its ending and its part."""
    name = _PART.fullmatch(path.name)
    return path.stem if name is None else name["stem"]


def read_model(path: Path | str) -> GgufHeader:
    """Read the header of a model, all its parts joined: tensors of all, bytes of all.

    Raises:
        InvalidModelFile: As `read_header` for any part; or a part belongs to another model.
    """
    files = parts_of(Path(path))
    headers = [read_header(file) for file in files]
    first = headers[0]
    if "split.count" not in first.metadata and len(files) == 1:
        return first
    for number, header in enumerate(headers):
        _refuse_stranger(header, number, len(files))
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    announced = first.metadata.get("split.tensors.count")
    if announced != len(tensors) or len({tensor.name for tensor in tensors}) != len(tensors):
        raise InvalidModelFile(
            f"{first.path}: its parts have {len(tensors)} tensors, {announced} are announced",
            hint="download all parts again from one place",
        )
    metadata = {key: value for key, value in first.metadata.items() if key not in _SPLIT}
    total = sum(header.file_bytes for header in headers)
    return replace(first, metadata=metadata, tensors=tensors, file_bytes=total)


def _refuse_stranger(header: GgufHeader, number: int, count: int) -> None:
    """Raise where a file is not part `number` (from 0) of `count`."""
    said = header.metadata.get("split.no"), header.metadata.get("split.count")
    if said != (number, count):
        raise InvalidModelFile(
            f"{header.path}: says to be part {said[0]} of {said[1]} (counted from 0),"
            f" its name says {number} of {count}",
            hint="give the parts their names back, NAME-00001-of-0000N.gguf and so on",
        )
