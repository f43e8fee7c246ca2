"""Conversations over real processes: what was read once is not read again, and by nobody else."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from edgeroute.backends.states import KEEPS_CONVERSATIONS
from tests.e2e.conftest import House, chat

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not KEEPS_CONVERSATIONS, reason="saving needs Linux"),
]

STORY = " ".join(f"word{number}" for number in range(400))
SECRET = " ".join(f"hidden{number}" for number in range(400))


def two_that_do_not_fit(house: House, conversations: str) -> None:
    house.configure(f'[memory]\nbudget = "100MiB"\nconversations = "{conversations}"\n')
    for name in ("first", "second"):
        house.add_echo(name, anon=60 << 20)


def cached(house: House, model: str, prompt: str, label: str = "private") -> int:
    """Ask, and say how many tokens of the prompt were in memory already."""
    with house.client() as client:
        body = chat(prompt, model=model, edgeroute={"label": label})
        usage: Any = client.post("/v1/chat/completions", body)["usage"]
    return int(usage["prompt_tokens_details"]["cached_tokens"])


def memories_of(daemon: psutil.Process) -> int:
    """How much anonymous memory, in pieces, the daemon holds descriptors of."""
    held = [entry.readlink() for entry in Path(f"/proc/{daemon.pid}/fd").iterdir()]
    return sum("memfd:" in str(name) for name in held)


def test_after_an_eviction_a_conversation_goes_on_and_no_other_sees_it(house: House) -> None:
    two_that_do_not_fit(house, "50MiB")
    daemon = house.start()
    assert cached(house, "first", STORY) == 0
    assert cached(house, "first", SECRET, label="secret") == 0
    assert cached(house, "second", "hello") == 0
    assert house.model("first")["warmth"] == "cold"
    kept = house.status()["conversations"]
    assert (kept["kept"], memories_of(daemon)) == (1, 1)
    assert 0 < kept["bytes"] <= kept["limit"] == 50 << 20
    assert "1 saved conversations" in house.run("status").stdout
    assert cached(house, "first", SECRET, label="secret") == 0
    assert cached(house, "first", STORY, label="public") == 0
    assert cached(house, "first", f"{STORY} and on") >= 400


def test_without_room_for_conversations_none_is_kept(house: House) -> None:
    two_that_do_not_fit(house, "0")
    daemon = house.start()
    for model in ("first", "second"):
        assert cached(house, model, STORY) == 0
    assert house.model("first")["warmth"] == "cold"
    assert house.status()["conversations"]["kept"] == memories_of(daemon) == 0
