"""What running a request on each candidate would take and give, all candidates at once.

Owns the models of quality, time, energy and money, and the rates of a model that never ran here.
Joules of a query are what such queries took (see `consumption`); those of a load are watts times
seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeroute.domain.card import ModelShape
from edgeroute.domain.device import UNKNOWN, Device
from edgeroute.domain.features import Features, Task
from edgeroute.domain.hardware import Cpu
from edgeroute.domain.prefix import Held
from edgeroute.domain.target import Rates
from edgeroute.routing import prior
from edgeroute.routing.beliefs import Evidence
from edgeroute.routing.candidates import Floats, Roster
from edgeroute.routing.consumption import NINE_IN_TEN

_UNKNOWN = prior.COLUMN[Task.UNKNOWN]


@dataclass(frozen=True, slots=True)
class Estimates:
    """One entry per candidate, in the roster's order.

    Attributes:
        p_ok: P(acceptable answer), 0..1.
        ttft_s: Seconds until the first token: queue, load where it is not warm, prefill.
        total_s: Seconds until the last token.
        device_joules: Energy of this device; 0 for what computes elsewhere.
        device_range: Where that lies nine times out of ten, shape (2, candidates).
        remote_joules: Energy of others' computers: least, likely and most, shape (3, candidates).
        usd: Dollars for the expected tokens.
        everybody_s: Seconds until the last token, and those that others will wait for models
            which have to go for this one.
        held_tokens: Of the prompt, that it has in memory; the last one is always read.
    """

    p_ok: Floats
    ttft_s: Floats
    total_s: Floats
    device_joules: Floats
    device_range: Floats
    remote_joules: Floats
    usd: Floats
    everybody_s: Floats
    held_tokens: Floats


def estimate(
    features: Features,
    roster: Roster,
    evidence: Evidence | None = None,
    held: Sequence[Held] = (),
) -> Estimates:
    """Estimate every candidate.

    Prompt tokens are an upper estimate, so prefill is too. The queue is other requests' energy.
    What is held of the prompt is not read again; providers are taken to ask the same for it.
    """
    prompt, output = features.prompt_tokens, expected_output(features)
    cached = _in_memory(roster, held, prompt)
    prefill_s = (prompt - cached) * roster.prefill_s
    compute_s = roster.load_s + prefill_s + output * roster.decode_s
    short, long = likely_outputs(features)
    read_j = roster.base_j + (prompt - cached) * roster.prompt_j
    begun_j = roster.device_watts * roster.load_s + read_j

    def whole_j(drawn: float) -> Floats:
        pairs = ((prompt + drawn) ** 2 - cached**2) / 2
        return begun_j + drawn * roster.output_j + pairs * roster.pair_j

    off = NINE_IN_TEN * roster.energy_spread
    return Estimates(
        p_ok=_promised(features, roster) if evidence is None else evidence.p_ok,
        ttft_s=roster.queue_s + roster.load_s + prefill_s,
        total_s=roster.queue_s + compute_s,
        device_joules=whole_j(output),
        device_range=np.array(
            [whole_j(short) * np.maximum(0.0, 1.0 - off), whole_j(long) * (1.0 + off)]
        ),
        remote_joules=roster.remote_query_j.T
        + np.array([[short], [output], [long]]) * roster.remote_output_j.T,
        usd=prompt * roster.usd_in + output * roster.usd_out,
        everybody_s=roster.queue_s + compute_s + roster.displaced_s,
        held_tokens=cached,
    )


def _in_memory(roster: Roster, held: Sequence[Held], prompt: int) -> Floats:
    cached = np.zeros(len(roster))
    for each in held:
        if each.target in roster.ids:
            cached[roster.ids.index(each.target)] = min(each.tokens, max(prompt - 1, 0))
    return cached


def expected_output(features: Features) -> int:
    """Tokens that the answer is expected to have, within the caller's bound."""
    if features.max_tokens is None:
        return features.output_tokens
    return min(features.output_tokens, features.max_tokens)


def likely_outputs(features: Features) -> tuple[float, float]:
    """Tokens that nine answers in ten exceed, and that one does; lengths spread evenly in ratio."""
    half = max(1, features.output_tokens)
    long = max(half, features.output_tokens_p90 or half)
    most = float("inf") if features.max_tokens is None else features.max_tokens
    return min(half * half / long, most), min(float(long), most)


def _promised(features: Features, roster: Roster) -> Floats:
    """P(ok) for the task as far as the task is certain, for just any task as far as it is not."""
    certain = features.task_probability
    for_task = roster.quality[:, prior.COLUMN[features.task]]
    return certain * for_task + (1.0 - certain) * roster.quality[:, _UNKNOWN]


# ---- rates of a model that never ran here ------------------------------------------------------
# Laid through three models measured on two cores of an AVX-512 server CPU (llama-cpp-python
# 0.3.36): SmolLM2 135M Q4_1, Qwen2.5-Coder 0.5B and 1.5B Q4_K_M decode 64-106, 28-42 and 15 tok/s
# and prefill 325, 219 and 101 tok/s; this gives 103, 30 and 14, and 427, 218 and 90. The first
# measured answer replaces it.

_BANDWIDTH_PER_CORE = 8e9
"""Bytes of weights per second that one core streams."""
_BANDWIDTH_SHARE = 0.78
"""Of the peak, in practice: 40 of the 51.2 GB/s of two channels of DDR4-3200. More cores wait for
the same memory."""
_SYNC_S_PER_LAYER = 0.12e-3
"""Threads meeting at the end of each layer's operations, per generated token."""
_DRAW_S = 0.2e-3
"""Drawing a token and telling it."""
_FLOPS_PER_CORE = 160e9
"""Matrix products of a prefill; a CPU without wide dot products has a half or a quarter of it."""
_PREFILL_S_BESIDES = 3e-3
"""Core seconds per prompt token outside matrix products: attention, norms, the last logits."""
_READ_BYTES_PER_S = 600e6
"""A SATA disk; a file in the page cache is faster."""
_REPACK_S_PER_BYTE = 0.7e-9
_START_S = 0.4
"""Starting a worker process."""


def rates_prior(shape: ModelShape, cpu: Cpu, device: Device = UNKNOWN) -> Rates:
    """How fast a model should be on a CPU that it never ran on.

    Decoding reads all weights per token and is bound by memory; a prefill is bound by arithmetic.
    """
    threads = cpu.threads
    most = device.memory_gb_s * 1e9 * _BANDWIDTH_SHARE
    bandwidth = min(threads * _BANDWIDTH_PER_CORE, most)
    decode_s = shape.file_bytes / bandwidth + shape.n_layers * _SYNC_S_PER_LAYER + _DRAW_S
    prefill_core_s = 2 * shape.parameters / _FLOPS_PER_CORE + _PREFILL_S_BESIDES
    return Rates(
        load_s=shape.file_bytes / _READ_BYTES_PER_S
        + shape.repack_bytes * _REPACK_S_PER_BYTE
        + _START_S,
        prefill_tok_s=threads / prefill_core_s,
        decode_tok_s=1.0 / decode_s,
        watts=threads * device.watts_per_thread,
    )
