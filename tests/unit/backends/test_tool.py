"""Tools: bounded processes and URLs, and answers that are checked before anyone sees them."""

import asyncio
import json
import os
import sys
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from edgeroute.backends.calculator import CALCULATOR, Calculator
from edgeroute.backends.program import Program
from edgeroute.backends.tool import Runs, Tool, target_of
from edgeroute.backends.web_tool import WebTool
from edgeroute.domain.destination import Key, ToolProgram
from edgeroute.domain.errors import DestinationUnreachable, EdgeRouteError, ToolFailed
from edgeroute.domain.features import Task
from edgeroute.domain.privacy import Label, Zone
from edgeroute.domain.request import Chunk, Message, Request
from edgeroute.domain.units import RequestId
from edgeroute.ports import ApprovedPayload
from edgeroute.wire.openai import encode_json
from tests.unit.backends.openai_server import serving, silence, whole

SHOUT = ToolProgram("shout", frozenset({Task.REWRITE}), ("tr", "a-z", "A-Z"))


def python(code: str) -> Program:
    return Program((sys.executable, "-c", code))


async def ask(tool: Tool, text: str) -> list[Chunk]:
    turns = (Message("user", "before"), Message("assistant", "yes"), Message("user", text))
    request = Request(RequestId("r"), "auto", turns)
    (target,) = tool.targets()
    payload = ApprovedPayload(
        target.id, encode_json(tool.compose(target.id, request)), Label.PUBLIC
    )
    async with aclosing(tool.answer(payload)) as chunks:
        return [chunk async for chunk in chunks]


def tool(runs: Runs, timeout_s: float = 20.0, schema: str = "") -> Tool:
    return Tool(target_of(SHOUT), runs, timeout_s, schema)


async def test_a_command_answers_what_was_said_last() -> None:
    said, end = await ask(tool(Program(SHOUT.command)), "h\u00e9llo $(id) `id`\n")
    assert said.text == "H\u00e9LLO $(ID) `ID`"
    assert end.finish == "stop"
    assert end.usage is not None
    assert end.usage.estimated


