"""Conversations that outlive their worker, over fakes and real anonymous memory."""

import asyncio
import itertools
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.backends.states import KEEPS_CONVERSATIONS
from edgeroute.domain.load import EchoBehaviour, LoadPlan
from edgeroute.domain.units import GIB, MIB, Bytes, ModelId
from edgeroute.ports import SavedConversation
from edgeroute.runtime.sessions import Sessions, share_of
from tests.fakes import FakeRunner
from tests.runtime.conftest import Line, build_line, card

pytestmark = [
    pytest.mark.looptime,
    pytest.mark.skipif(not KEEPS_CONVERSATIONS, reason="memfd is Linux's"),
]

PLAN = LoadPlan(ModelId("m"), "", context=64, slots=2, threads=1, sha256="a")

_keys = itertools.count()


def saved(size: int, key: str | None = None) -> SavedConversation:
    memory = os.memfd_create("conversation")
    os.truncate(memory, size)
    number = os.fstat(memory).st_ino  # as its tenant, since descriptors are used again
    return SavedConversation(key or f"k{next(_keys)}", str(number), 1, Bytes(size), memory)


def is_open(conversation: SavedConversation) -> bool:
    try:
        return str(os.fstat(conversation.memory).st_ino) == conversation.tenant
    except OSError:
        return False


def keeping(limit: int, *hashes: str) -> Sessions:
    sessions = Sessions(lambda: limit)
    sessions.replace_models(hashes or ["a"])
    return sessions


def welcomed(sessions: Sessions, plan: LoadPlan = PLAN, engine: str = "fake") -> FakeRunner:
    runner = FakeRunner(plan)
    runner.engine = engine
    sessions.welcome(plan, runner)
    return runner


async def test_the_next_worker_goes_on_where_the_last_one_stopped_newest_first() -> None:
    sessions = keeping(1000)
    first = welcomed(sessions)
    old, new = saved(10, "old"), saved(20, "new")
    first.hand_over(old)
    first.hand_over(new)
    await first.stop(1.0)
    assert (len(sessions), sessions.held) == (2, 30)
    assert (sessions.held_of(PLAN.sha256), sessions.held_of("another file")) == (30, 0)
    assert welcomed(sessions).restored == ["new", "old"]
    sessions.close()
    assert (len(sessions), sessions.held) == (0, 0)
    assert not is_open(old)
    assert not is_open(new)


@pytest.mark.parametrize(
    ("plan", "engine"),
    [
        (replace(PLAN, sha256="b"), "fake"),
        (replace(PLAN, kv_type="q8_0"), "fake"),
        (PLAN, "newer"),
    ],
)
async def test_a_state_is_for_the_same_file_engine_and_cache_alone(
    plan: LoadPlan, engine: str
) -> None:
    sessions = keeping(1000, "a", "b")
    welcomed(sessions).hand_over(saved(10))
    assert welcomed(sessions, plan, engine).restored == []
    sessions.close()


async def test_over_the_limit_the_oldest_go_and_their_worker_is_told() -> None:
    sessions = keeping(100)
    runner = welcomed(sessions)
    kept = [saved(40, name) for name in ("one", "two", "three")]
    for conversation in kept:
        runner.hand_over(conversation)
    assert [is_open(conversation) for conversation in kept] == [False, True, True]
    assert runner.forgotten == ["one"]
    assert sessions.held == 80
    sessions.close()


async def test_one_that_would_push_out_all_others_is_refused() -> None:
    sessions = keeping(100)
    runner = welcomed(sessions)
    runner.hand_over(saved(90, "fits"))
    huge = saved(101, "huge")
    runner.hand_over(huge)
    assert not is_open(huge)
    assert runner.forgotten == ["huge"]
    assert sessions.held == 90
    sessions.close()


async def test_saved_again_it_is_counted_once_and_the_newest() -> None:
    sessions = keeping(100)
    runner = welcomed(sessions)
    for name in ("one", "two", "one"):
        runner.hand_over(saved(40, name))
    assert sessions.held == 80
    runner.hand_over(saved(40, "three"))
    assert runner.forgotten == ["two"]
    sessions.close()


async def test_when_memory_gets_short_they_go() -> None:
    limit = 100
    sessions = Sessions(lambda: limit)
    sessions.replace_models(["a"])
    runner = welcomed(sessions)
    for name in ("one", "two"):
        runner.hand_over(saved(40, name))
    limit = 50
    sessions.trim()
    assert (runner.forgotten, sessions.held) == (["one"], 40)
    limit = 0
    sessions.trim()
    assert sessions.held == 0


