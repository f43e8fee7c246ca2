"""What really happened to a request."""

from dataclasses import dataclass
from typing import Literal

from edgeroute.domain.energy import Spent
from edgeroute.domain.units import ModelId, Usd
from edgeroute.domain.verification import Draft

Ending = Literal["stop", "length", "tool_calls", "cancelled", "error"]
Reason = Literal["planned", "repeat", "hedge"]
"""Why a target was asked: it was its turn, it had failed and might not again, another was late."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One target tried.

    Attributes:
        error: Code of the failure, or `None`.
        waited_s: From the lease being asked to it being granted: queue and load.
        ttft_s: From being asked to its first piece; `None` where it gave none.
    """

    target: ModelId
    error: str | None
    waited_s: float
    reason: Reason = "planned"
    ttft_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one request.

    Attributes:
        target: Who answered; `None` where nobody did.
        ttft_s: From acceptance to the first token; `None` without one.
        prefill_tok_s: Prompt tokens per second as the worker measured; `None` where it did not.
        decode_tok_s: Generated tokens per second after the first; `None` under two tokens.
        usd: What it cost, by the target's prices and the tokens counted; `None` where nobody
            answered.
        estimated: The tokens, and so the dollars, are an upper estimate: nobody counted.
        cached_tokens: Of the prompt, that were in memory already.
        spent: Joules; `None` where nobody metered it.
        drafts: Answers that were checked, the one that was given included; all that they took is
            in the amounts above.
    """

    ending: Ending
    target: ModelId | None
    attempts: tuple[Attempt, ...]
    total_s: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    ttft_s: float | None = None
    prefill_tok_s: float | None = None
    decode_tok_s: float | None = None
    error: str | None = None
    usd: Usd | None = None
    estimated: bool = False
    cached_tokens: int = 0
    spent: Spent | None = None
    drafts: tuple[Draft, ...] = ()
