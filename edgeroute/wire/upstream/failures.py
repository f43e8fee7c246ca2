"""A server's error answers as the typed tree.

Owns how statuses, codes and words of the servers in use map to what the caller or the owner would
have to change. What a server says is quoted shortened, without control characters; what it says
about the key is not quoted at all.
"""

import email.utils
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from edgeroute.domain.errors import (
    ContextExceeded,
    DestinationFailed,
    DestinationRefused,
    EdgeRouteError,
    InvalidRequest,
    Overloaded,
    UnknownModel,
)
from edgeroute.wire.undecodable import UNDECODABLE

_QUOTED = 300
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|context (?:length|size|window)|too many tokens"
    r"|(?:prompt|input) is too long|maximum.{0,20}tokens",
    re.IGNORECASE,
)
"""OpenAI; llama-server; vLLM, SGLang, Ollama, LM Studio; Anthropic; Mistral."""
_NO_MONEY = re.compile(r"insufficient_quota|billing|credit", re.IGNORECASE)
_MOST_WAIT_S = 3600.0
_BUSY = 429
_UNKNOWN = 404


def failure_of(name: str, status: int, headers: Mapping[str, str], body: bytes) -> EdgeRouteError:
    """The error for an answer with any status but 200."""
    wait_s = retry_after_s(headers)
    try:
        told = msgspec.json.decode(body)
    except UNDECODABLE:
        told = body.decode(errors="replace")
    return _failure(name, status, _Report.of(told), wait_s)


def told_failure(name: str, error: bytes) -> EdgeRouteError:
    """The error for an error object in a stream, which began with status 200."""
    report = _Report.of({"error": msgspec.json.decode(error)})
    return _failure(name, report.status or 500, report, None)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server wants us to wait, at most an hour; `None` where it does not say.

    `Retry-After` is seconds, or a date to be compared with the answer's own `Date`, since clocks
    differ.
    """
    told = headers.get("retry-after", "")
    try:
        wait = float(told)
    except ValueError:
        wait = _seconds_between(headers.get("date", ""), told)
    return None if math.isnan(wait) else min(max(wait, 0.0), _MOST_WAIT_S)


def _seconds_between(earlier: str, later: str) -> float:
    try:
        began, ends = map(email.utils.parsedate_to_datetime, (earlier, later))
        return ends.timestamp() - began.timestamp()
    except (ValueError, OverflowError):
        return math.nan


class _Report(msgspec.Struct, frozen=True):
    """What an error object says, wherever a server puts it."""

    words: str
    kind: str = ""
    status: int | None = None

    @classmethod
    def of(cls, told: Any) -> "_Report":
        inner = told.get("error", told) if isinstance(told, dict) else told
        if not isinstance(inner, dict):
            return cls(_quoted(inner))
        words = inner.get("message") or inner.get("detail") or inner.get("error") or ""
        kinds = [str(inner[key]) for key in ("code", "type") if inner.get(key)]
        code = inner.get("code")
        status = code if isinstance(code, int) and 400 <= code < 600 else None  # noqa: PLR2004
        return cls(_quoted(words), " ".join(kinds), status)


def _quoted(words: object) -> str:
    return _UNPRINTABLE.sub(" ", str(words)).strip()[:_QUOTED]


def _failure(name: str, status: int, report: _Report, wait_s: float | None) -> EdgeRouteError:
    said = f": {report.words}" if report.words else ""
    if status in {401, 402, 403} or (status == _BUSY and _NO_MONEY.search(report.kind)):
        return _of_account(name, status)
    if status in {400, 404, 413, 422}:
        return _of_request(name, status, report, said)
    if status == _BUSY:
        return Overloaded(f"{name} takes no more requests now{said}", retry_after_s=wait_s)
    if 300 <= status < 400:  # noqa: PLR2004
        return DestinationFailed(
            f"{name} redirects ({status}), and redirects are not followed",
            hint=f"set url of [[destinations]] {name} to where it really is",
        )
    return DestinationFailed(f"{name} failed ({status}){said}", retry_after_s=wait_s)


def _of_account(name: str, status: int) -> EdgeRouteError:
    if status in {401, 403}:
        return DestinationRefused(
            f"{name} refused the key ({status})",
            hint=f"check the key of [[destinations]] {name}",
        )
    return DestinationRefused(f"{name}: the account has no money left ({status})")


def _of_request(name: str, status: int, report: _Report, said: str) -> EdgeRouteError:
    if status == _UNKNOWN:
        return UnknownModel(f"{name} does not know it (404){said}")
    if _TOO_LONG.search(f"{report.kind} {report.words}"):
        return ContextExceeded(f"{name}{said}", hint="shorten the conversation")
    return InvalidRequest(f"{name} does not take the request ({status}){said}")
