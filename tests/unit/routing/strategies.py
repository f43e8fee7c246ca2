"""Drawn views, and the rules read plainly, one candidate at a time, to hold `decide` against."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from edgeroute.domain.capability import Capability
from edgeroute.domain.features import Features, Task
from edgeroute.domain.hardware import Power
from edgeroute.domain.prefix import Held
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.profile import Profile
from edgeroute.domain.request import Limits
from edgeroute.domain.spending import Spending
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import Bytes, Joules, ModelId, RequestId, Usd
from edgeroute.routing.candidates import Roster
from edgeroute.routing.view import View

GB = 10**9


def shares() -> st.SearchStrategy[float]:
    return st.floats(0, 1)


def amounts(least: float, most: float) -> st.SearchStrategy[float]:
    return st.floats(least, most, allow_subnormal=False)


rates = st.builds(
    Rates,
    load_s=amounts(0, 60),
    prefill_tok_s=amounts(1, 5000),
    decode_tok_s=amounts(0.5, 500),
    watts=amounts(0, 300),
    latency_s=st.just(0.0) | amounts(0, 5),
)


@st.composite
def target_lists(draw: st.DrawFn, least: int = 0) -> tuple[Target, ...]:
    names = draw(st.lists(st.sampled_from("abcdefghij"), min_size=least, max_size=6, unique=True))
    target = st.builds(
        Target,
        id=st.just(ModelId("")),
        zone=st.sampled_from(Zone),
        context=st.sampled_from([512, 4096, 32768]),
        parameters=st.integers(0, 10**12),
        rates=rates,
        bytes_needed=st.integers(0, 8 * GB).map(Bytes),
        warmth=st.sampled_from(Warmth),
        max_label=st.sampled_from(Label),
        usd_in_per_mtok=amounts(0, 20),
        usd_out_per_mtok=amounts(0, 80),
        queued_tokens=st.integers(0, 4000),
        retry_in_s=st.sampled_from([0.0, 0.0, 0.0, 12.5]),
        displaces_s=st.sampled_from([0.0, 0.0, 3.5]),
        capabilities=st.frozensets(st.sampled_from(Capability)),
        tasks=st.sampled_from([frozenset(), frozenset(), frozenset(Task) - {Task.MATH}]),
        arithmetic_only=st.sampled_from([False, False, False, True]),
        scores=st.dictionaries(st.sampled_from(Task), shares(), max_size=4),
    )
    return tuple(replace(draw(target), id=ModelId(name)) for name in names)


features = st.builds(
    Features,
    task=st.sampled_from(Task),
    task_probability=shares(),
    prompt_tokens=st.sampled_from([1, 40, 400, 511, 4000]),
    output_tokens=st.integers(1, 2000),
    max_tokens=st.sampled_from([None, None, 1, 96, 3000]),
    needs=st.frozensets(st.sampled_from(Capability), max_size=2),
    arithmetic=st.booleans(),
)
spendings = st.none() | st.builds(
    Spending,
    of=st.sampled_from([None, "notes"]),
    limit=st.just(Usd(1.0)),
    left=amounts(0, 0.1).map(Usd),
    ends_in_s=st.just(60.0),
)
limits = st.builds(
    Limits,
    deadline_s=st.none() | amounts(0.01, 100),
    max_usd=st.none() | amounts(0, 0.1).map(Usd),
    max_j=st.none() | amounts(0, 1000).map(Joules),
    on_device=st.sampled_from(["any", "prefer", "only"]),
)
profiles = st.builds(
    Profile,
    name=st.just("drawn"),
    description=st.just(""),
    value=amounts(0, 2),
    per_usd=amounts(0, 100),
    per_joule=amounts(0, 0.01),
    per_second=amounts(0, 0.1),
    farthest=st.sampled_from(Zone),
    max_load_s=st.none() | amounts(0, 30),
    explore=st.sampled_from([0.0, 0.02, 0.5]),
)


@st.composite
def views(draw: st.DrawFn, least: int = 0) -> View:
    targets = draw(target_lists(least))
    names = [target.id for target in targets]
    pinned = draw(st.none() | st.sampled_from(names)) if draw(st.booleans()) and names else None
    return View(
        id=RequestId("drawn"),
        app="default",
        features=draw(features),
        limits=draw(limits),
        label=draw(st.sampled_from(Label)),
        pinned_model=pinned,
        profile=draw(profiles),
        profile_reason="as configured",
        power=draw(st.sampled_from([Power("absent"), Power("discharging", 40.0)])),
        budget_bytes=Bytes(draw(st.integers(0, 8 * GB))),
        now=draw(amounts(0, 1e6)),
        draw=draw(shares()),
        roster=Roster.of(targets),
        spending=draw(spendings),
        held=tuple(Held(name, draw(st.integers(1, 9000))) for name in names if draw(st.booleans())),
    )


@st.composite
def choices(draw: st.DrawFn) -> View:
    """Views with at least two eligible targets: a public request without limits."""
    view = draw(views(least=2))
    admitted = tuple(
        replace(
            target,
            retry_in_s=0.0,
            bytes_needed=Bytes(0),
            context=32768,
            capabilities=frozenset(Capability),
            tasks=frozenset(),
            arithmetic_only=False,
        )
        for target in view.roster.targets
    )
    profile = replace(view.profile, farthest=Zone.CLOUD, max_load_s=None)
    free = replace(view, limits=Limits(), label=Label.PUBLIC, pinned_model=None, profile=profile)
    return with_targets(replace(free, spending=None), admitted)


def with_targets(view: View, targets: tuple[Target, ...]) -> View:
    return replace(view, roster=Roster.of(targets))


def changed(view: View, target: Target, **fields: Any) -> View:
    """The view with one target changed."""
    others = tuple(t for t in view.roster.targets if t.id != target.id)
    return with_targets(view, (*others, replace(target, **fields)))


def total_s(view: View, target: Target) -> float:
    load_s = 0.0 if target.warmth is Warmth.WARM else target.rates.load_s
    return (
        load_s
        + target.rates.latency_s
        + target.queued_tokens / target.rates.decode_tok_s
        + unread(view, target) / target.rates.prefill_tok_s
        + output(view) / target.rates.decode_tok_s
    )


def unread(view: View, target: Target) -> int:
    prompt = view.features.prompt_tokens
    held = sum(each.tokens for each in view.held if each.target == target.id)
    return prompt - min(held, max(prompt - 1, 0))


def joules(view: View, target: Target) -> float:
    if target.zone is not Zone.DEVICE:
        return 0.0
    queue_s = target.queued_tokens / target.rates.decode_tok_s
    computes_s = total_s(view, target) - queue_s - target.rates.latency_s
    return target.rates.watts * computes_s


def usd(view: View, target: Target) -> float:
    prompt = view.features.prompt_tokens * target.usd_in_per_mtok
    return (prompt + output(view) * target.usd_out_per_mtok) / 1e6


def output(view: View) -> int:
    bound = view.features.max_tokens
    return view.features.output_tokens if bound is None else min(view.features.output_tokens, bound)


def may_see(view: View, target: Target) -> bool:
    """The privacy rules alone."""
    if target.zone is not Zone.DEVICE and (
        view.limits.on_device == "only" or view.label is Label.SECRET
    ):
        return False
    return view.label <= target.max_label and target.zone <= view.profile.farthest


def eligible(view: View, target: Target) -> bool:
    """Every rule."""
    asked, bounds = view.features, view.limits
    room = target.context - asked.prompt_tokens // 2  # what it surely has
    cold = target.warmth is not Warmth.WARM
    waits = view.profile.max_load_s
    rules = (
        view.pinned_model in (None, target.id),
        asked.needs <= target.capabilities,
        view.pinned_model or not target.tasks or asked.task in target.tasks,
        asked.arithmetic or not target.arithmetic_only,
        may_see(view, target),
        room >= (asked.max_tokens or 1),
        target.bytes_needed <= view.budget_bytes,
        target.retry_in_s == 0,
        view.pinned_model or waits is None or not cold or target.rates.load_s <= waits,
        bounds.deadline_s is None or total_s(view, target) <= bounds.deadline_s,
        bounds.max_j is None or joules(view, target) <= bounds.max_j,
        bounds.max_usd is None or usd(view, target) <= bounds.max_usd,
        view.spending is None or usd(view, target) <= view.spending.left,
    )
    return all(rules)