async def test_a_file_that_changed_takes_its_conversations_along() -> None:
    sessions = keeping(1000, "a", "b")
    old = welcomed(sessions)
    other = welcomed(sessions, replace(PLAN, sha256="b"))
    old.hand_over(saved(10, "gone"))
    other.hand_over(saved(20, "stays"))
    sessions.replace_models(["b", "c"])
    assert sessions.held == 20
    assert old.forgotten == ["gone"]
    old.hand_over(saved(10, "late"))  # it is still on its way out
    assert sessions.held == 20
    sessions.close()


async def test_a_worker_that_is_gone_is_told_nothing() -> None:
    sessions = keeping(100)
    runner = welcomed(sessions)
    runner.hand_over(saved(60))
    runner.die()
    await asyncio.sleep(0)
    next_one = welcomed(sessions)
    next_one.hand_over(saved(60))
    assert runner.forgotten == []
    assert len(next_one.forgotten) == 1
    sessions.close()


async def test_a_file_that_is_loaded_twice_shares_them_and_both_workers_are_told() -> None:
    sessions = keeping(100)
    one, twin = welcomed(sessions), welcomed(sessions)
    one.hand_over(saved(60, "older"))
    twin.hand_over(saved(60, "newer"))
    assert one.forgotten == twin.forgotten == ["older"]
    sessions.close()


async def test_there_is_an_end_to_their_number() -> None:
    sessions = keeping(10**9)
    runner = welcomed(sessions)
    for _ in range(200):
        runner.hand_over(saved(1))
    assert len(sessions) == 128
    sessions.close()


@given(
    st.integers(0, 200),
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("klmno"), st.integers(1, 120))),
)
def test_bytes_and_descriptors_always_agree(limit: int, saves: list[tuple[str, str, int]]) -> None:
    async def run() -> None:
        sessions = keeping(limit, "a", "b")
        runners = {name: welcomed(sessions, replace(PLAN, sha256=name)) for name in "ab"}
        everything = []
        for model, key, size in saves:
            everything.append(saved(size, key))
            runners[model].hand_over(everything[-1])
            alive = [conversation for conversation in everything if is_open(conversation)]
            assert sum(conversation.size for conversation in alive) == sessions.held <= limit
            assert len(alive) == len(sessions)
        sessions.close()
        assert not any(map(is_open, everything))

    asyncio.run(run())


def test_the_share_is_a_tenth_or_what_the_user_says_within_what_there_is() -> None:
    assert share_of(5 * GIB, None) == GIB // 2
    assert share_of(50 * GIB, None) == GIB
    assert share_of(-GIB, None) == 0
    assert share_of(5 * GIB, Bytes(3 * GIB)) == 3 * GIB
    assert share_of(5 * GIB, Bytes(0)) == 0
    assert share_of(2 * GIB, Bytes(3 * GIB)) == 2 * GIB


# ---- with the pool ----------------------------------------------------------------------------


def evicting(sessions: Sessions) -> Line:
    """Two models of which one fits."""
    big = EchoBehaviour(load_s=1.0, anon=Bytes(500 * MIB))
    return build_line(
        card("a", big, 0.9), card("b", big, 0.8), ram=800 * MIB, loaded=sessions.welcome
    )


async def test_an_evicted_model_saves_and_gets_back_what_it_saved() -> None:
    sessions = keeping(1000, "sha-a", "sha-b")
    line = evicting(sessions)
    await line.ask("hello", model="a")
    line.backend.started[0].to_save = [saved(10, "talk")]
    await asyncio.sleep(60)
    await line.ask("hello", model="b")
    assert sessions.held == 10
    await asyncio.sleep(60)
    await line.ask("hello", model="a")
    assert [runner.restored for runner in line.backend.started] == [[], [], ["talk"]]
    await line.pool.close()
    sessions.close()


async def test_a_worker_that_does_not_come_to_its_end_of_saving_is_ended_all_the_same() -> None:
    sessions = keeping(1000, "sha-a", "sha-b")
    line = evicting(sessions)
    await line.ask("hello", model="a")
    line.backend.started[0].saves_for_s = 1000.0
    await asyncio.sleep(60)
    before = asyncio.get_running_loop().time()
    await line.ask("hello", model="b")
    assert asyncio.get_running_loop().time() - before < 5.0
    await line.pool.close()


async def test_when_the_daemon_ends_nothing_is_saved() -> None:
    sessions = keeping(1000, "sha-a", "sha-b")
    line = evicting(sessions)
    await line.ask("hello", model="a")
    unsaved = saved(10)
    line.backend.started[0].to_save = [unsaved]
    await line.pool.close()
    assert sessions.held == 0
    os.close(unsaved.memory)
