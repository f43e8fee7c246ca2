"""How a model is brought into the memory that there is: context, slots, layers on GPUs.

Owns the order in which wishes are given up. Knows nothing of other models: what they leave is an
argument.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edgeroute.domain.card import ModelCard
from edgeroute.domain.hardware import Gpu
from edgeroute.domain.load import Budget, Footprint, KvType, LoadPlan
from edgeroute.domain.units import format_bytes
from edgeroute.residency.footprint import book, predict
from edgeroute.residency.room import fits

LONGEST_TEXT = 2048
"""Tokens of a text that becomes a vector; buffers grow with what is computed at once."""
LEAST_CONTEXT = 1024
"""Tokens; a shorter context holds no conversation, so the model is refused instead."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What is wished for; what the machine has decides how much of it comes true.

    Attributes:
        context: Tokens per slot; the model's own limit goes before it.
        slots: Sequences decoded together.
        threads: Threads for decoding and for prefill.
        batch: Tokens per `llama_decode`.
    """

    threads: int
    context: int = 4096
    slots: int = 4
    batch: int = 512
    kv_type: KvType = "f16"


@dataclass(frozen=True, slots=True)
class Placement:
    """A plan and what it takes, booked where it really lies."""

    plan: LoadPlan
    footprint: Footprint


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Not even the smallest plan fits: it takes `footprint`, and `free` is all there could be."""

    plan: LoadPlan
    footprint: Footprint
    free: Budget

    @property
    def message(self) -> str:
        """A sentence with both numbers, and what would have to change."""
        needed, free = self.footprint.ram, max(0, self.free.ram)
        slots = f"{self.plan.slots} slot{'s' if self.plan.slots > 1 else ''}"
        return (
            f"{self.plan.model} needs {format_bytes(needed)} of memory even with {slots} of "
            f"{self.plan.context} tokens, and at most {format_bytes(free)} can be made free for it:"
            f" end other programs, raise the memory budget by {format_bytes(needed - free)}, or use"
            " a smaller quantisation"
        )


_Weigh = Callable[[LoadPlan], Footprint]


def place(
    card: ModelCard,
    options: PlanOptions,
    free: Budget,
    gpus: Sequence[Gpu],
    measured: Mapping[str, Footprint],
) -> Placement | TooLarge:
    """Make the best plan that fits: slots give way first, then layers leave the GPUs, then context.

    1. All layers on GPUs with the whole context: for 4, 2, 1 slots, on the one GPU with most free
       memory, else split over all by their free memory.
    2. As many layers as the GPUs hold, the rest on the CPU: for 4, 2, 1 slots.
    3. The same with one slot and half the context, again and again, down to 1024 tokens.

    Slots go first since a request that waits is better than one that does not fit. A GPU that
    shares the system's memory gets all layers whatever gives way: leaving it frees nothing.

    Args:
        card: The model; an echo model is never placed on a GPU.
        options: What is wished for.
        free: What the model may take.
        gpus: In the order of `free.gpu`.
        measured: Footprints of earlier loads by `LoadPlan.key`; each replaces a prediction.
    """

    def weigh(plan: LoadPlan) -> Footprint:
        return book(measured.get(plan.key) or predict(card.shape, plan), gpus)

    for plan in _best_first(card, options, free, gpus, weigh):
        footprint = weigh(plan)
        if fits(footprint, free):
            return Placement(plan, footprint)
    return TooLarge(plan, footprint, free)


def _best_first(
    card: ModelCard, options: PlanOptions, free: Budget, gpus: Sequence[Gpu], weigh: _Weigh
) -> Iterator[LoadPlan]:
    """Plans from the best to the smallest, at least one."""
    longest = min(options.context, card.shape.context_train)
    batch = options.batch
    if card.shape.embeds:  # a text is computed all at once
        longest = min(longest, LONGEST_TEXT)
        batch = max(batch, longest)
    wish = LoadPlan(
        model=card.id,
        path=card.path,
        context=longest,
        slots=options.slots,
        threads=options.threads,
        batch=batch,
        embeds=card.shape.embeds,
        kv_type=options.kv_type,
        echo=card.echo,
        sha256=card.sha256,
    )
    everything = card.shape.n_layers + 1  # the output counts as a layer
    rooms = enumerate(zip(gpus, free.gpu, strict=False))  # a GPU may have gone since
    own = [i for i, (gpu, room) in rooms if room > 0 and not gpu.unified]
    unified = next((i for i, gpu in enumerate(gpus) if gpu.unified), None)
    if own and card.echo is None:
        on_one = replace(wish, main_gpu=max(own, key=lambda i: free.gpu[i]))
        on_all = replace(wish, tensor_split=_shares(free, own)) if len(own) > 1 else on_one
        for slots in _halved(wish.slots, 1):
            for where in dict.fromkeys((on_one, on_all)):
                yield replace(where, slots=slots, gpu_layers=everything)
        for plan in _smaller(on_all):
            yield _as_many_layers_as_fit(plan, everything - 1, free, weigh)
    elif unified is not None and card.echo is None:
        yield from _smaller(replace(wish, main_gpu=unified, gpu_layers=everything))
    else:
        yield from _smaller(wish)


def _smaller(plan: LoadPlan) -> Iterator[LoadPlan]:
    """The plan itself, then with fewer slots, then with one slot and shorter contexts."""
    for slots in _halved(plan.slots, 1):
        yield replace(plan, slots=slots)
    for context in [*_halved(plan.context, LEAST_CONTEXT)][1:]:
        yield replace(plan, slots=1, context=context)


def _halved(number: int, least: int) -> Iterator[int]:
    """The number itself, its half and so on, none below `least` but the first."""
    yield number
    while number > least:
        number = max(least, number // 2)
        yield number


def _shares(free: Budget, own: Sequence[int]) -> tuple[float, ...]:
    """Share of the layers for each GPU, in the hundredths that `LoadPlan.key` tells apart."""
    whole = sum(free.gpu[i] for i in own)
    return tuple(round(bytes_ / whole, 2) if i in own else 0.0 for i, bytes_ in enumerate(free.gpu))


def _as_many_layers_as_fit(plan: LoadPlan, most: int, free: Budget, weigh: _Weigh) -> LoadPlan:
    """The most layers that the GPUs hold, whatever that leaves to RAM; without any, no GPU."""

    def is_too_many(layers: int) -> bool:
        gpu = weigh(replace(plan, gpu_layers=layers)).gpu
        return not fits(Footprint(gpu=gpu), free)

    layers = bisect_left(range(1, most + 1), x=True, key=is_too_many)
    if layers == 0:
        return replace(plan, gpu_layers=0, main_gpu=0, tensor_split=())
    return replace(plan, gpu_layers=layers)
