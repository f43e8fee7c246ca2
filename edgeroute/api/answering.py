"""What every answer has in common, whatever it answers: its line, its headers, its explanation."""

from abc import abstractmethod
from collections.abc import Mapping

from edgeroute.api.account import account
from edgeroute.api.head import head_of
from edgeroute.api.house import House
from edgeroute.api.reply import Produced, Reply, header_safe
from edgeroute.domain.request import AnyRequest
from edgeroute.runtime.dispatch import Answer


class Answering(Produced):
    """One request being answered; whoever hangs up ends it.

    Args:
        request: What is asked for.
        explain: The answer carries the decision with its reasons.
    """

    def __init__(self, house: House, request: AnyRequest, *, explain: bool) -> None:
        super().__init__(self._answer, {"x-edgeroute-id": request.id})
        self._house = house
        self._request = request
        self._explain = explain

    async def _answer(self, reply: Reply) -> None:
        async with self._house.dispatcher.answer(self._request) as answer:
            await self._answered(reply, answer)

    @abstractmethod
    async def _answered(self, reply: Reply, answer: Answer) -> None:
        """Write what comes."""

    def _extra(self, answer: Answer) -> Mapping[str, object] | None:
        if not self._explain:
            return None
        return account(answer.view, answer.decision, answer.target, answer.outcome())

    def _headers(self, answer: Answer) -> dict[str, str]:
        head = head_of(answer)
        headers = {
            "x-edgeroute-id": head.request,
            "x-edgeroute-target": head.target,
            "x-edgeroute-zone": head.zone,
            "x-edgeroute-task": head.task,
            "x-edgeroute-reason": header_safe(head.reason),
        }
        if self._request.ignored:
            headers["x-edgeroute-ignored"] = header_safe(",".join(self._request.ignored))
        return headers
