"""Three real models and a request, for tests that say what a decision should be."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgeroute.domain.features import Features, Task
from edgeroute.domain.hardware import Power
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import Limits
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import GIB, MIB, Bytes, ModelId, RequestId
from edgeroute.routing.candidates import Roster
from edgeroute.routing.view import View

BALANCED = Profile("balanced", "", per_usd=10.0, per_joule=0.0003, per_second=0.025)


def local(
    name: str,
    parameters: int,
    rates: Rates,
    size: int,
    scores: Mapping[Task, float] | None = None,
) -> Target:
    return Target(
        id=ModelId(name),
        zone=Zone.DEVICE,
        context=4096,
        parameters=parameters,
        rates=rates,
        bytes_needed=Bytes(size),
        warmth=Warmth.WARM,
        scores=scores or {},
    )


# Rates as measured on two cores; scores as published and as cards count them.
SMOLLM2 = local(
    "smollm2-135m",
    134_515_008,
    Rates(0.7, 325.0, 85.0, 10.0),
    200 * MIB,
    {Task.MATH: 0.01, Task.KNOWLEDGE_QA: 0.06, Task.REASONING: 0.03, Task.UNKNOWN: 0.30},
)
QWEN_SMALL = local(
    "qwen-coder-0.5b",
    494_032_768,
    Rates(0.7, 219.0, 35.0, 10.0),
    900 * MIB,
    {Task.CODING: 0.62, Task.MATH: 0.34, Task.KNOWLEDGE_QA: 0.23},
)
QWEN_BIG = local(
    "qwen-coder-1.5b",
    1_543_714_304,
    Rates(1.5, 101.0, 15.0, 10.0),
    2 * GIB,
    {Task.CODING: 0.71, Task.MATH: 0.66, Task.KNOWLEDGE_QA: 0.38},
)
THREE = (SMOLLM2, QWEN_SMALL, QWEN_BIG)
CLOUD = Target(
    id=ModelId("cloud-70b"),
    zone=Zone.CLOUD,
    context=131_072,
    parameters=70_000_000_000,
    rates=Rates(0.0, 3000.0, 80.0, 0.0),
    warmth=Warmth.WARM,
    max_label=Label.INTERNAL,
    usd_in_per_mtok=0.5,
    usd_out_per_mtok=0.8,
)


def view_of(*targets: Target, **fields: Any) -> View:
    """A view of a plain coding request, with what the test says otherwise."""
    view = View(
        id=RequestId("r1"),
        app="default",
        features=Features(Task.CODING, 0.95, prompt_tokens=70, output_tokens=300),
        limits=Limits(),
        label=Label.PRIVATE,
        pinned_model=None,
        profile=BALANCED,
        profile_reason="as configured",
        power=Power("ac"),
        budget_bytes=Bytes(8 * GIB),
        now=0.0,
        draw=0.5,
        roster=Roster.of(targets),
    )
    return replace(view, **fields)
