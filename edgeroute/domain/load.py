"""How a model is brought into memory, and what it takes there.

Owns the plan that `residency/placement` makes and a worker carries out, and byte counts per
memory domain. RAM is one domain, each GPU another; on unified memory GPU bytes are RAM bytes.
"""

from dataclasses import dataclass
from typing import Final, Literal

from edgeroute.domain.units import Bytes, ModelId

DRAFTED: Final = 3
"""Most tokens that a worker drafts, for one sequence at a time. Steps of two to eight rows took 1.6
to 4.6 times that of one, so that longer drafts lose what they gain
(bench/results/2026-11-23-engine.md)."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes that a model holds, predicted or measured.

    Attributes:
        file: File-backed RAM: mapped weights. Given back when the process ends.
        anon: Anonymous RAM: repacked weights, KV, compute buffers, the process itself. Given
            back when it is *measured* back.
        gpu: Bytes per GPU, in the order of `Telemetry.gpus`.
    """

    file: Bytes = Bytes(0)
    anon: Bytes = Bytes(0)
    gpu: tuple[Bytes, ...] = ()

    @property
    def ram(self) -> Bytes:
        """All RAM, of either kind."""
        return Bytes(self.file + self.anon)

    @property
    def size(self) -> Bytes:
        """All bytes, wherever they lie."""
        return Bytes(self.ram + sum(self.gpu))


@dataclass(frozen=True, slots=True)
class Pools:
    """What the RAM of one worker is made of, bytes; GPU bytes are not told apart.

    Kept prefixes take none of their own: they lie in the cells of free slots. Saved conversations
    are the daemon's, not a worker's.

    Attributes:
        file: Mapped weights and libraries.
        repacked: Weights in the order that the kernels like, copies of mapped ones.
        kv: Keys and values of all slots.
        compute: Activations of a batch, its mask, its logits.
        process: All else: interpreter, vocabulary, graph.
    """

    file: Bytes = Bytes(0)
    repacked: Bytes = Bytes(0)
    kv: Bytes = Bytes(0)
    compute: Bytes = Bytes(0)
    process: Bytes = Bytes(0)

    @property
    def anon(self) -> Bytes:
        """All that is not file-backed."""
        return Bytes(self.repacked + self.kv + self.compute + self.process)


@dataclass(frozen=True, slots=True)
class Budget:
    """What all models together may hold: bytes of RAM, and of each GPU."""

    ram: Bytes
    gpu: tuple[Bytes, ...] = ()

    @property
    def size(self) -> Bytes:
        """All bytes, wherever they lie."""
        return Bytes(self.ram + sum(self.gpu))


@dataclass(frozen=True, slots=True)
class EchoBehaviour:
    """How the echo engine pretends: a real worker process, the same frames, no compute.

    Attributes:
        load_s: Seconds it takes to become ready.
        tok_s: Generated tokens per second of each stream; 0 is as fast as frames go.
        prefill_tok_s: Prompt tokens per second; 0 is at once.
        anon: Bytes that it really allocates.
        die_at_token: Ends the process with SIGKILL before this token of any answer; -1 never.
        fail_load: Fails the load with this message; empty loads.
    """

    load_s: float = 0.0
    tok_s: float = 0.0
    prefill_tok_s: float = 0.0
    anon: Bytes = Bytes(0)
    die_at_token: int = -1
    fail_load: str = ""


FEW_ROWS = 16
"""Tokens of a step. Threads meet after each of some 900 operations; of few rows each takes some
20 us, and much longer where a neighbour has the core of one of those who should meet."""


@dataclass(frozen=True, slots=True)
class ThreadCounts:
    """Threads that a loaded model computes with.

    Attributes:
        few: In steps of at most `FEW_ROWS`: answers are drawn, and hardly a prompt is read.
        many: In all others.
    """

    few: int
    many: int


KvType = Literal["f16", "q8_0"]


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """Everything a worker needs to load a model.

    Attributes:
        context: Tokens per slot, prompt and answer.
        slots: Sequences decoded together.
        batch: Tokens per `llama_decode`, logical and physical.
        gpu_layers: Layers on GPUs; 0 keeps all on the CPU.
        main_gpu: Index of the GPU that holds what is not split.
        tensor_split: Share of the layers per GPU; empty where there is none.
        threads: Threads for decoding and for prefill.
        embeds: It is asked for vectors, not for answers.
        sha256: Hash of the file; what was saved of the model's conversations is valid for it.
    """

    model: ModelId
    path: str
    context: int
    slots: int
    threads: int
    batch: int = 512
    kv_type: KvType = "f16"
    gpu_layers: int = 0
    main_gpu: int = 0
    tensor_split: tuple[float, ...] = ()
    echo: EchoBehaviour | None = None
    embeds: bool = False
    sha256: str = ""

    @property
    def outputs(self) -> int:
        """Rows of a batch whose logits are kept: one per slot, and those of a draft."""
        return self.slots + DRAFTED

    @property
    def key(self) -> str:
        """What a measured footprint is valid for, besides model, device and engine version."""
        split = ",".join(f"{share:.2f}" for share in self.tensor_split)
        return (
            f"c{self.context}.s{self.slots}.b{self.batch}.{self.kv_type}"
            f".g{self.gpu_layers}.m{self.main_gpu}.t{split}"
        )
