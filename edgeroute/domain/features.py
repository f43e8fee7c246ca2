"""What is known of a query without its text.

A `Features` may be journalled and replayed: it never holds prompt text or a vector that could be
turned back into it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Task(StrEnum):
    """What kind of work a query is."""

    MATH = "math"
    CODING = "coding"
    KNOWLEDGE_QA = "knowledge_qa"
    REASONING = "reasoning"
    CREATIVE = "creative"
    TOOL_USE = "tool_use"
    CHIT_CHAT = "chit_chat"
    SUMMARISE = "summarise"
    EXTRACT = "extract"
    CLASSIFY = "classify"
    REWRITE = "rewrite"
    TRANSLATE = "translate"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Features:
    """The query as the router sees it.

    Attributes:
        task: Most probable task.
        task_probability: Its probability, 0..1.
        prompt_tokens: Upper estimate of the prompt's length in tokens.
        output_tokens: Expected length of the answer in tokens.
        max_tokens: The caller's bound on the answer, or `None`.
    """

    task: Task
    task_probability: float
    prompt_tokens: int
    output_tokens: int
    max_tokens: int | None = None
