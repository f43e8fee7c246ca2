"""Streaming clients of OpenAI-compatible servers, over a Unix socket or loopback.

One connection per request, raw sockets, and no more parsing than the figures need: the clients
share the cores with what they measure.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

WORDS = tuple(
    word
    for line in (
        "apple river stone cloud table green window paper music garden silver bridge winter",
        "dragon market letter forest candle engine mirror pocket summer island rocket blanket",
        "castle doctor farmer guitar hammer jacket kitchen ladder monkey needle orange pencil",
        "rabbit sister teacher umbrella village whisper yellow animal bottle carpet dinner",
        "flower harbor insect jungle",
    )
    for word in line.split()
)


T = TypeVar("T")


def turned(items: Sequence[T], number: int) -> list[T]:
    """The same in another order each round, so that nobody always comes after the same one."""
    first = number % len(items)
    return [*items[first:], *items[:first]]


class Listening(Protocol):
    """Who is asked: at the path of a Unix socket, or a port on loopback; and for which model."""

    name: str
    address: str | int
    model: str


@dataclass(slots=True)
class Answer:
    """One streamed answer; times are `perf_counter` seconds.

    Attributes:
        times: When each piece of text arrived.
        tokens: Completion tokens, by the server's own count where it tells one.
        cached_tokens: Of the prompt, that were in memory, where it tells.
        model: Who answered, as it says.
    """

    started: float
    times: list[float] = field(default_factory=list)
    ended: float = 0.0
    tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    model: str = ""
    text: str = ""
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, pieces: int) -> None:
        """Return when so many pieces have arrived."""
        while len(self.times) < pieces:
            self.grown.clear()
            await self.grown.wait()

    @property
    def ttft_s(self) -> float:
        return self.times[0] - self.started


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asks."""

    user: str
    system: str = ""
    max_tokens: int = 64
    history: tuple[tuple[str, str], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def body(self, model: str) -> bytes:
        messages = [{"role": "system", "content": self.system}] if self.system else []
        messages += [{"role": role, "content": content} for role, content in self.history]
        messages.append({"role": "user", "content": self.user})
        fields: dict[str, Any] = {
            "model": model,
            "messages": messages,
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self.extra,
        }
        return json.dumps(fields).encode()


def words(rng: random.Random, count: int) -> str:
    """Text that no cache has seen, about one token a word."""
    return " ".join(rng.choice(WORDS) for _ in range(count))


def story(rng: random.Random, count: int, max_tokens: int, system: str = "") -> Question:
    """A question that a small model answers at length."""
    asked = f"Write a very long story with these words: {words(rng, count)}"
    return Question(asked, system, max_tokens)


async def connect(server: Listening) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A new connection."""
    if isinstance(server.address, str):
        return await asyncio.open_unix_connection(server.address, limit=1 << 20)
    return await asyncio.open_connection("127.0.0.1", server.address, limit=1 << 20)


async def ask(server: Listening, question: Question, answer: Answer | None = None) -> Answer:
    """Ask and read the whole stream; `answer` lets others watch it grow.

    Raises:
        RuntimeError: The server refused.
    """
    body = question.body(server.model)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    answer = answer or Answer(time.perf_counter())
    answer.started = time.perf_counter()
    reader, writer = await connect(server)
    try:
        writer.write(head.encode() + body)
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"{server.name}: {status!r} {await reader.read()!r}")
        while line := await reader.readline():
            if line.startswith(b"data: {"):
                _take(answer, json.loads(line[6:]))
    finally:
        writer.close()
    answer.ended = time.perf_counter()
    answer.tokens = answer.tokens or len(answer.times)  # llama_cpp.server tells no usage
    if not answer.tokens:
        raise RuntimeError(f"{server.name}: the stream ended without a token")
    return answer


def _take(answer: Answer, event: dict[str, Any]) -> None:
    if "error" in event:
        raise RuntimeError(str(event["error"]))
    text = "".join(choice["delta"].get("content") or "" for choice in event.get("choices", ()))
    if text:
        answer.times.append(time.perf_counter())
        answer.text += text
        answer.grown.set()
    answer.model = event.get("model") or answer.model
    usage = event.get("usage")
    if usage:
        answer.tokens = usage["completion_tokens"]
        answer.prompt_tokens = usage["prompt_tokens"]
        details = usage.get("prompt_tokens_details") or {}
        answer.cached_tokens = details.get("cached_tokens") or 0


async def wave(server: Listening, plans: Sequence[Sequence[Question]]) -> list[Answer]:
    """One client per plan, all starting at once, each asking its questions in turn."""

    async def client(questions: Sequence[Question]) -> list[Answer]:
        return [await ask(server, question) for question in questions]

    answers = await asyncio.gather(*(client(questions) for questions in plans))
    return [answer for each in answers for answer in each]
