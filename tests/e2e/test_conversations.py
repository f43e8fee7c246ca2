"""Conversations over real processes: what was read once is not read again, and by nobody else."""

import contextlib
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
    held = 0
    for entry in Path(f"/proc/{daemon.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since they were listed
            held += "memfd:" in str(entry.readlink())
    return held


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


def ask(house: House, turns: list[str], model: str = "auto") -> Any:
    """Ask the last of these turns, which the user and the assistant take by turns."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": turn} for at, turn in enumerate(turns)]
    with house.client() as client:
        return client.post("/v1/chat/completions", {"messages": messages, "model": model})


def test_a_conversation_goes_on_where_it_was_read(house: House) -> None:
    """Of two models that promise the same, the name decides, unless one knows the conversation."""
    for name in ("first", "second"):
        house.add_echo(name, prefill_tok_s=2000.0)
    house.start()
    assert ask(house, ["hello", "hello", "bye"])["model"] == "first"
    begun = ask(house, [STORY], "second")
    turns = [STORY, begun["choices"][0]["message"]["content"], "and then?"]
    went_on = ask(house, turns)
    assert went_on["model"] == "second"
    assert went_on["usage"]["prompt_tokens_details"]["cached_tokens"] >= 400
    told = house.json("explain", went_on["id"].removeprefix("chatcmpl-"))
    assert "prompt tokens in memory" in told["reason"]
    held = {each["target"]: each["held_tokens"] for each in told["plan"]}
    assert held["first"] == 0 < held["second"]
