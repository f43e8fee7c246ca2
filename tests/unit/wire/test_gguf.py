"""GGUF headers: what is written is read back, and nothing that a file says is believed."""

import os
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.errors import InvalidModelFile
from edgeroute.wire import gguf as reader
from edgeroute.wire.gguf import GgufArray, read_header
from edgeroute.wire.shape import shape_of
from tests.unit.wire.gguf_files import (
    I32,
    MODEL,
    TENSORS,
    gguf,
    read,
    string,
    strings,
    text,
    u32,
    value,
    with_metadata,
)

# ---- structure --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_a_written_header_is_read_back(version: int) -> None:
    header = read(gguf(version=version))
    assert header.version == version
    assert header.metadata["general.name"] == "Tiny Llama"
    assert header.metadata["tokenizer.ggml.tokens"] == GgufArray(reader.STRING, 4)
    assert header.metadata["tokenizer.ggml.scores"] == GgufArray(reader.FLOAT32, 4, (0, 1, 2, 3))
    assert [t.name for t in header.tensors] == [t.name for t in TENSORS]
    assert [t.size for t in header.tensors] == [t.size for t in TENSORS]


def test_every_alignment_that_is_a_power_of_two_is_followed() -> None:
    for alignment in (1, 32, 4096, 1 << 16):
        metadata = with_metadata(general__alignment=u32(alignment))
        header = read(gguf(metadata, alignment=alignment))
        assert header.data_offset % alignment == 0
        assert all(t.offset % alignment == 0 for t in header.tensors)


odd = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"", b"\0", bytes(7), bytes(9), b"\1" + bytes(7), bytes(8) + b"\2", b"x" * 300]
    ),
)


@given(contents=st.lists(odd, max_size=40))
def test_skipping_strings_ends_where_they_end(contents: list[bytes]) -> None:
    header = read(gguf({"words": strings(contents), "after": u32(4711)}, ()))
    assert header.metadata["words"] == GgufArray(reader.STRING, len(contents))
    assert header.metadata["after"] == 4711


def test_skipping_a_vocabulary_over_many_windows_and_reads_ends_where_it_ends() -> None:
    draw = random.Random(7)  # noqa: S311 - repeatable
    lengths = draw.choices(
        [0, 1, 5, 9, 200, 255, 256, 70_000], [1, 50, 900, 900, 9, 5, 3, 1], k=60_000
    )
    contents = [b"\0" * n if draw.random() < 0.001 else draw.randbytes(n) for n in lengths]
    header = read(gguf({"words": strings(contents), "after": u32(4711)}, ()))
    assert header.metadata["after"] == 4711


# ---- refusals ---------------------------------------------------------------------------------


def count(n_tensors: int = 0, n_entries: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_entries)


def one_entry(encoded: bytes, key: bytes = b"key") -> bytes:
    return count(n_entries=1) + string(key) + encoded + bytes(64)


def one_tensor(
    name: str = "t", dimensions: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0
) -> bytes:
    n = len(dimensions)
    info = struct.pack(f"<I{n}QIQ", n, *dimensions, kind, offset)
    return count(n_tensors=1) + string(name) + info + bytes(4096)


