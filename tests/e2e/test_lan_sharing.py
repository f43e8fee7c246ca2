"""Slots and memory of one machine, shared by two others: counted on once, and not taken twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import chat
from tests.e2e.lan_rig import Machine, ask, linked, network, pair_quietly, peers, said, until

pytestmark = pytest.mark.e2e

SLOW = 20.0
"""Tokens per second: who waits for the only slot waits for long."""
WORDS = " ".join(f"word{number}" for number in range(30))


@pytest.fixture(scope="module")
def three() -> Iterator[tuple[Machine, Machine, Machine]]:
    """A desk with one slot for each of its models, and two that may ask it."""
    with network() as net:
        desk = net.add(name="desk", config="slots = 1")
        lap, attic = net.add(name="lap"), net.add(name="attic")
        desk.house.add_echo("good", quality=0.95, tok_s=SLOW)
        for machine in (lap, attic):
            machine.house.add_echo("near", quality=0.2)
        for machine in (desk, lap, attic):
            machine.house.start()
        for machine in (lap, attic):
            pair_quietly(desk, machine)
        until(lambda: linked(lap) and linked(attic) and linked(desk, 2))
        yield desk, lap, attic


def is_free(machine: Machine, name: str) -> bool:
    """Whether the desk has told a machine that a model is warm, and that nothing waits for it."""
    (desk,) = peers(machine)
    model = next((model for model in desk["models"] if model["id"] == name), None)
    return model is not None and model["warm"] and not model["queued_tokens"]


def test_two_that_ask_at_once_do_not_both_count_on_the_last_slot(
    three: tuple[Machine, Machine, Machine],
) -> None:
    desk, lap, attic = three
    for _ in range(14):  # how slow it is, is known then
        ask(desk, **chat("one two", model="good", max_tokens=2))
    until(lambda: is_free(lap, "good") and is_free(attic, "good"))
    # An answer takes 1.5 s; after somebody else's it would come too late.
    body = chat(WORDS, max_tokens=30, edgeroute={"explain": True, "deadline_s": 2.5})
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda machine: ask(machine, **body), (lap, attic)))
    assert sorted(told["edgeroute"]["target"] for told in answers) == ["desk/good", "near"]
    assert [said(told) for told in answers] == [WORDS] * 2


def test_a_large_model_is_loaded_a_second_time_only_where_the_first_copy_has_no_slot(
    three: tuple[Machine, Machine, Machine],
) -> None:
    desk, lap, attic = three
    for machine in three:
        machine.house.add_echo("large", quality=0.99, load_s=1.0, tok_s=SLOW, anon=256 << 20)
        machine.house.reload()
    for machine in (lap, attic):  # how long its load takes, is known then; when it is used, is not
        ask(machine, model="large", max_tokens=2)
        card = machine.house.folders.data / "models" / "large.toml"
        card.rename(card.with_suffix(".away"))
        machine.house.reload()
        card.with_suffix(".away").rename(card)
        machine.house.reload()
        assert machine.house.model("large")["rates"]["load_s"] > 1.0
    for _ in range(8):
        ask(desk, **chat("one two", model="large", max_tokens=2))
    until(lambda: is_free(lap, "large") and is_free(attic, "large"))
    with ThreadPoolExecutor(2) as threads:
        answers = threads.map(lambda machine: ask(machine, max_tokens=6), (lap, attic))
        served, loads = sorted(
            (
                (told["edgeroute"], machine)
                for told, machine in zip(answers, (lap, attic), strict=True)
            ),
            key=lambda each: str(each[0]["target"]),
        )
    assert (served[0]["target"], loads[0]["target"]) == ("desk/large", "large")
    assert "which spares a second copy here (large)" in served[0]["reason"]
    assert served[1].house.model("large")["warmth"] == "cold"
    assert "a second copy besides desk/large" in loads[0]["reason"]


def test_a_conversation_is_in_the_memory_of_the_peer_that_read_it(
    three: tuple[Machine, Machine, Machine],
) -> None:
    _, lap, attic = three
    story = [{"role": "user", "content": f"{WORDS} {WORDS.upper()}"}]
    begun = ask(lap, messages=story, model="desk/good", max_tokens=2)
    turns = [
        *story,
        {"role": "assistant", "content": said(begun)},
        {"role": "user", "content": "and then?"},
    ]
    on, elsewhere = (
        ask(machine, messages=turns, model="desk/good", max_tokens=2, edgeroute={"explain": True})
        for machine in (lap, attic)
    )
    assert on["usage"]["prompt_tokens_details"]["cached_tokens"] >= 60
    assert "prompt tokens in memory" in on["edgeroute"]["reason"]
    assert elsewhere["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    assert "in memory" not in elsewhere["edgeroute"]["reason"]
