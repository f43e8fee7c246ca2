"""What a GGUF header means for memory and speed: header to `ModelShape`.

Owns the engine's defaults for what a header leaves out, and the refusal of what is sound GGUF but
no model that can be served: adapters, projectors, bare vocabularies.
"""

import platform
import re
import reprlib
from collections import Counter
from collections.abc import Sequence

from edgeroute.domain.card import ModelShape
from edgeroute.domain.errors import InvalidModelFile
from edgeroute.domain.tool_markup import tool_markup
from edgeroute.domain.units import Bytes
from edgeroute.wire.ggml import FILE_TYPES, REPACKED
from edgeroute.wire.gguf import (
    FLOAT32,
    INT32,
    MAX_LAYERS,
    STRING,
    GgufArray,
    GgufHeader,
    TensorInfo,
    Value,
)

_MAX_COUNT = 1 << 24
"""Above any real width, number of heads, context or vocabulary; keeps products small."""
_MAX_NAME = 96
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_BLOCK = re.compile(r"blk\.\d+\.")
_F16_BYTES = 2
_POOLING = (1, 2, 3)
"""llama.cpp's mean, cls and last; 0 pools nothing, and 4 ranks texts instead of placing them."""
_EMBEDDINGS, _OUTPUT = "token_embd.weight", "output.weight"
_PER_TOKEN = {
    "tokenizer.ggml.scores": (FLOAT32, INT32),
    "tokenizer.ggml.token_type": (INT32,),
}


