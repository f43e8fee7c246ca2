"""The worker as the daemon sees it: a real process behind a socketpair, without a model."""

import fcntl
import os
import signal
import sys
import termios
from dataclasses import replace

import psutil
import pytest

from edgeroute.domain.load import EchoBehaviour, LoadPlan
from edgeroute.domain.request import Message, Sampling
from edgeroute.domain.units import Bytes
from edgeroute.wire.frames import Cancel, Forget, Generate, Load, LoadRefused, Progress, Ready
from tests.contract.worker_process import ECHO, PATIENCE_S, Answer, Worker, loaded, spawned


def echoing(behaviour: EchoBehaviour) -> LoadPlan:
    return replace(ECHO, echo=behaviour)


def test_the_echo_answers_with_the_last_user_message_word_by_word() -> None:
    with loaded(ECHO) as worker:
        worker.answers[1] = Answer()
        turns = (Message("user", "no"), Message("assistant", "not this"), Message("user", "a b\nc"))
        worker.send(Generate(1, turns, Sampling()))
        (answer,) = worker.finish(1)
    assert answer.text == "a b\nc"
    assert answer.finish == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 3)


def test_max_tokens_ends_an_answer_as_length() -> None:
    with loaded(ECHO) as worker:
        worker.ask(1, "a b c", Sampling(max_tokens=2))
        (answer,) = worker.finish(1)
    assert (answer.text, answer.finish) == ("a b", "length")


def test_more_requests_than_slots_are_all_answered() -> None:
    with loaded(ECHO) as worker:
        for number in range(20):
            worker.ask(number, f"answer number {number}")
        answers = worker.finish(*range(20))
    assert [answer.text for answer in answers] == [f"answer number {n}" for n in range(20)]


def test_a_prompt_longer_than_a_batch_is_decoded_in_several() -> None:
    words = " ".join(f"w{n}" for n in range(30))
    with loaded(ECHO) as worker:
        assert worker.text(1, words) == " ".join(words.split()[:16])


def test_progress_is_told_while_loading() -> None:
    with spawned() as worker:
        worker.send(Load(echoing(EchoBehaviour(load_s=0.5))))
        worker.ready()
    *progress, ready = worker.loaded
    shares = [p.fraction for p in progress if isinstance(p, Progress)]
    assert shares == sorted(shares)
    assert len(shares) == len(progress) >= 2
    assert 0 <= shares[0] < shares[-1] <= 1
    assert isinstance(ready, Ready)
    assert (ready.engine, ready.context) == ("echo", 64)
    assert ready.load_s >= 0.5


def test_a_load_that_fails_is_told_and_ends_the_process() -> None:
    with spawned() as worker:
        worker.send(Load(echoing(EchoBehaviour(fail_load="out of luck"))))
        assert worker.ready() == LoadRefused("load_failed", "out of luck")
        assert worker.process.wait(PATIENCE_S) == 1
        assert worker.stderr() == ""


def test_the_echo_really_holds_its_bytes() -> None:
    size = 64 << 20
    rss = []
    for anon in (0, size):
        with loaded(echoing(EchoBehaviour(anon=Bytes(anon)))) as worker:
            rss.append(psutil.Process(worker.process.pid).memory_info().rss)
    assert rss[1] - rss[0] > 0.9 * size


def test_the_echo_dies_before_the_token_it_is_told_to() -> None:
    with loaded(echoing(EchoBehaviour(die_at_token=2))) as worker:
        worker.ask(1, "one two three four")
        while worker.receive():
            pass
        assert worker.process.wait(PATIENCE_S) == -signal.SIGKILL
    assert worker.answers[1].text == "one two"
    assert not worker.answers[1].ended


def test_a_cancelled_request_is_not_answered_and_its_slot_is_free() -> None:
    with loaded(replace(echoing(EchoBehaviour(tok_s=20.0)), slots=1)) as worker:
        worker.ask(1, "word " * 30, Sampling())
        worker.ask(2, "queued")
        while not worker.answers[1].pieces:
            worker.receive()
        worker.send(Cancel(1), Cancel(77))
        assert worker.text(3, "next") == "next"
    assert not worker.answers[1].ended
    assert worker.answers[2].text == "queued"


