"""What is known of an authored prompt."""

from dataclasses import dataclass
from typing import Literal

Language = Literal[
    "en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "tr", "ru", "zh", "ja", "ko", "ar", "hi"
]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt with what the heads learn from it; `None` leaves a head untaught.

    Attributes:
        task: A value of `domain.features.Task`.
        family: Which template or hand-written list it comes from; validation leaves families out.
        context: The user's message before it, where it only makes sense after one.
        subject: A value of `domain.features.Subject`.
        topics: Values of `domain.features.Topic`; `()` is none of them, `None` is unlabelled.
        needs_tools: An answer needs an action or a look-up.
        needs_fresh: An answer needs facts of today.
        output_tokens: A typical answer's length.
        difficulty: 0 trivial, 1 easy, 2 middling, 3 hard, 4 for experts.
    """

    text: str
    task: str
    family: str
    language: Language = "en"
    context: str = ""
    subject: str | None = None
    topics: tuple[str, ...] | None = None
    needs_tools: bool | None = None
    needs_fresh: bool | None = None
    output_tokens: int | None = None
    difficulty: int | None = None