HUGE = (1 << 64) - 1
BROKEN = {
    "empty": (b"", "not a GGUF file"),
    "three bytes": (b"GGU", "not a GGUF file"),
    "other magic": (b"GGML" + bytes(64), "not a GGUF file"),
    "version 1": (count(version=1), "version 0x1"),
    "version 4": (count(version=4), "version 0x4"),
    "big endian": (count(version=3 << 24), "version 0x3000000"),
    "cut in the counts": (count()[:10], "incomplete"),
    "tensors without end": (count(n_tensors=HUGE), "tensors, the limit"),
    "entries without end": (count(n_entries=HUGE), "metadata entries, the limit"),
    "43 bytes, endless array": (one_entry(struct.pack("<IIQ", 9, 4, HUGE))[:43], "incomplete"),
    "endless strings": (one_entry(struct.pack("<IIQ", 9, 8, HUGE)), "strings in arrays"),
    "strings past the end": (one_entry(struct.pack("<IIQ", 9, 8, 1000)), "incomplete"),
    "string past the end": (one_entry(struct.pack("<IIQQ", 9, 8, 1, HUGE)), "incomplete"),
    "text without end": (one_entry(struct.pack("<IQ", 8, HUGE)), "the limit is"),
    "key without end": (count(n_entries=1) + struct.pack("<Q", HUGE), "the limit is"),
    "key not UTF-8": (one_entry(u32(1), b"\xff\xfe"), "not UTF-8"),
    "unknown type": (one_entry(struct.pack("<I", 13)), "unknown type 13"),
    "array of arrays": (one_entry(struct.pack("<IIQ", 9, 9, 1)), "array of unknown type 9"),
    "key twice": (
        count(n_entries=2) + 2 * (string("key") + u32(1)),
        "metadata key 'key' is there twice",
    ),
    "alignment 0": (gguf({"general.alignment": u32(0)}), "not a power of two"),
    "alignment 48": (gguf({"general.alignment": u32(48)}), "not a power of two"),
    "alignment 2 GiB": (gguf({"general.alignment": u32(1 << 31)}), "not a power of two"),
    "alignment a text": (gguf({"general.alignment": text("32")}), "not a power of two"),
    "alignment below zero": (gguf({"general.alignment": value(I32, -32)}), "not a power of two"),
    "long tensor name": (one_tensor("n" * 64), "the limit is 63"),
    "five dimensions": (one_tensor(dimensions=(1,) * 5), "5 dimensions"),
    "no elements": (one_tensor(dimensions=(32, 0)), "impossible dimensions"),
    "overflow": (one_tensor(dimensions=(1 << 33, 1 << 33)), "impossible dimensions"),
    "removed tensor type": (one_tensor(kind=4), "unknown type 4"),
    "future tensor type": (one_tensor(kind=43), "unknown type 43"),
    "half a block": (one_tensor(dimensions=(48,), kind=2), "not whole Q4_0 blocks"),
    "tensor elsewhere": (one_tensor(offset=32), "is at offset 32, not at 0"),
    "tensor twice": (gguf(MODEL, (TENSORS[0], TENSORS[0])), "is there twice"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_header_is_refused_in_little_memory(case: str) -> None:
    data, reason = BROKEN[case]
    tracemalloc.start()
    try:
        with pytest.raises(InvalidModelFile, match=".gguf: .*" + reason):
            read(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("missing", [1, 100, 2048])
def test_a_truncated_file_says_how_much_is_missing(missing: int) -> None:
    with pytest.raises(InvalidModelFile, match=f"at least {missing} bytes are missing"):
        read(gguf()[:-missing])


def test_a_file_cut_anywhere_in_its_header_is_refused() -> None:
    data = gguf()
    for length in range(read(data).data_offset):
        with pytest.raises(InvalidModelFile):
            read(data[:length])


def test_a_header_longer_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_HEADER", 512)
    with pytest.raises(InvalidModelFile, match="longer than 512 B"):
        read(gguf())


def named_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


UNREADABLE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (lambda folder: folder / "none.gguf", "No such file"),
    "folder": (lambda folder: folder, "not a regular file"),
    "named pipe": (named_pipe, "not a regular file"),
    "device": (lambda _: Path("/dev/zero"), "not a regular file"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_only_regular_files_are_read(tmp_path: Path, case: str) -> None:
    make, reason = UNREADABLE[case]
    with pytest.raises(InvalidModelFile, match=reason):
        read_header(make(tmp_path))


# ---- mutations --------------------------------------------------------------------------------

EXTREMES = [0, 1, 8, 9, 255, 256, (1 << 31) - 1, 1 << 31, (1 << 63) - 1, 1 << 63, HUGE]


def mutants(data: bytes, header_bytes: int, seed: int) -> Iterator[bytes]:
    """Flipped bytes, extreme numbers, cuts, repeats and swaps, one to four of them at a time."""
    draw = random.Random(seed)  # noqa: S311 - repeatable
    while True:
        mutant = bytearray(data)
        for _ in range(draw.choice([1, 1, 2, 4])):
            at = draw.randrange(4, header_bytes)
            match draw.randrange(6):
                case 0:
                    mutant[at : at + 1] = draw.randbytes(1)
                case 1:
                    mutant[at : at + 8] = struct.pack("<Q", draw.choice(EXTREMES))
                case 2:
                    mutant[at : at + 4] = struct.pack("<I", draw.choice(EXTREMES) & 0xFFFFFFFF)
                case 3:
                    del mutant[at : at + draw.randint(1, 40)]
                case 4:
                    mutant[at:at] = mutant[at - draw.randint(1, 4) : at + draw.randint(0, 60)]
                case _:
                    mutant[at : at + 8] = mutant[4 : 4 + 8]
        yield bytes(mutant)


def survive(path: Path, cases: int, seed: int) -> tuple[int, int]:
    """Read mutants; returns how many were taken and refused. Any other error ends the test."""
    data = gguf()
    header_bytes = read(data).data_offset
    taken = refused = 0
    with path.open("wb", buffering=0) as file:
        for _, mutant in zip(range(cases), mutants(data, header_bytes, seed), strict=False):
            os.pwrite(file.fileno(), mutant, 0)
            file.truncate(len(mutant))
            try:
                shape = shape_of(read_header(path))
            except InvalidModelFile:
                refused += 1
            else:
                taken += 1
                assert 0 < shape.n_layers <= reader.MAX_LAYERS
                assert 0 <= shape.kv_bytes_per_token < 1 << 63
                assert 0 <= shape.repack_bytes <= shape.file_bytes
    return taken, refused


def test_a_mutated_header_is_read_or_refused_in_little_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        taken, refused = survive(tmp_path / "mutant.gguf", 2_000, seed=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert min(taken, refused) > 100
    assert peak < 1 << 20


@pytest.mark.soak
@pytest.mark.skipif("EDGEROUTE_SOAK" not in os.environ, reason="100,000 cases: `make soak`")
def test_every_mutated_header_is_read_or_refused(tmp_path: Path) -> None:
    taken, refused = survive(tmp_path / "mutant.gguf", 100_000, seed=2)
    assert min(taken, refused) > 5_000
