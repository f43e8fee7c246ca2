"""What is told of an answer before its first word: who gives it, and why."""

from typing import NamedTuple

from edgeroute.runtime.dispatch import Answer


class Head(NamedTuple):
    """The facts of an answer that has begun."""

    request: str
    target: str
    zone: str
    task: str
    reason: str


def head_of(answer: Answer) -> Head:
    """Tell who answers; settled once the first chunk is there."""
    zone = next(r.zone for r in answer.decision.plan if r.target == answer.target)
    task = answer.view.features.task.value
    return Head(answer.view.id, answer.target, zone.word, task, answer.decision.reason)
