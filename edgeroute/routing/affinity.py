"""Where the beginning of a conversation is in memory: what makes going on elsewhere dear.

An engine keeps the keys and values of what it has read and said, so that the next turn costs it the
new tokens alone, and costs any other target all of them. That difference is the switching cost: no
addend of its own, but seconds and joules that the one target saves (`estimate`). A conversation
thus stays where it is until what is gained elsewhere is more than reading it once more.

Owns which beginnings each target has met last, and how much of what it should have had in memory
it said that it had: slots are taken by others, providers keep what they like or tell nothing of it.
Beginnings are known by marks, bounded in number. Whole conversations are noted, for the turn after
them, and what came before their last turn: for a turn that is asked anew, and for what many
conversations begin with, such as a system prompt.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence

from edgeroute.domain.outcome import Outcome
from edgeroute.domain.prefix import Beginning, Held, Mark
from edgeroute.domain.privacy import Label
from edgeroute.domain.units import ModelId

MOST_BEGINNINGS = 1 << 13
"""Remembered; what was met longest ago is forgotten first. Workers hold some hundred."""
_NOTED = 2
"""Of a conversation's beginnings, the longest."""
_EXPECTED = 0.9
"""Share of what a target has read that is taken to be in memory before it has told anything."""
_NEWEST = 0.2
"""Weight of what it told last."""
_LEAST_TOKENS = 16
"""Fewer are not worth staying for, nor told as a reason."""

_Known = dict[ModelId, bool]
"""Who has read a beginning, and whether what it said then comes next."""


class PrefixAffinity:
    """What targets have in memory of conversations, as far as can be known from outside."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Label, Mark], _Known] = OrderedDict()
        self._kept: dict[ModelId, float] = {}

    def __len__(self) -> int:
        """Beginnings that are remembered."""
        return len(self._known)

    def held(self, label: Label, begun: Sequence[Beginning], tokens: int) -> tuple[Held, ...]:
        """What is expected to be in memory of a prompt, by target.

        Args:
            label: Of the request; engines share nothing among labels.
            begun: Beginnings of the conversation, the whole one last.
            tokens: Upper estimate of the prompt's length.
        """
        answered = next((each.share for each in begun if each.answered), math.inf)
        held = (
            Held(target, int(self._keeps(target) * share * tokens), share >= answered)
            for target, share in sorted(self._shares(label, begun).items())
        )
        return tuple(each for each in held if each.tokens >= _LEAST_TOKENS)

    def learn(self, label: Label, begun: Sequence[Beginning], parts: Sequence[Outcome]) -> None:
        """Take in who has read a conversation, and what of it they had in memory already.

        Args:
            label: That it was read under; of a `secret` one nothing is kept.
            begun: Its beginnings, the whole one last.
            parts: What happened at each target, the one whose answer was given last.
        """
        if label is Label.SECRET or not begun:
            return
        shares = self._shares(label, begun)
        for part in parts:
            if part.target is None or part.ttft_s is None:
                continue
            if part.target in shares and part.prompt_tokens and not part.estimated:
                had = part.cached_tokens / part.prompt_tokens / shares[part.target]
                kept = self._keeps(part.target)
                self._kept[part.target] = kept + _NEWEST * (min(1.0, had) - kept)
            self._note(label, begun, part.target, gave=part is parts[-1])

    def _note(
        self, label: Label, begun: Sequence[Beginning], target: ModelId, *, gave: bool
    ) -> None:
        for beginning in begun[-_NOTED:]:
            known = self._known.setdefault((label, beginning.mark), {})
            known[target] = gave and beginning is begun[-1]
            self._known.move_to_end((label, beginning.mark))
        while len(self._known) > MOST_BEGINNINGS:
            self._known.popitem(last=False)

    def _shares(self, label: Label, begun: Sequence[Beginning]) -> dict[ModelId, float]:
        """Of the conversation, what each target has read or said, 0..1."""
        shares: dict[ModelId, float] = {}
        after: Beginning | None = None
        for beginning in reversed(begun):
            known = self._known.get((label, beginning.mark))
            said = after if after is not None and after.answered else beginning
            for target, gave in ({} if known is None else known).items():
                shares.setdefault(target, (said if gave else beginning).share)
            after = beginning
        return shares

    def _keeps(self, target: ModelId) -> float:
        return self._kept.get(target, _EXPECTED)
