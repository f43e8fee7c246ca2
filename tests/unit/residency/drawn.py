"""Models, GPUs and memories drawn for these tests."""

from edgeroute.domain.card import ModelCard, ModelShape
from edgeroute.domain.hardware import Gpu, Memory
from edgeroute.domain.load import EchoBehaviour
from edgeroute.domain.units import GIB, MIB, Bytes, ModelId


def shape(  # noqa: PLR0913  (a header has this many numbers)
    name: str,
    *,
    file_bytes: int,
    n_layers: int,
    n_embd: int,
    n_vocab: int,
    kv_bytes_per_token: int,
    other_bytes: int,
    repack_bytes: int = 0,
    lookup_bytes: int = 0,
    context_train: int = 32768,
) -> ModelShape:
    return ModelShape(
        architecture="drawn",
        name=name,
        parameters=file_bytes * 2,
        file_bytes=Bytes(file_bytes),
        n_layers=n_layers,
        n_embd=n_embd,
        n_vocab=n_vocab,
        context_train=context_train,
        block_bytes=Bytes((file_bytes - other_bytes) // n_layers),
        other_bytes=Bytes(other_bytes),
        kv_bytes_per_token=Bytes(kv_bytes_per_token),
        repack_bytes=Bytes(repack_bytes),
        lookup_bytes=Bytes(lookup_bytes),
        quantisation="Q4_K_M",
        chat_template=True,
        embeds=False,
    )


# The three that were measured; what their headers say.
SMOLLM2 = shape(
    "SmolLM2 135M", file_bytes=98_362_432, n_layers=30, n_embd=576, n_vocab=49152,
    kv_bytes_per_token=23040, other_bytes=30_083_328, context_train=8192,
)  # fmt: skip
QWEN_HALF = shape(
    "Qwen2.5 0.5B", file_bytes=491_400_064, n_layers=24, n_embd=896, n_vocab=151936,
    kv_bytes_per_token=12288, other_bytes=238_239_232, repack_bytes=29_417_472,
    lookup_bytes=93_592_576,
)  # fmt: skip
QWEN_BIG = shape(
    "Qwen2.5 1.5B", file_bytes=1_117_320_768, n_layers=28, n_embd=1536, n_vocab=151936,
    kv_bytes_per_token=28672, other_bytes=322_718_208, repack_bytes=625_508_352,
    lookup_bytes=131_272_704,
)  # fmt: skip

# Known open models at Q4_K_M, for hardware that was not at hand.
LLAMA_3B = shape(
    "Llama 3.2 3B", file_bytes=2_019_377_376, n_layers=28, n_embd=3072, n_vocab=128256,
    kv_bytes_per_token=114688, other_bytes=323_000_000, repack_bytes=1_900_000_000,
)  # fmt: skip
MISTRAL_7B = shape(
    "Mistral 7B", file_bytes=4_372_812_000, n_layers=32, n_embd=4096, n_vocab=32768,
    kv_bytes_per_token=131072, other_bytes=185_000_000, repack_bytes=4_100_000_000,
)  # fmt: skip
LLAMA_8B = shape(
    "Llama 3.1 8B", file_bytes=4_920_739_232, n_layers=32, n_embd=4096, n_vocab=128256,
    kv_bytes_per_token=131072, other_bytes=726_000_000, repack_bytes=4_400_000_000,
)  # fmt: skip
QWEN_14B = shape(
    "Qwen2.5 14B", file_bytes=8_988_110_976, n_layers=48, n_embd=5120, n_vocab=152064,
    kv_bytes_per_token=196608, other_bytes=1_076_000_000, repack_bytes=8_000_000_000,
)  # fmt: skip
QWEN_32B = shape(
    "Qwen2.5 32B", file_bytes=19_851_336_256, n_layers=64, n_embd=5120, n_vocab=152064,
    kv_bytes_per_token=262144, other_bytes=1_076_000_000, repack_bytes=18_000_000_000,
)  # fmt: skip


def card(
    model_shape: ModelShape = SMOLLM2,
    name: str = "model",
    *,
    pinned: bool = False,
    echo: EchoBehaviour | None = None,
) -> ModelCard:
    return ModelCard(
        ModelId(name), f"{name}.gguf", f"{name}-sha", model_shape, pinned=pinned, echo=echo
    )


def gpu(index: int, total: int, free: int | None = None) -> Gpu:
    """A discrete GPU."""
    return Gpu(index, "drawn", total=Bytes(total), free=Bytes(total if free is None else free))


ORIN_GPU = Gpu(0, "Orin", unified=True)


def memory(
    total: int, available: int, headroom: int | None = None, limit: int | None = None
) -> Memory:
    return Memory(
        Bytes(total),
        Bytes(available),
        cgroup_headroom=None if headroom is None else Bytes(headroom),
        cgroup_limit=None if limit is None else Bytes(limit),
    )


def mib(number: float) -> Bytes:
    return Bytes(int(number * MIB))


def gib(number: float) -> Bytes:
    return Bytes(int(number * GIB))
