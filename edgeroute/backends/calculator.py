"""The calculator: pure arithmetic, exact, in no time.

It is offered nothing but what `understanding` found to be arithmetic; what that is and comes to is
`domain/arithmetic`'s.
"""

from typing import Final

from edgeroute.domain.arithmetic import answer
from edgeroute.domain.capability import Capability
from edgeroute.domain.errors import ToolFailed
from edgeroute.domain.features import Task
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import ModelId

CALCULATOR: Final = Target(
    id=ModelId("tool/calculator"),
    zone=Zone.DEVICE,
    context=1 << 18,
    parameters=0,
    rates=Rates(0.0, prefill_tok_s=1e6, decode_tok_s=1e6, watts=0.0),
    warmth=Warmth.WARM,
    max_label=Label.SECRET,
    # It is right whenever it is asked; what is left is that no number was wanted.
    scores=dict.fromkeys(Task, 0.99),
    capabilities=frozenset({Capability.CHAT}),
    arithmetic_only=True,
)


class Calculator:
    """Works out sums (see `tool.Runs`)."""

    async def probe(self) -> None:
        """See `tool.Runs`: it is always there."""

    async def __call__(self, text: str) -> str:
        """See `tool.Runs`."""
        value = answer(text)
        if value is None:  # nobody offers it such a text
            raise ToolFailed("the calculator answers pure arithmetic alone")
        return value

    async def close(self) -> None:
        """See `tool.Runs`: there is nothing to let go of."""
