"""What an answer takes in a data centre that nobody here can meter.

Owns the formula: EcoLogits' published method for the inference of language models (its
documentation, version 0.11), written anew. A GPU takes so much per token by the active parameters
and the batch; the server around it so many watts for the time of a token; both times the overhead
of the building. It leaves out input tokens, training and the making of hardware. Checked against
its own figures for 300 tokens: 0.027 Wh for 8B dense, 0.31 for 40B of 200B active, 0.96 for 100B
of 400B.
"""

import math
from dataclasses import dataclass

from edgeroute.domain.energy import RemoteEnergy

_J_PER_WH = 3600.0
_GPU_WH = (1.17e-6, -1.12e-2, 4.05e-5)
"""Watt-hours per token: a slope per billion active parameters, its decay with the batch, a base."""
_TOKEN_S = (6.78e-4, 3.12e-4, 1.94e-2)
"""Seconds per token: per billion active parameters, per request of the batch, a base."""
_SERVER_W, _GPUS_OF_A_SERVER, _GPU_GB, _OVERHEAD = 1200.0, 8, 80.0, 1.2
NETWORK_J = (1.0, 2.0, 5.0)
"""Ten kilobytes there and back, at 0.03 to 0.14 kWh per gigabyte."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How a model is served: what the formula assumes, and what it might be instead.

    Attributes:
        batch: Requests that share a step.
        bits: Of a weight in memory.
        pue: Energy of the building over that of its servers.
    """

    batch: float
    bits: float
    pue: float


FRUGAL, LIKELY, WASTEFUL = Serving(128, 8, 1.1), Serving(64, 16, 1.2), Serving(16, 16, 1.5)


def per_token_j(active_b: float, total_b: float, serving: Serving = LIKELY) -> float:
    """Joules of a generated token.

    Args:
        active_b: Billions of parameters that a token goes through.
        total_b: Billions of parameters in memory.
        serving: The assumptions.
    """
    gigabytes = _OVERHEAD * total_b * serving.bits / 8
    gpus = 2.0 ** math.ceil(math.log2(max(1.0, gigabytes / _GPU_GB)))
    slope, decay, base = _GPU_WH
    gpu_j = (slope * math.exp(decay * serving.batch) * active_b + base) * _J_PER_WH
    by_size, by_batch, least = _TOKEN_S
    token_s = by_size * active_b + by_batch * serving.batch + least
    server_j = _SERVER_W * gpus / _GPUS_OF_A_SERVER / serving.batch * token_s
    return serving.pue * (gpus * gpu_j + server_j)


def by_size(active_b: tuple[float, ...], total_b: tuple[float, ...], source: str) -> RemoteEnergy:
    """What a query takes of a model of a size between the least, the likely and the most."""
    low, likely, high = (
        per_token_j(active, total, serving)
        for active, total, serving in zip(
            active_b, total_b, (FRUGAL, LIKELY, WASTEFUL), strict=True
        )
    )
    return RemoteEnergy(NETWORK_J, (low, likely, high), source)
