"""How fast this model reads prompts here and now, and what follows from it. Pure."""

from edgeroute.worker.batching import BLOCK

STALL_S = 0.5
"""Seconds for which prompts may hold up those who are being answered. A batch of 512 tokens holds
them up for 1.5 s with the starter model on two cores; whole batches are a little faster."""
FEWEST = BLOCK
"""Tokens of prompt in a batch that are worth measuring, and that are always granted."""
_WEIGHT = 0.3


class Pace:
    """Measured prefill rates.

    Attributes:
        best: Prompt tokens per second at the fastest seen, 0 before the first; the machine can do
            as well again, so what even this rate cannot do is hopeless.
    """

    def __init__(self) -> None:
        self.best = 0.0
        self._rate = 0.0

    def note(self, prompt_tokens: int, seconds: float) -> None:
        """Take in how long a batch with so many prompt tokens took."""
        if prompt_tokens < FEWEST or seconds <= 0:
            return
        rate = prompt_tokens / seconds
        self.best = max(self.best, rate)
        self._rate += (rate - self._rate) * (_WEIGHT if self._rate else 1.0)

    @property
    def prompt_rows(self) -> int:
        """Rows of prompts in a batch with others that generate."""
        return max(FEWEST, int(self._rate * STALL_S))