def test_a_cancelled_request_is_dropped_in_the_middle_of_its_prompt() -> None:
    # The prompt would take 300 s; its neighbour's token would wait for it.
    plan = replace(echoing(EchoBehaviour(prefill_tok_s=0.1)), context=64, batch=64)
    with loaded(plan) as worker:
        worker.ask(1, "word " * 30)
        worker.send(Cancel(1))
        worker.ask(2, "")
        assert worker.finish(2)[0].failed is not None


@pytest.mark.parametrize("busy", [False, True])
def test_the_process_ends_with_the_socket(busy: bool) -> None:  # noqa: FBT001
    with loaded(echoing(EchoBehaviour(prefill_tok_s=0.1))) as worker:
        if busy:
            worker.ask(1, "a b c")
        worker.socket.close()
        assert worker.process.wait(PATIENCE_S) == 0
        assert worker.stderr() == ""


def test_the_process_ends_with_the_socket_while_loading() -> None:
    with spawned() as worker:
        worker.send(Load(echoing(EchoBehaviour(load_s=600.0))))
        while not worker.loaded:
            worker.receive()
        worker.socket.close()
        assert worker.process.wait(PATIENCE_S) == 0


def test_bytes_that_are_no_frames_end_the_process_with_a_word() -> None:
    with loaded(ECHO) as worker:
        worker.socket.sendall(b"\xff\xff\xff\xff")
        assert worker.process.wait(PATIENCE_S) == 65
        assert "out of step" in worker.stderr()


LONG = replace(ECHO, context=600, batch=600)
QUESTION = " ".join(f"w{n}" for n in range(300))


def cached(answer: Answer) -> int:
    assert answer.usage is not None
    return answer.usage.cached_tokens


def test_a_conversation_outlives_its_worker() -> None:
    short = Sampling(max_tokens=2)
    with loaded(LONG) as first:
        first.ask(1, QUESTION, short, tenant="a")
        first.ask(2, "secret " + QUESTION, short, tenant="b", keep=False)
        first.finish(1, 2)
        ((state, descriptor),) = first.saved()
        assert (state.tenant, state.tokens) == ("a", 301)
    with loaded(LONG) as second:
        second.give(state, descriptor)
        os.close(descriptor)
        for number, tenant in enumerate("ab"):
            second.ask(number, "and now?", short, QUESTION, "w0 w1", tenant=tenant)
        assert [cached(answer) for answer in second.finish(0, 1)] == [301, 0]
        second.send(Forget(state.key))
        second.ask(2, "well", short, QUESTION, "w0 w1", tenant="a")
        assert cached(second.finish(2)[0]) == 302, "its slot still has it"


def test_a_conversation_whose_slot_is_taken_comes_back() -> None:
    with loaded(replace(LONG, slots=1)) as worker:
        worker.ask(1, QUESTION, Sampling(max_tokens=2))
        worker.finish(1)
        worker.ask(2, "other " + QUESTION)
        worker.finish(2)
        worker.ask(3, "again", Sampling(), QUESTION, "w0 w1")
        (answer,) = worker.finish(3)
        assert (cached(answer), answer.text) == (301, "again")


def unread(worker: Worker) -> int:
    """Bytes that the worker has sent and this side has not read."""
    size = fcntl.ioctl(worker.socket, termios.FIONREAD, bytes(4))
    return int.from_bytes(size, sys.byteorder)


WORDS = " ".join(["x" * 2000] * 4000)
"""More than the socket and the worker keep for a daemon that does not read."""
WIDE = replace(ECHO, context=9000, batch=9000)


def test_a_daemon_that_reads_late_gets_every_word() -> None:
    with loaded(WIDE) as worker:
        worker.ask(1, WORDS, Sampling())
        process = psutil.Process(worker.process.pid)
        while unread(worker) < 1 << 16 or process.status() != psutil.STATUS_SLEEPING:
            pass
        assert process.memory_info().rss < 100 << 20
        (answer,) = worker.finish(1)
    assert answer.text == WORDS


def test_the_process_ends_with_a_socket_that_nobody_reads() -> None:
    with loaded(WIDE) as worker:
        worker.ask(1, WORDS, Sampling())
        while unread(worker) < 1 << 16:
            pass
        worker.socket.close()
        assert worker.process.wait(PATIENCE_S) == 0
        assert worker.stderr() == ""
