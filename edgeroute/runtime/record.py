"""What is remembered of decisions, so that each can be explained later as it was made.

A journalled `View` holds no text; explaining one decides it again, which gives the same answer.
"""

import msgspec

from edgeroute.domain.decision import Explanation
from edgeroute.domain.errors import NotFound
from edgeroute.domain.outcome import Outcome
from edgeroute.domain.units import ModelId, RequestId
from edgeroute.ports import Journal
from edgeroute.routing.explain import explain
from edgeroute.routing.view import View, ViewRecord


class Recalled(msgspec.Struct, frozen=True):
    """A decision from the journal, explained, and how it ended if it has."""

    view: ViewRecord
    explanation: Explanation
    outcome: Outcome | None


class Record:
    """Writes decisions and outcomes to the journal and explains them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def decided(self, view: View, at: float) -> None:
        """Remember what was known at a decision; `at` is Unix seconds."""
        self._journal.write_decision(view.id, at, msgspec.json.encode(view.record()))

    def ended(self, request: RequestId, outcome: Outcome) -> None:
        """Remember how a request ended."""
        self._journal.write_outcome(request, msgspec.json.encode(outcome))

    def used(self, model: ModelId, app: str, asked: float, ended: float) -> None:
        """Remember when a model was asked for, Unix seconds: habits outlive the daemon."""
        self._journal.write_use(model, app, asked, ended)

    async def recall(self, request: RequestId) -> Recalled:
        """Explain a past decision.

        Raises:
            NotFound: The journal holds no decision of that id.
        """
        row = await self._journal.read_decision(request)
        if row is None:
            raise NotFound(f"no decision {request!r} in the journal")
        record = msgspec.json.decode(row.view, type=ViewRecord)
        outcome = None if row.outcome is None else msgspec.json.decode(row.outcome, type=Outcome)
        return Recalled(record, explain(record.view()), outcome)
