"""A program or URL of the user's as a target: the question's text in, the answer's text out.

Owns what a tool is told and what counts as its answer: with a schema, JSON that obeys it. Anything
else is a failure before the first token, so that the next target is asked.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from edgeroute.domain.capability import Capability
from edgeroute.domain.destination import ToolProgram
from edgeroute.domain.errors import ToolFailed, Unsupported
from edgeroute.domain.features import Task
from edgeroute.domain.request import AnyRequest, Chunk, Request, Usage
from edgeroute.domain.target import Rates, Target, Warmth
from edgeroute.domain.units import ModelId
from edgeroute.ports import ApprovedPayload
from edgeroute.wire.undecodable import UNDECODABLE

_AT_ONCE: Final = 4
"""Questions that one tool works on; others wait, within their time."""
_GOOD: Final = 0.9
"""P(acceptable) for the tasks that its owner gave it, until outcomes say otherwise."""
_CONTEXT: Final = 1 << 18
_RATES: Final = Rates(0.0, prefill_tok_s=1e6, decode_tok_s=1e6, watts=5.0, latency_s=1.0)
"""A tool takes as long as it takes, whatever the lengths; its first answers tell."""
_TOKEN_BYTES: Final = 4


class Runs(Protocol):
    """Where a tool runs."""

    async def probe(self) -> None:
        """Raise `ToolFailed` where it cannot run."""
        ...

    async def __call__(self, text: str) -> str:
        """What it says to a text; cancelling ends it.

        Raises:
            EdgeRouteError: It cannot be reached, or failed.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class _Told(msgspec.Struct):
    text: str


def target_of(program: ToolProgram) -> Target:
    """A tool of the user's as a target."""
    return Target(
        id=ModelId(f"tool/{program.name}"),
        zone=program.zone,
        context=_CONTEXT,
        parameters=0,
        rates=_RATES,
        warmth=Warmth.WARM,
        max_label=program.max_label,
        scores={**dict.fromkeys(Task, 0.0), **dict.fromkeys(program.tasks, _GOOD)},
        capabilities=frozenset({Capability.CHAT}),
        tasks=program.tasks,
    )


class Tool:
    """One tool (see `ports.Provider`); it is its own only target.

    Args:
        target: What it is to routing.
        runs: Where it runs.
        timeout_s: Seconds for the whole answer.
        schema: JSON schema that an answer must obey, as JSON text; empty is any text.
    """

    def __init__(self, target: Target, runs: Runs, timeout_s: float, schema: str = "") -> None:
        self.name = str(target.id)
        self._target = target
        self._runs = runs
        self._timeout_s = timeout_s
        self._schema = schema
        self._places = asyncio.Semaphore(_AT_ONCE)

    def targets(self) -> Sequence[Target]:
        """See `ports.Provider`."""
        return (self._target,)

    async def probe(self) -> None:
        """See `ports.Provider`."""
        await self._runs.probe()

    def compose(self, target: ModelId, request: AnyRequest) -> Mapping[str, object]:
        """See `ports.Provider`: what the user said last, and nothing before it."""
        if not isinstance(request, Request):
            raise Unsupported(f"{target} makes no vectors")
        said = (message.content for message in reversed(request.messages) if message.role == "user")
        return {"text": next(said, "")}

    async def answer(self, payload: ApprovedPayload) -> AsyncGenerator[Chunk, None]:
        """See `ports.Provider`."""
        told = msgspec.json.decode(payload.body, type=_Told)
        limit_s = self._timeout_s
        try:
            async with asyncio.timeout(limit_s), self._places:
                said = await self._runs(told.text)
        except TimeoutError:
            raise ToolFailed(
                f"{self.name} took longer than {limit_s:g} s",
                hint="raise timeout_s of its [[tools]]",
            ) from None
        if self._schema:
            _refuse_wrong(self.name, said, msgspec.json.decode(self._schema))
        tokens = len(payload.body) // _TOKEN_BYTES, len(said.encode()) // _TOKEN_BYTES + 1
        yield Chunk(said)
        yield Chunk("", "stop", Usage(*tokens, estimated=True))

    async def close(self) -> None:
        """See `ports.Provider`."""
        await self._runs.close()


def _refuse_wrong(name: str, said: str, schema: Any) -> None:
    from jsonschema import ValidationError, validate  # noqa: PLC0415 - 60 ms, needed by few
    from referencing import Registry  # noqa: PLC0415

    try:
        # An empty registry: a schema may not have others fetched for it.
        validate(msgspec.json.decode(said), schema, registry=Registry())
    except UNDECODABLE as error:
        raise ToolFailed(f"{name}: its answer is not JSON that can be read") from error
    except ValidationError as error:
        raise ToolFailed(
            f"{name}: its answer does not obey its schema at {error.json_path}"
        ) from error
