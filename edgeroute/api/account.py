"""A decision told as plain data: what the CLI prints and `--json` gives."""

from collections.abc import Mapping

from edgeroute.domain.decision import Cascade, Decision, Ranked, Refusal, Rejection
from edgeroute.domain.energy import Energy
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.units import ModelId
from edgeroute.routing.beliefs import credible
from edgeroute.routing.cascade import claim_on
from edgeroute.routing.explain import policy_lines, rejections
from edgeroute.routing.view import View
from edgeroute.runtime.record import Recalled


def account(
    view: View, decision: Decision, target: ModelId, outcome: Outcome | None
) -> dict[str, object]:
    """Tell a decision and who answers by it, which after a fail-over is not the chosen target.

    `outcome` is how it went so far, `None` for a dry run.
    """
    ranked = next(r for r in decision.plan if r.target == target)
    told = {
        **_request(view),
        "target": target,
        "model": target,
        "zone": ranked.zone.word,
        "confidence": round(ranked.estimate.p_ok, 4),
        "reason": decision.reason,
        "flip": decision.flip,
        "terms": _terms(ranked),
        "cascade": _cascade(decision.cascade),
        "explored": decision.explored,
        "propensity": round(decision.propensity, 4),
        "plan": [
            {**_ranked(r), **_belief(view, r.target), "claim": _claim(view, r.target)}
            for r in decision.plan
        ],
        "rejected": [_rejection(r) for r in rejections(view)],
        "joules": {
            **_joules(ranked.estimate.device, ranked.estimate.system),
            "of": "what is expected",
        },
    }
    return told if outcome is None else {**told, **_outcome(outcome)}


def refusal_account(view: View, refusal: Refusal) -> dict[str, object]:
    """Tell a refusal."""
    return {
        **_request(view),
        "target": None,
        "reason": refusal.reason,
        "change": refusal.change,
        "rejected": [_rejection(r) for r in refusal.rejections],
    }


def recalled_account(recalled: Recalled) -> dict[str, object]:
    """Tell a decision from the journal."""
    view, decision, outcome = recalled.view, recalled.decision, recalled.outcome
    if isinstance(decision, Refusal):
        return refusal_account(view, decision)
    answered = None if outcome is None else outcome.target
    planned = {ranked.target for ranked in decision.plan}
    target = answered if answered in planned else decision.chosen.target
    assert target is not None  # noqa: S101 - a plan is never empty
    return account(view, decision, target, outcome)


def _request(view: View) -> dict[str, object]:
    features = view.features
    return {
        "id": view.id,
        "app": view.app,
        "label": view.label.word,
        "policy": policy_lines(view),
        "task": features.task.value,
        "task_probability": round(features.task_probability, 4),
        "prompt_tokens_estimate": features.prompt_tokens,
        "output_tokens_estimate": features.output_tokens,
        "output_tokens_p90_estimate": features.output_tokens_p90,
        "subject": features.subject,
        "subject_probability": features.subject_probability,
        "needs_tools": features.needs_tools,
        "needs_fresh": features.needs_fresh,
        "difficulty": features.difficulty,
        "topics": features.topics,
        "findings": features.findings,
        "profile": view.profile.name,
        "profile_reason": view.profile_reason,
        "settled": view.settled,
        "power": view.power.state,
    }


def _cascade(cascade: Cascade | None) -> dict[str, object] | None:
    if cascade is None:
        return None
    return {
        "steps": [
            {
                "target": step.target,
                "accepts": [grade.name.lower() for grade in step.accepts],
                "reached": round(step.reached, 4),
            }
            for step in cascade.steps
        ],
        "utility": round(cascade.utility, 5),
        "p_ok": round(cascade.p_ok, 4),
        "total_s": round(cascade.total_s, 4),
    }


def _joules(device: Energy, system: Energy) -> dict[str, object]:
    return {
        "device": round(device.joules, 3),
        "device_interval": [round(device.low, 3), round(device.high, 3)],
        "system": round(system.joules, 3),
        "system_interval": [round(system.low, 3), round(system.high, 3)],
        "quality": device.quality,
        "system_quality": system.quality,
    }


def _terms(ranked: Ranked) -> dict[str, float]:
    return {term.name: round(term.value, 5) for term in ranked.terms}


def _ranked(ranked: Ranked) -> dict[str, object]:
    estimate = ranked.estimate
    return {
        "target": ranked.target,
        "utility": round(ranked.utility, 5),
        "terms": _terms(ranked),
        "p_ok": round(estimate.p_ok, 4),
        "ttft_s": round(estimate.ttft_s, 4),
        "total_s": round(estimate.total_s, 4),
        "device_joules": round(estimate.device_joules, 3),
        "usd": estimate.usd,
        "held_tokens": estimate.held_tokens,
    }


def _belief(view: View, target: ModelId) -> dict[str, object]:
    """What P(ok) comes from.

    Observations in the finest cell, and how many of them were heard from other machines; the 90%
    interval; the correction.
    """
    if view.evidence is None:
        return {}
    belief = view.evidence.belief(view.roster.ids.index(target))
    return {
        "ok": round(belief.ok, 2),
        "bad": round(belief.bad, 2),
        "heard": round(belief.heard, 2),
        "interval": [round(bound, 4) for bound in credible(belief)],
        "correction": round(belief.correction, 4),
    }


def _claim(view: View, target: ModelId) -> dict[str, object] | None:
    """At which grades its drafts are proved; `None` where the profile asks for no proof."""
    claim = claim_on(view, view.roster.ids.index(target))
    if claim is None:
        return None
    checkable = view.features.checkable
    return {
        "of": "" if checkable is None else checkable.value,
        "grades": [grade.name.lower() for grade in claim.grades],
        "wrong_at_most": round(claim.wrong_at_most, 4),
        "verified": claim.verified,
        "withdrawn": claim.withdrawn,
    }


def _rejection(rejection: Rejection) -> dict[str, str]:
    return {
        "target": rejection.target,
        "code": rejection.code.value,
        "reason": rejection.reason,
        "change": rejection.change,
    }


def _outcome(outcome: Outcome) -> Mapping[str, object]:
    spent = outcome.spent
    taken = (
        {}
        if spent is None
        else {
            "joules": {
                **_joules(spent.device, spent.system),
                "prefill": round(spent.prefill_j, 3),
                "decode": round(spent.decode_j, 3),
                "of": "what was taken",
            }
        }
    )
    return {
        **taken,
        "ending": outcome.ending,
        "error": outcome.error,
        "usage": {
            "prompt_tokens": outcome.prompt_tokens,
            "completion_tokens": outcome.completion_tokens,
            "cached_tokens": outcome.cached_tokens,
            "estimated": outcome.estimated,
        },
        "usd": outcome.usd,
        "drafts": [
            {
                "target": draft.target,
                "grade": draft.grade.name.lower(),
                "checkable": draft.checkable.value,
                "reason": draft.reason,
                "accepted": draft.accepted,
                "total_s": round(draft.total_s, 4),
                "completion_tokens": draft.completion_tokens,
            }
            for draft in outcome.drafts
        ],
        "ttft_s": outcome.ttft_s,
        "total_s": outcome.total_s,
        "decode_tok_s": outcome.decode_tok_s,
        "attempts": [
            {
                "target": a.target,
                "error": a.error,
                "waited_s": round(a.waited_s, 4),
                "reason": a.reason,
                "ttft_s": a.ttft_s,
            }
            for a in outcome.attempts
        ],
    }
