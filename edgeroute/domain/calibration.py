"""What a model did on this machine when it was measured on purpose."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a model did with one thread count, while nothing else ran.

    Attributes:
        chosen: The model is served with so many.
        prefill_tok_s: Prompt tokens per second.
        decode_tok_s: Tokens drawn per second of one answer alone.
        tok_s_1: Tokens drawn per second, the reading of the prompt included.
        joules_1: Per token drawn, the same.
        tok_s_8: The same while eight are answered together, of all of them.
        joules_8: The same.
        counted: The joules were counted by the processor; else they are a model.
    """

    threads: int
    chosen: bool
    prefill_tok_s: float
    decode_tok_s: float
    tok_s_1: float
    joules_1: float
    tok_s_8: float
    joules_8: float
    counted: bool

    @property
    def watts(self) -> float:
        """While it answers alone."""
        return self.tok_s_1 * self.joules_1
