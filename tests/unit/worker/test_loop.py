"""The loop with an engine that fails on demand, over a real socketpair, in this process."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from edgeroute.domain.errors import EdgeRouteError, InvalidRequest
from edgeroute.domain.load import EchoBehaviour, LoadPlan
from edgeroute.domain.request import Message, Sampling
from edgeroute.domain.units import ModelId
from edgeroute.wire.frames import (
    Cancel,
    Failed,
    Finished,
    FromWorker,
    Generate,
    Step,
    Threads,
    ToWorker,
    daemon_inbox,
)
from edgeroute.wire.framing import Inbox, encode
from edgeroute.worker.channel import Channel
from edgeroute.worker.echo import EchoEngine
from edgeroute.worker.loop import Loop
from edgeroute.worker.ports import Interrupted
from edgeroute.worker.scheduler import Scheduler
from edgeroute.worker.sequence import Run
from edgeroute.worker.sessions import Sessions

PLAN = LoadPlan(ModelId("echo"), "", context=64, slots=2, threads=1, batch=8)


class FragileEngine(EchoEngine):
    """Echoes, but for what a test puts in its way."""

    def __init__(self, tok_s: float) -> None:
        super().__init__(PLAN, EchoBehaviour(tok_s=tok_s), lambda _share: None)
        self.seeds: list[int | None] = []
        self.refused: set[int] = set()
        self.before_decode: Callable[[Interrupted | None], bool] = lambda _interrupted: True

    def open(self, request: Generate) -> None:
        super().open(request)
        self.seeds.append(request.sampling.seed)
        if request.id in self.refused:
            raise InvalidRequest("refused")

    def decode(self, batch: Sequence[Run], interrupted: Interrupted | None) -> bool:
        return self.before_decode(interrupted) and super().decode(batch, interrupted)


@dataclass
class House:
    """Both ends of the socket."""

    daemon: socket.socket
    loop: Loop
    engine: FragileEngine
    inbox: Inbox[FromWorker] = field(default_factory=daemon_inbox)
    texts: dict[int, str] = field(default_factory=dict)
    ends: dict[int, Finished | Failed] = field(default_factory=dict)
    worked: list[list[tuple[int, float]]] = field(default_factory=list)

    def send(self, *messages: ToWorker) -> None:
        self.daemon.sendall(b"".join(map(encode, messages)))

    def ask(self, number: int, text: str, **terms: Any) -> None:
        self.send(Generate(number, (Message("user", text),), Sampling(), **terms))

    def run_until_ended(self, *numbers: int) -> None:
        while not self.ends.keys() >= set(numbers):
            self.turn()

    def turn(self) -> None:
        self.loop.turn()
        try:
            data = self.daemon.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        for step in self.inbox.feed(data):
            assert isinstance(step, Step)
            assert step.pieces or step.finished or step.failed, "an empty frame"
            self.worked.append(step.worked)
            for number, text in step.pieces:
                self.texts[number] = self.texts.get(number, "") + text
            ends: list[Finished | Failed] = [*step.finished, *step.failed]
            for end in ends:
                assert end.id not in self.ends
                self.ends[end.id] = end


def built(*, drafts: bool) -> Iterator[House]:
    ours, theirs = socket.socketpair()
    engine = FragileEngine(tok_s=200.0 if drafts else 0.0)
    scheduler = Scheduler(slots=PLAN.slots, context=PLAN.context, batch=PLAN.batch, drafts=drafts)
    sessions = Sessions(None, engine.cells, scheduler.shelf, PLAN.context)
    with ours, theirs:
        yield House(ours, Loop(Channel(theirs), engine, scheduler, sessions), engine)


@pytest.fixture
def house() -> Iterator[House]:
    yield from built(drafts=False)


@pytest.fixture
def drafting() -> Iterator[House]:
    yield from built(drafts=True)


def test_a_draft_changes_when_words_come_and_not_which(drafting: House) -> None:
    text = " ".join(["one two three four"] * 6)
    steps = []

    def count(_interrupted: Interrupted | None) -> bool:
        steps.append(1)
        return True

    drafting.engine.before_decode = count
    drafting.ask(1, text)
    drafting.run_until_ended(1)
    assert drafting.texts[1] == text
    end = drafting.ends[1]
    assert isinstance(end, Finished)
    assert end.usage.completion_tokens == 24
    assert len(steps) < 3 + 18, "three for the prompt, and drafts in the others"
    drafting.ask(2, text + " again")  # begins with cells of a slot of which drafts were cut off
    drafting.run_until_ended(2)
    assert drafting.texts[2] == text + " again"


def test_a_decode_that_fails_ends_its_sequences_and_nothing_else(house: House) -> None:
    def fail(_interrupted: Interrupted | None) -> bool:
        house.engine.before_decode = lambda _interrupted: True
        raise EdgeRouteError("llama.cpp cannot decode this")

    house.engine.before_decode = fail
    for number in range(3):  # the third waits for a slot
        house.ask(number, "a b c")
    house.run_until_ended(0, 1, 2)
    failure = "llama.cpp cannot decode this"
    assert [house.ends[n] for n in (0, 1)] == [Failed(n, "internal", failure) for n in (0, 1)]
    assert isinstance(house.ends[2], Finished)
    assert house.texts == {2: "a b c"}


def test_a_sequence_that_cannot_be_opened_fails_alone(house: House) -> None:
    house.engine.refused = {1}
    for number in range(4):
        house.ask(number, "a b")
    house.run_until_ended(0, 1, 2, 3)
    assert house.ends[1] == Failed(1, "invalid_request", "refused")
    assert house.texts == {0: "a b", 2: "a b", 3: "a b"}


def test_every_request_without_a_seed_gets_its_own(house: House) -> None:
    for number in range(4):
        house.ask(number, "a")
    house.send(Generate(4, (Message("user", "a"),), Sampling(seed=42)))
    house.run_until_ended(*range(5))
    *drawn, given = house.engine.seeds
    assert given == 42
    assert None not in drawn
    assert len(set(drawn)) == 4


def test_a_prompt_is_interrupted_by_its_own_cancel_alone(house: House) -> None:
    answers = []

    def interrupt(interrupted: Interrupted | None) -> bool:
        assert interrupted is not None, "there is a prompt in the batch"
        house.engine.before_decode = lambda _interrupted: True
        house.send(Cancel(7), Cancel(2))
        answers.append(interrupted())
        return not answers[0]

    house.ask(2, "one two three")
    house.ask(1, "a b c")
    house.engine.before_decode = interrupt
    house.run_until_ended(1)
    assert answers == [True]
    assert house.texts == {1: "a b c"}
    assert 2 not in house.ends


def test_a_batch_that_has_just_begun_is_given_up_for_those_who_get_a_slot(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeroute.worker.loop.JOIN_S", 60.0)
    given_up: list[bool] = []

    def another_comes(interrupted: Interrupted | None) -> bool:
        if interrupted is None:
            return True
        house.ask(len(given_up) + 2, "three more words")
        house.loop._channel._next_glance = 0.0
        given_up.append(interrupted())
        return not given_up[-1]

    house.engine.before_decode = another_comes
    house.ask(1, "three more words")
    for _ in range(2):
        house.turn()
    assert given_up == [True, False]  # two slots: the third would wait all the same
    house.run_until_ended(1, 2, 3)


def test_a_step_that_only_generates_is_never_interrupted(house: House) -> None:
    asked = []

    def note(interrupted: Interrupted | None) -> bool:
        asked.append(interrupted is not None)
        return True

    house.engine.before_decode = note
    house.ask(1, "a b c")
    house.run_until_ended(1)
    assert asked == [True, False, False]


def cached_tokens(house: House, number: int) -> int:
    end = house.ends[number]
    assert isinstance(end, Finished)
    return end.usage.cached_tokens


def test_it_says_for_whom_it_has_computed(house: House) -> None:
    began = time.perf_counter()
    house.ask(1, "one two three four")
    house.ask(2, "one two three four five six")
    house.run_until_ended(1, 2)
    lasted = time.perf_counter() - began
    for together in (dict(said) for said in house.worked[1:] if len(said) > 1):
        assert together[1] == together[2]  # a row of each
    seconds = {n: sum(s for said in house.worked for i, s in said if i == n) for n in (1, 2)}
    assert min(seconds.values()) > 0
    assert sum(seconds.values()) <= lasted


def test_usage_tells_what_was_in_memory_already(house: House) -> None:
    text = " ".join(f"w{n}" for n in range(24))
    for number, tenant in enumerate(("a", "a", "b")):
        house.ask(number, text, tenant=tenant)
        house.run_until_ended(number)
    assert [cached_tokens(house, n) for n in range(3)] == [0, 23, 0]
    assert list(house.texts.values()) == [text] * 3


def test_a_deadline_that_passes_is_told_and_frees_the_slot(house: House) -> None:
    house.ask(1, "a b c", deadline_s=0.0)
    house.ask(2, "a b c")
    house.run_until_ended(1, 2)
    end = house.ends[1]
    assert isinstance(end, Failed)
    assert end.code == "deadline_exceeded"
    assert house.texts == {2: "a b c"}


def test_those_who_are_waited_for_set_others_aside_who_lose_nothing(house: House) -> None:
    for number in (1, 2):
        house.ask(number, "one two three four five", priority="background")
    for _ in range(3):
        house.turn()
    house.ask(3, "quick")
    house.run_until_ended(3)
    assert house.ends.keys() == {3}
    house.run_until_ended(1, 2)
    assert house.texts == {3: "quick"} | dict.fromkeys((1, 2), "one two three four five")


def test_an_answer_longer_than_the_context_goes_on_where_it_was_asked_to(house: House) -> None:
    text = " ".join(f"w{n}" for n in range(50))
    house.ask(1, text)
    house.ask(2, text, overflow="shift")
    house.run_until_ended(1, 2)
    assert house.texts == {1: " ".join(text.split()[:14]), 2: text}


def test_the_daemon_sets_the_number_of_threads(house: House) -> None:
    asked: list[tuple[int, int]] = []
    house.engine.set_threads = lambda few, many: asked.append((few, many))  # type: ignore[method-assign]
    house.send(Threads(few=1, many=2))
    house.ask(1, "a")
    house.run_until_ended(1)
    assert asked == [(1, 2)]


def test_what_arrives_while_the_last_prompt_is_decoded_is_not_slept_over(house: House) -> None:
    def arrive(interrupted: Interrupted | None) -> bool:
        assert interrupted is not None
        house.engine.before_decode = lambda _interrupted: True
        house.ask(2, "b")
        return not interrupted()

    house.send(Generate(1, (Message("user", "a a"),), Sampling(max_tokens=1)))
    house.engine.before_decode = arrive
    house.run_until_ended(1, 2)
    assert house.texts == {1: "a", 2: "b"}