async def test_a_command_sees_no_key_of_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-yours")
    said, _ = await ask(tool(python("import os; print(sorted(os.environ))")), "x")
    names = set(json.loads(said.text.replace("'", '"')))
    assert "PATH" in names
    assert names <= {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ"}


FAILURES = {
    "status": ("import sys; print('half'); sys.exit('no luck')", "ended with 1: no luck"),
    "endless": ("while True: print('x' * 10000)", "over 1048576 bytes"),
    "binary": ("import os; os.write(1, bytes([255, 254]))", "not UTF-8"),
}


@pytest.mark.parametrize(("code", "words"), FAILURES.values(), ids=FAILURES)
async def test_what_is_no_answer_is_a_failure(code: str, words: str) -> None:
    with pytest.raises(ToolFailed, match=words):
        await ask(tool(python(code)), "x")


async def test_a_program_that_is_not_there_is_told_by_its_probe() -> None:
    missing = tool(Program(("no-such-program-4711",)))
    with pytest.raises(ToolFailed, match="no program 'no-such-program-4711'"):
        await missing.probe()
    with pytest.raises(ToolFailed, match="No such file"):
        await ask(missing, "x")
    await tool(Program(SHOUT.command)).probe()


async def test_a_long_text_that_nobody_reads_hinders_nothing() -> None:
    said, _ = await ask(tool(python("print('done')")), "x" * 1_000_000)
    assert said.text == "done"


SLEEPERS = (
    "import os, subprocess, sys\n"
    "child = subprocess.Popen(['sleep', '600'])\n"
    "print(os.getpid(), child.pid, file=open(sys.argv[1], 'w'), flush=True)\n"
    "child.wait()"
)


def sleeping(told: Path) -> Program:
    os.mkfifo(told)
    return Program((sys.executable, "-c", SLEEPERS, str(told)))


def gone(pids: list[int]) -> bool:
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(processes, timeout=10)
    return not [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


async def test_nothing_of_a_tool_outlives_a_caller_who_hangs_up(tmp_path: Path) -> None:
    asking = asyncio.create_task(ask(tool(sleeping(tmp_path / "told"), 60.0), "x"))
    pids = (await asyncio.to_thread((tmp_path / "told").read_text)).split()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await asyncio.to_thread(gone, [int(pid) for pid in pids])


async def test_nothing_of_a_tool_outlives_its_time(tmp_path: Path) -> None:
    asking = asyncio.create_task(ask(tool(sleeping(tmp_path / "told"), 2.0), "x"))
    pids = (await asyncio.to_thread((tmp_path / "told").read_text)).split()
    with pytest.raises(ToolFailed, match="longer than 2 s"):
        await asking
    assert await asyncio.to_thread(gone, [int(pid) for pid in pids])


SCHEMA = json.dumps({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('{"n": 4}', ""),
        ('{"n": "4"}', r"schema at \$.n"),
        ("4", r"schema at \$"),
        ("x", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
async def test_an_answer_obeys_its_schema_or_is_none(said: str, words: str) -> None:
    checked = tool(Program(("printf", "%s", said)), schema=SCHEMA)
    if not words:
        assert (await ask(checked, "x"))[0].text == said
        return
    with pytest.raises(ToolFailed, match=words):
        await ask(checked, "x")


def test_a_tool_is_a_target_for_its_tasks_alone() -> None:
    target = target_of(replace(SHOUT, zone=Zone.PEER, max_label=Label.INTERNAL))
    assert (target.id, target.tasks) == ("tool/shout", frozenset({Task.REWRITE}))
    assert (target.zone, target.max_label) == (Zone.PEER, Label.INTERNAL)
    assert target.scores[Task.REWRITE] > 0.5
    assert target.scores[Task.UNKNOWN] == 0


# ---- a URL ------------------------------------------------------------------------------------


async def test_a_url_is_told_the_text_and_answers_with_text_or_json() -> None:
    for reply in (whole({"text": "sunny"}), whole(b"sunny", kind="text/plain")):
        async with serving(reply) as server:
            runs = WebTool("weather", server.url, Key("sk-1"))
            said, _ = await ask(tool(runs), "weather?")
            assert said.text == "sunny"
            assert server.asked[0].json == {"text": "weather?"}
            assert server.asked[0].headers["authorization"] == "Bearer sk-1"
            await runs.close()


URL_FAILURES = {
    "status": (whole({}, 500), ToolFailed, r"weather failed \(500\)"),
    "moved": (whole({}, 302, location="http://127.0.0.1:1/"), ToolFailed, r"\(302\)"),
    "long": (whole(b"x" * ((1 << 20) + 1)), ToolFailed, "over 1048576"),
    "binary": (whole(b"\xff"), ToolFailed, "not UTF-8"),
    "binary in JSON": (whole(b'{"text": "\xff"}'), ToolFailed, "not UTF-8"),
    "silence": (silence(), ToolFailed, "longer than 0.05 s"),
}


@pytest.mark.parametrize(("reply", "kind", "words"), URL_FAILURES.values(), ids=URL_FAILURES)
async def test_a_url_that_gives_no_answer_has_failed(
    reply: object, kind: type[EdgeRouteError], words: str
) -> None:
    async with serving(reply) as server:  # type: ignore[arg-type] # of a mixed table
        runs = WebTool("weather", server.url, None)
        timeout_s = 0.05 if reply is URL_FAILURES["silence"][0] else 20.0
        with pytest.raises(kind, match=words):
            await ask(tool(runs, timeout_s), "x")
        await runs.close()


async def test_a_url_where_nobody_is_cannot_be_reached() -> None:
    async with serving(silence()) as server:
        url = server.url
    runs = WebTool("weather", url, None)
    with pytest.raises(DestinationUnreachable, match="cannot be reached: ConnectError"):
        await ask(tool(runs), "x")
    await runs.close()


# ---- the calculator ---------------------------------------------------------------------------


async def test_the_calculator_says_the_value_and_nothing_else() -> None:
    calculator = Tool(CALCULATOR, Calculator(), 1.0)
    said, _ = await ask(calculator, "What is 17 * 23?")
    assert said.text == "391"
    with pytest.raises(ToolFailed, match="pure arithmetic alone"):
        await ask(calculator, "What is the capital of France?")
