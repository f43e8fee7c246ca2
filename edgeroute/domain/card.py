"""What is known of a model before it has run here.

Owns the card (identity, size, prior scores) and the shape that a GGUF header tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeroute.domain.capability import Capability
from edgeroute.domain.features import Task
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.tool_markup import ToolMarkup
from edgeroute.domain.units import Bytes, ModelId


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What a GGUF header says, as far as memory and speed depend on it.

    Attributes:
        block_bytes: Bytes of one repeating layer's tensors, the mean over layers.
        other_bytes: Bytes of the tensors outside the layers (embeddings, output).
        kv_bytes_per_token: Keys and values of all layers for one token at f16.
        repack_bytes: Bytes of tensors that llama.cpp's CPU backend repacks into anonymous memory.
        chat_template: Whether the file has a chat template.
        embeds: It makes one vector of a text and answers nothing.
        tool_markup: How it writes calls of functions; `None` where it was not taught to.
        lookup_bytes: Bytes of embeddings that are looked up by word and not the output too.
    """

    architecture: str
    name: str
    parameters: int
    file_bytes: Bytes
    n_layers: int
    n_embd: int
    n_vocab: int
    context_train: int
    block_bytes: Bytes
    other_bytes: Bytes
    kv_bytes_per_token: Bytes
    repack_bytes: Bytes
    quantisation: str
    chat_template: bool
    embeds: bool
    tool_markup: ToolMarkup | None = None
    lookup_bytes: Bytes = Bytes(0)


@dataclass(frozen=True, slots=True)
class Tuned:
    """How a file was made of another model's.

    Attributes:
        parent: Id of that model.
        parent_sha256: Of its file at that time.
        perplexity_change_pct: On the texts that come with EdgeRoute; positive is worse.
        top1_agreement: Share of their tokens where both would have drawn the same.
        speedup_1: Ratio of tokens per second, one prompt at a time.
        speedup_8: The same for eight together.
        measured: When, and with which engine.
    """

    parent: str
    parent_sha256: str
    format: str
    perplexity_change_pct: float
    top1_agreement: float
    speedup_1: float
    speedup_8: float
    measured: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model that can be served from this machine's disk.

    Attributes:
        path: The GGUF file; a plain string, since nouns open no files.
        sha256: Hash of the file, the model's identity across machines.
        scores: Prior P(acceptable) per task from published benchmarks, 0..1.
        scores_source: Where the scores are from, with a date; empty where there are none.
        licence: SPDX name or `unknown`.
        pinned: Never evicted.
        echo: Set for the echo engine, a worker process without a model; tests and benches.
        tuned: How its file was made of another model's; `None` where it was not.
    """

    id: ModelId
    path: str
    sha256: str
    shape: ModelShape
    family: str = "unknown"
    licence: str = "unknown"
    scores: Mapping[Task, float] = field(default_factory=dict)
    scores_source: str = ""
    pinned: bool = False
    echo: EchoBehaviour | None = None
    tuned: Tuned | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What a worker can do with it."""
        if self.shape.embeds:
            return frozenset({Capability.EMBED})
        can = {Capability.CHAT, Capability.COMPLETE, Capability.CHOICES}
        if self.echo is None:
            can |= {Capability.JSON_SCHEMA, Capability.GRAMMAR, Capability.LOGPROBS}
        if self.shape.tool_markup is not None:
            can.add(Capability.TOOLS)
        return frozenset(can)
