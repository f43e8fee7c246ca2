"""A tool behind a URL: `{"text": ...}` by POST, its body the answer."""

from typing import Final

import httpx2
import msgspec

from edgeroute.domain.destination import Key
from edgeroute.domain.errors import DestinationUnreachable, ToolFailed
from edgeroute.wire.undecodable import UNDECODABLE

_CONNECT_S: Final = 5.0
_MOST_OUTPUT: Final = 1 << 20


class _Said(msgspec.Struct):
    text: str


class WebTool:
    """Asks a URL (see `tool.Runs`); the same rules hold as for a destination's connection."""

    def __init__(self, name: str, url: str, key: Key | None) -> None:
        self._name = name
        self._url = url
        self._http = httpx2.AsyncClient(
            headers={} if key is None else {"authorization": f"Bearer {key.reveal()}"},
            timeout=httpx2.Timeout(None, connect=_CONNECT_S),
            follow_redirects=False,
            trust_env=False,
        )

    async def probe(self) -> None:
        """See `tool.Runs`: whether it is there, a question tells."""

    async def __call__(self, text: str) -> str:
        """See `tool.Runs`."""
        try:
            async with self._http.stream("POST", self._url, json={"text": text}) as response:
                if response.status_code != httpx2.codes.OK:
                    raise ToolFailed(f"{self._name} failed ({response.status_code})")
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > _MOST_OUTPUT:
                        raise ToolFailed(f"{self._name}: its answer is over {_MOST_OUTPUT} bytes")
        except httpx2.HTTPError as error:
            raise DestinationUnreachable(
                f"{self._name} cannot be reached: {type(error).__name__}"
            ) from error
        return self._text(bytes(body))

    async def close(self) -> None:
        """See `tool.Runs`."""
        await self._http.aclose()

    def _text(self, body: bytes) -> str:
        """The `text` of a JSON object, or else all of it as it stands."""
        try:
            return msgspec.json.decode(body, type=_Said).text
        except UNDECODABLE:
            pass
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise ToolFailed(f"{self._name}: its answer is not UTF-8") from error
