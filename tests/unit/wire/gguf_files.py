"""A tiny GGUF writer: whole files of a few hundred bytes, sound or broken on purpose."""

import struct
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeroute.wire.ggml import TENSOR_TYPES
from edgeroute.wire.gguf import GgufHeader, read_header

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_CODES = {U8: "B", I8: "b", U16: "H", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", F64: "d"}
TYPE_NUMBERS = {kind.name: number for number, kind in TENSOR_TYPES.items()}


def string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def value(kind: int, content: float | str) -> bytes:
    if isinstance(content, str):
        return struct.pack("<I", STRING) + string(content)
    return struct.pack(f"<I{_CODES[kind]}", kind, content)


def text(content: str) -> bytes:
    return value(STRING, content)


def u32(content: int) -> bytes:
    return value(U32, content)


def strings(contents: Sequence[str | bytes]) -> bytes:
    return struct.pack("<IIQ", ARRAY, STRING, len(contents)) + b"".join(map(string, contents))


def numbers(kind: int, contents: Sequence[float]) -> bytes:
    head = struct.pack("<IIQ", ARRAY, kind, len(contents))
    return head + struct.pack(f"<{len(contents)}{_CODES[kind]}", *contents)


@dataclass(frozen=True)
class Tensor:
    name: str
    dimensions: tuple[int, ...]
    kind: str = "F32"

    @property
    def size(self) -> int:
        of = TENSOR_TYPES[TYPE_NUMBERS[self.kind]]
        count = 1
        for dimension in self.dimensions:
            count *= dimension
        return count // of.block * of.block_bytes

    def info(self, offset: int) -> bytes:
        n = len(self.dimensions)
        layout = f"<I{n}QIQ"
        return string(self.name) + struct.pack(
            layout, n, *self.dimensions, TYPE_NUMBERS[self.kind], offset
        )


MODEL: Mapping[str, bytes] = {
    "general.architecture": text("llama"),
    "general.name": text("Tiny Llama"),
    "general.file_type": u32(2),
    "llama.block_count": u32(2),
    "llama.context_length": u32(2048),
    "llama.embedding_length": u32(64),
    "llama.attention.head_count": u32(4),
    "llama.attention.head_count_kv": u32(2),
    "tokenizer.ggml.tokens": strings(["<s>", "a", "b", "ab"]),
    "tokenizer.ggml.scores": numbers(F32, [0, 1, 2, 3]),
    "tokenizer.ggml.token_type": numbers(I32, [3, 1, 1, 1]),
    "tokenizer.chat_template": text("{{ messages }}"),
}
TENSORS = (
    Tensor("token_embd.weight", (64, 32), "Q8_0"),
    Tensor("blk.0.attn_q.weight", (64, 64), "Q4_0"),
    Tensor("blk.0.attn_norm.weight", (64,)),
    Tensor("blk.1.attn_q.weight", (64, 64), "Q4_0"),
    Tensor("blk.1.attn_norm.weight", (64,)),
    Tensor("output.weight", (64, 32), "Q4_0"),
)


def gguf(
    metadata: Mapping[str, bytes] = MODEL,
    tensors: Sequence[Tensor] = TENSORS,
    *,
    version: int = 3,
    alignment: int = 32,
) -> bytes:
    """A whole file, its weights all zero."""
    parts = [b"GGUF", struct.pack("<IQQ", version, len(tensors), len(metadata))]
    parts += [string(key) + encoded for key, encoded in metadata.items()]
    offset = 0
    for tensor in tensors:
        parts.append(tensor.info(offset))
        offset += -(-tensor.size // alignment) * alignment
    header = b"".join(parts)
    end = offset - (-tensors[-1].size % alignment) if tensors else 0
    return header.ljust(-(-len(header) // alignment) * alignment, b"\0") + bytes(end)


def with_metadata(**changes: bytes | None) -> dict[str, bytes]:
    """`MODEL` with keys replaced, or left out by `None`; `__` in a name stands for a dot."""
    new = {name.replace("__", "."): encoded for name, encoded in changes.items()}
    merged = {**MODEL, **new}
    return {name: encoded for name, encoded in merged.items() if encoded is not None}


def read(data: bytes) -> GgufHeader:
    """Read a header as from a file."""
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        file.write(data)
        file.flush()
        return read_header(file.name)


def write_gguf(path: Path, name: str = "Tiny Llama") -> Path:
    """Write the sample model under another name of its own."""
    path.write_bytes(gguf(with_metadata(general__name=text(name))))
    return path


def split(path: Path, folder: Path, count: int) -> list[Path]:
    """Cut a file into parts as `llama-gguf-split` does: all metadata in the first, even tensors."""
    header, data = read_header(path), path.read_bytes()
    after_count = 4 + struct.calcsize("<IQQ")
    entries = data[after_count : data.index(string(header.tensors[0].name), after_count)]
    share = -(-len(header.tensors) // count)
    files = []
    for number in range(count):
        own = {
            "split.no": value(U16, number),
            "split.count": value(U16, count),
            "split.tensors.count": value(I32, len(header.tensors)),
        }
        tensors = header.tensors[number * share : (number + 1) * share]
        infos, weights = b"", b""
        for tensor in tensors:
            infos += Tensor(tensor.name, tensor.dimensions, tensor.type.name).info(len(weights))
            start = header.data_offset + tensor.offset
            weights += data[start : start + tensor.size]
            weights += bytes(-len(weights) % 32)
        n_entries = len(own) + (0 if number else len(header.metadata))
        head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), n_entries)
        head += b"" if number else entries
        head += b"".join(string(key) + encoded for key, encoded in own.items()) + infos
        files.append(folder / f"{path.stem}-{number + 1:05}-of-{count:05}.gguf")
        files[-1].write_bytes(head + bytes(-len(head) % 32) + weights)
    return files
