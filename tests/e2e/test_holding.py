"""A streamed answer that is drafted, over both doors: real daemon, real workers that echo."""

from typing import Any

import pytest

import edgeroute
from edgeroute.client.blocking import Connection
from tests.e2e.conftest import House, openai_client

pytestmark = pytest.mark.e2e
RIGHT = "What is 17 * 23? Answer with a number like 391."
WRONG = "What is 17 * 23? Answer with the number only."
"""What echoes them ends with the value, or does not."""


def test_a_stream_shows_a_draft_that_passes_and_nothing_of_one_that_fails(house: House) -> None:
    house.add_echo("small", quality=0.75, tok_s=200.0)
    house.add_echo("big", quality=0.95, tok_s=20.0)
    house.start()
    with edgeroute.connect(house.folders.rpc_socket) as rpc:
        for model in ("small", "big") * 3:  # until it is known how fast they are
            rpc.ask("one two three four five six", model=model)
        given, refused = (_streamed(rpc, prompt) for prompt in (RIGHT, WRONG))
    assert given == (RIGHT, "small", [("small", True)])
    assert refused == (WRONG, "big", [("small", False), ("big", True)])
    with openai_client(house) as client:
        for prompt, target in ((RIGHT, "small"), (WRONG, "big")):
            asked: Any = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
            answer = client.chat.completions.with_raw_response.create(**asked, stream=True)
            assert answer.headers["x-edgeroute-target"] == target
            pieces = [chunk.choices[0].delta.content for chunk in answer.parse() if chunk.choices]
            assert "".join(piece or "" for piece in pieces) == prompt
            told = house.json("explain", answer.headers["x-edgeroute-id"])
            assert [step["target"] for step in told["cascade"]["steps"]] == ["small", "big"]
            assert "held back for 500 ms at most" in told["reason"]
            assert told["drafts"][0]["accepted"] == (target == "small")


def _streamed(rpc: Connection, prompt: str) -> tuple[str, str, list[tuple[str, bool]]]:
    with rpc.stream(prompt, explain=True) as stream:
        text = "".join(stream)
    drafts = stream.answer.account["drafts"]
    told = [(draft["target"], draft["accepted"]) for draft in drafts]
    return text, stream.answer.target, told