def shape_of(header: GgufHeader, machine: str = platform.machine()) -> ModelShape:
    """Derive what memory and speed depend on.

    Keys and values are counted for every layer at full length: sliding windows, layers that share
    another's cache and recurrent layers take less, which a measured load shows.

    Args:
        header: Of a whole model, see `parts.read_model`.
        machine: Processor family as `platform.machine()` names it: decides what is repacked.

    Raises:
        InvalidModelFile: Not one whole model, or its numbers are missing or impossible.
    """
    facts = _Facts(header)
    facts.refuse_what_cannot_be_served()
    n_layers = facts.count("block_count", least=1, most=MAX_LAYERS)
    n_embd = facts.count("embedding_length", least=1)
    block_bytes = sum(t.size for t in header.tensors if _BLOCK.match(t.name))
    total = sum(t.size for t in header.tensors)
    template = facts.chat_template
    kv = facts.kv_elements(n_layers, n_embd) if facts.generates else 0
    return ModelShape(
        architecture=facts.architecture,
        name=facts.name,
        parameters=sum(t.elements for t in header.tensors),
        file_bytes=Bytes(header.file_bytes),
        n_layers=n_layers,
        n_embd=n_embd,
        n_vocab=facts.vocabulary(),
        context_train=facts.count("context_length", least=1),
        block_bytes=Bytes(block_bytes // n_layers),
        other_bytes=Bytes(total - block_bytes),
        kv_bytes_per_token=Bytes(kv * _F16_BYTES),
        repack_bytes=Bytes(_repacked(header.tensors, machine)),
        quantisation=facts.quantisation(),
        chat_template=template is not None,
        embeds=facts.pools,
        tool_markup=tool_markup(template),
        lookup_bytes=Bytes(_looked_up(header.tensors)),
    )


def _repacked(tensors: Sequence[TensorInfo], machine: str) -> int:
    """Bytes of the matrices that the CPU backend copies into a layout of its own.

    Embeddings are looked up, not multiplied, and stay mapped, unless they are the output too.
    """
    names = {tensor.name for tensor in tensors}
    output = _OUTPUT if _OUTPUT in names else _EMBEDDINGS
    rows = REPACKED.get(machine, {})
    return sum(
        t.size
        for t in tensors
        if (t.name == output or _BLOCK.match(t.name))
        and len(t.dimensions) in (2, 3)  # 3: the matrices of all experts
        and t.type.name in rows
        and t.dimensions[1] % rows[t.type.name] == 0
    )


def _looked_up(tensors: Sequence[TensorInfo]) -> int:
    """Bytes of the embeddings where the output has a matrix of its own."""
    sizes = {tensor.name: tensor.size for tensor in tensors}
    return sizes.get(_EMBEDDINGS, 0) if _OUTPUT in sizes else 0


class _Facts:
    """The header's metadata, asked for by name and checked where it is asked for."""

    def __init__(self, header: GgufHeader) -> None:
        self._header = header
        architecture = header.metadata.get("general.architecture")
        if not isinstance(architecture, str) or not _ARCHITECTURE.fullmatch(architecture):
            raise self._refusal(f"general.architecture is {reprlib.repr(architecture)}, not a name")
        self.architecture = architecture

    def _refusal(self, what: str, hint: str | None = None) -> InvalidModelFile:
        return InvalidModelFile(f"{self._header.path}: {what}", hint=hint)

    @property
    def name(self) -> str:
        """The model's own name, short and printable; empty where it has none."""
        name = self._header.metadata.get("general.name")
        return "".join(filter(str.isprintable, name))[:_MAX_NAME] if isinstance(name, str) else ""

    @property
    def chat_template(self) -> str | None:
        """The model's own, where it has one."""
        template = self._header.metadata.get("tokenizer.chat_template")
        return template if isinstance(template, str) else None

    @property
    def generates(self) -> bool:
        """Whether tokens look back alone, so that keys and values are kept."""
        return self._value("attention.causal") is not False

    @property
    def pools(self) -> bool:
        """Whether the model makes one vector of a text: the mean, the first or the last token's."""
        return self._value("pooling_type") in _POOLING

    def refuse_what_cannot_be_served(self) -> None:
        """Raise for sound files that are not one whole language model."""
        if not self._header.tensors:
            raise self._refusal("has no tensors: a vocabulary, not a model")
        kind = self._header.metadata.get("general.type", "model")
        if kind != "model" or self.architecture == "clip":
            part = f"{reprlib.repr(kind)}, {self.architecture}"
            raise self._refusal(f"a part of a model ({part}), not a whole")

    def count(self, key: str, *, least: int, most: int = _MAX_COUNT) -> int:
        """An integer that every architecture has."""
        return self._checked(key, self._value(key), least, most)

    def kv_elements(self, n_layers: int, n_embd: int) -> int:
        """Numbers cached per token: a key and a value of each KV head of each layer."""
        heads = self._per_layer("attention.head_count", [0] * n_layers)
        kv_heads = self._per_layer("attention.head_count_kv", heads)
        even = n_embd // max(heads) if any(heads) else 0  # 0: no layer attends
        key = self._optional("attention.key_length", even)
        value = self._optional("attention.value_length", even)
        return sum(kv_heads) * (key + value)

    def vocabulary(self) -> int:
        """Number of tokens, checked as the engine's own reading of these arrays needs it."""
        tokens = self._header.metadata.get("tokenizer.ggml.tokens")
        if not isinstance(tokens, GgufArray) or tokens.element != STRING or tokens.count == 0:
            raise self._refusal("tokenizer.ggml.tokens is not a list of strings")
        for key, elements in _PER_TOKEN.items():
            array = self._header.metadata.get(key)
            if array is None:
                continue
            if not isinstance(array, GgufArray) or array.element not in elements:
                raise self._refusal(f"{key} is not an array of the type that the engine reads")
            if array.count < tokens.count:
                raise self._refusal(f"{key} has {array.count} values for {tokens.count} tokens")
        return tokens.count

    def quantisation(self) -> str:
        """The file's mixture, or the type of most of its bytes where it names none."""
        number = self._header.metadata.get("general.file_type")
        if isinstance(number, int) and number in FILE_TYPES:
            return FILE_TYPES[number]
        sizes: Counter[str] = Counter()
        for tensor in self._header.tensors:
            sizes[tensor.type.name] += tensor.size
        return sizes.most_common(1)[0][0]

    def _value(self, key: str) -> Value | None:
        return self._header.metadata.get(f"{self.architecture}.{key}")

    def _checked(self, key: str, value: Value | None, least: int, most: int) -> int:
        if type(value) is not int or not least <= value <= most:
            shown = "missing" if value is None else reprlib.repr(value)
            raise self._refusal(
                f"{self.architecture}.{key} is {shown}, not a whole number from {least} to {most}"
            )
        return value

    def _optional(self, key: str, default: int) -> int:
        value = self._value(key)
        return default if value is None else self._checked(key, value, 0, _MAX_COUNT)

    def _per_layer(self, key: str, default: Sequence[int]) -> Sequence[int]:
        """An integer for each layer, written once or as an array; `default` is one per layer."""
        value, n_layers = self._value(key), len(default)
        if value is None:
            return default
        if not isinstance(value, GgufArray):
            return [self._checked(key, value, 0, _MAX_COUNT)] * n_layers
        if len(value.values) < n_layers:
            raise self._refusal(
                f"{self.architecture}.{key} has {value.count} values for {n_layers} layers"
            )
        return [self._checked(key, each, 0, _MAX_COUNT) for each in value.values[:n_layers]]
