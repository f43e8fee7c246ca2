"""How the CLI writes: JSON on one line, decisions and tables for people."""

from collections.abc import Iterator, Sequence
from typing import Any

from edgeroute.domain.units import format_seconds
from edgeroute.wire.openai import encode_json


def print_json(value: object) -> None:
    """Print one JSON object on one line."""
    print(encode_json(value).decode())


def decision_lines(account: dict[str, Any]) -> Iterator[str]:
    """Tell a decision in a screen: who, why, what it took, and who was not chosen."""
    yield f"\ndecision {account['id']}"
    yield (
        f"  task      {account['task']} ({account['task_probability']:.0%} sure), "
        f"label {account['label']}"
    )
    yield f"  profile   {account['profile']}, {account['profile_reason']}"
    yield from (f"  policy    {line}" for line in account["policy"])
    yield from _reading_lines(account)
    if account["settled"]:
        yield f"  settled   {', '.join(_set(account['settled']))}, by [tasks.{account['task']}]"
    if account["target"] is None:
        yield f"  refused   {account['reason']}"
        yield f"  change    {account['change']}"
    else:
        yield f"  target    {account['target']} ({account['zone']})"
        yield f"  because   {account['reason']}"
        if account["flip"]:
            yield f"  unless    {account['flip']}"
        yield from _cascade_lines(account)
        yield from _outcome_lines(account)
        yield from _claim_lines(account["plan"])
        yield from _plan_lines(account["plan"])
    for rejected in account["rejected"]:
        yield f"  not {rejected['target']}: {rejected['reason']}"


def _reading_lines(account: dict[str, Any]) -> Iterator[str]:
    """What else was read from the text, where it says something."""
    if account["subject"] is not None:
        yield f"  subject   {account['subject']} ({account['subject_probability']:.0%} sure)"
    delicate = [*account["topics"], *account["findings"]]
    if delicate:
        yield f"  delicate  {', '.join(delicate)}"


def _cascade_lines(account: dict[str, Any]) -> Iterator[str]:
    """Who drafts and what of it is given, and what the checks said of each draft."""
    cascade = account["cascade"]
    if cascade is not None:
        *drafting, last = cascade["steps"]
        for step in drafting:
            yield f"  draft     {step['target']}, given where it is {' or '.join(step['accepts'])}"
        yield f"  else      {last['target']}, in {last['reached']:.0%} of such cases"
    for draft in account.get("drafts", ()):
        end = "given" if draft["accepted"] else "not given"
        yield f"  checked   {draft['target']}: {draft['grade']}, {end} ({draft['reason']})"


def _set(settled: dict[str, Any]) -> Iterator[str]:
    for name, value in settled.items():
        yield "a system prompt" if name == "system" else f"{name} {value:g}"


def _outcome_lines(account: dict[str, Any]) -> Iterator[str]:
    if "ending" not in account:
        return
    usage, ttft_s, speed = account["usage"], account["ttft_s"], account["decode_tok_s"]
    took = [f"{usage['completion_tokens']} tokens in {format_seconds(account['total_s'])}"]
    if ttft_s is not None:
        took.append(f"first after {format_seconds(ttft_s)}")
    if speed is not None:
        took.append(f"{speed:.0f} tok/s")
    if account["usd"]:
        took.append(f"{'at most ' if usage['estimated'] else ''}${account['usd']:.2g}")
    yield f"  took      {', '.join(took)}"
    for attempt in account["attempts"]:
        if attempt["error"] is not None:
            yield f"  failed    {attempt['target']}: {attempt['error']}"
    if account["error"]:
        yield f"  error     {account['error']}"


def _plan_lines(plan: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "  candidates (utility = quality + money + energy + time)"
    width = max(len(ranked["target"]) for ranked in plan)
    for ranked in plan:
        terms = " ".join(f"{name} {value:+.3f}" for name, value in ranked["terms"].items())
        took = f"{format_seconds(ranked['total_s'])}, {ranked['device_joules']:.0f} J"
        yield (
            f"    {ranked['target']:<{width}} {ranked['utility']:+.3f} = {terms}"
            f"   (P(ok) {ranked['p_ok']:.2f}{_evidence(ranked)}, {took})"
        )


def _claim_lines(plan: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What is proved of drafts, where the profile asks for it."""
    for ranked in plan:
        claim = ranked["claim"]
        if claim is None:
            continue
        seen = f"{claim['verified']} judged answers to such requests"
        if claim["grades"]:
            given = f"{' or '.join(claim['grades'])}, wrong at most {claim['wrong_at_most']:.0%}"
            told = f"{given} (90% sure, {seen})"
        else:
            told = f"nothing{', withdrawn' if claim['withdrawn'] else ''} ({seen})"
        yield f"  proved    {ranked['target']}: {told}"


def _evidence(ranked: dict[str, Any]) -> str:
    """What P(ok) rests on, such as ` in .41-.80, 12 good 3 bad (9 of them here, 6 by peers)`."""
    if "interval" not in ranked:
        return ""
    low, high = (f"{bound:.2f}".removeprefix("0") for bound in ranked["interval"])
    counted = ranked["ok"] + ranked["bad"] > 0
    seen = f", {ranked['ok']:.0f} good {ranked['bad']:.0f} bad" if counted else ""
    if ranked["heard"] > 0:
        here = ranked["ok"] + ranked["bad"] - ranked["heard"]
        seen += f" ({here:.0f} of them here, {ranked['heard']:.0f} by peers)"
    corrected = f", {ranked['correction']:+.2f} by its text" if ranked["correction"] else ""
    return f" in {low}-{high}{seen}{corrected}"


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align columns; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = zip(row, widths, strict=True)
        yield "  ".join(cell.ljust(width) for cell, width in cells).rstrip()


def power_line(state: str, percent: float | None) -> str:
    """Tell battery and mains."""
    charge = "" if percent is None else f", {percent:.0f}%"
    return f"power     {state.replace('_', ' ')}{charge}"
