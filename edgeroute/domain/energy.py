"""Joules: what was measured, of what, and how far it can be trusted.

Two figures are always kept apart. Device joules are what this machine's battery pays. System joules
are what the world pays: this machine, and whoever else computed. Neither is ever told as "saved".
"""

from dataclasses import dataclass
from typing import Literal

from edgeroute.domain.units import Joules

Scope = Literal["board", "soc", "package", "gpu", "battery"]
"""What a meter's joules include: everything behind the input, the chip, the processor, one or more
accelerators, or all that the battery feeds."""

Quality = Literal["counter", "integrated", "model"]
"""The hardware counted joules; it told watts, summed up over time; or nothing measured them and
they are worked out from seconds or tokens."""

_TRUST: tuple[Quality, ...] = ("counter", "integrated", "model")


def worst(*qualities: Quality) -> Quality:
    """What a sum may claim: no more than the least of its parts."""
    return max(qualities, key=_TRUST.index)


@dataclass(frozen=True, slots=True)
class Metered:
    """What one meter says.

    Attributes:
        source: Its name, such as `intel-rapl:0` or `VDD_IN`.
        joules: Since the meter began; never falls. `None` where it has nothing to say now.
        own: Counts what our own processes took and nothing else, so that neither idleness nor
            other programs are in it.
    """

    source: str
    scope: Scope
    quality: Quality
    joules: Joules | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Energy:
    """An amount of energy with the interval that it lies in nine times out of ten."""

    joules: float
    low: float
    high: float
    quality: Quality

    def __add__(self, other: "Energy") -> "Energy":
        """Both; the ends of the interval are added, so that it is rather too wide."""
        return Energy(
            self.joules + other.joules,
            self.low + other.low,
            self.high + other.high,
            worst(self.quality, other.quality),
        )


NOTHING = Energy(0.0, 0.0, 0.0, "counter")
"""What nobody has computed."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one request took.

    Attributes:
        device: Of this machine, all its attempts together, wasted ones too.
        system: Of this machine and of whoever else computed.
        prefill_j: The part of `device` that went into reading prompts.
        decode_j: The part that went into drawing tokens.
    """

    device: Energy
    system: Energy
    prefill_j: float
    decode_j: float


@dataclass(frozen=True, slots=True)
class EnergyRates:
    """What a query on a target takes of this device, a sum of four parts.

    Attributes:
        base_j: Whatever the lengths.
        prompt_j: Per prompt token that is not in memory already.
        output_j: Per generated token.
        pair_j: Per pair of a token that is computed and one before it.
        spread: Standard deviation of what a query takes, as a share of what is predicted.
        quality: Of the joules that this was learnt from; `model` where it was not learnt.
        queries: How many it was learnt from.
    """

    base_j: float
    prompt_j: float
    output_j: float
    pair_j: float
    spread: float
    quality: Quality = "model"
    queries: int = 0


@dataclass(frozen=True, slots=True)
class RemoteEnergy:
    """What a query takes of computers that nobody here can meter: least, likely and most.

    Attributes:
        query_j: Whatever the lengths.
        output_j: Per generated token.
        source: Where the figures are from, with a date.
    """

    query_j: tuple[float, float, float]
    output_j: tuple[float, float, float]
    source: str

    def energy(self, output_tokens: float) -> Energy:
        """For an answer of so many tokens."""
        low, likely, high = (
            query + output_tokens * output
            for query, output in zip(self.query_j, self.output_j, strict=True)
        )
        return Energy(likely, low, high, "model")
