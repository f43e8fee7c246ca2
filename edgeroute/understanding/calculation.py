"""Whether a request asks for nothing but arithmetic.

Owns what surrounds the sum: a system message may want a certain form of answer, and a turn before
it may have said so; only a conversation of sums alone is claimed.
"""

from edgeroute.domain.arithmetic import answer
from edgeroute.domain.request import Request


def is_arithmetic(request: Request) -> bool:
    """Whether a calculator answers the request best; well under 5 us where it does not."""
    if not request.messages or request.messages[-1].role != "user":
        return False
    for message in reversed(request.messages):
        is_sum = message.role == "user" and answer(message.content) is not None
        if not is_sum and message.role != "assistant":
            return False
    return True
