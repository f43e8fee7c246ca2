"""What breaks in the field, broken on purpose: real daemon, real workers, real signals."""

import json
import signal
import socket
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from edgeroute.domain.errors import EdgeRouteError
from tests.e2e.conftest import COMMAND, House, chat, workers_of

pytestmark = pytest.mark.e2e

WORDS = "one two three four five six seven eight nine ten"


def http(house: House) -> httpx2.Client:
    transport = httpx2.HTTPTransport(uds=str(house.folders.http_socket))
    return httpx2.Client(transport=transport, base_url="http://edgeroute", timeout=60)


def first_event_with_text(lines: Any) -> str:
    return str(next(line for line in lines if '"content":"' in line and '":""' not in line))


def test_a_worker_killed_before_the_first_token_costs_no_answer(house: House) -> None:
    house.add_echo("slow", prefill_tok_s=8.0)  # ten words take more than a second
    daemon = house.start()
    with http(house) as client, ThreadPoolExecutor() as threads:
        body = chat(WORDS, model="slow", edgeroute={"explain": True})
        answer = threads.submit(client.post, "/v1/chat/completions", json=body)
        wait_until_leased(house, "slow")
        (worker,) = workers_of(daemon)
        worker.send_signal(signal.SIGKILL)
        told = answer.result().json()
    assert told["choices"][0]["message"]["content"].split() == WORDS.split()
    assert [a["error"] for a in told["edgeroute"]["attempts"]] == ["worker_died", None]


def test_a_real_worker_killed_in_a_real_prefill_costs_no_answer(house: House) -> None:
    daemon = house.start()
    with http(house) as client, ThreadPoolExecutor() as threads:
        house.run("ask", "hi", "--max-tokens", "1")  # warm, so that what is killed is a prefill
        text = "The river rose for three days and took the old bridge with it. " * 150
        body = chat(f"Say yes.\n{text}", max_tokens=4, edgeroute={"explain": True})
        answer = threads.submit(client.post, "/v1/chat/completions", json=body)
        wait_until_leased(house, "smollm2-135m-instruct")
        (worker,) = workers_of(daemon)
        worker.send_signal(signal.SIGKILL)
        told = answer.result().json()
    assert told["choices"][0]["message"]["content"]
    assert [a["error"] for a in told["edgeroute"]["attempts"]] == ["worker_died", None]


def wait_until_leased(house: House, model: str) -> None:
    """Ask until a request runs on a loaded model; every asking is a round trip, not a sleep."""
    for _ in range(2000):
        status = house.model(model)
        if status["warmth"] == "warm" and status["leases"]:
            return
    raise AssertionError(f"{model} was never leased: {status}")


def test_a_dead_worker_is_replaced_by_another_model_where_one_is_eligible(house: House) -> None:
    house.add_echo("dies", die_at_token=0)
    house.add_echo("lives", quality=0.8)
    house.start()
    with house.client() as client:
        body = chat(WORDS, edgeroute={"explain": True})
        answers = [client.post("/v1/chat/completions", body) for _ in range(2)]
    for answer in answers:
        assert answer["choices"][0]["message"]["content"].split() == WORDS.split()
        assert answer["edgeroute"]["target"] == "lives"


def test_a_worker_killed_in_the_middle_ends_the_stream_with_a_typed_error(house: House) -> None:
    house.add_echo("dies", die_at_token=3)
    house.start()
    with http(house) as client:
        with client.stream("POST", "/v1/chat/completions", json=chat(WORDS, stream=True)) as got:
            assert got.status_code == 200
            lines = [line for line in got.iter_lines() if line]
        assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "worker_died"
        assert "one two three" in "".join(
            json.loads(line.removeprefix("data: "))["choices"][0]["delta"]["content"]
            for line in lines[:-1]
        )
        request = got.headers["x-edgeroute-id"]
        told = client.get(f"/edgeroute/explain/{request}").json()
    assert (told["ending"], told["error"]) == ("error", "worker_died")


def test_a_model_that_always_dies_ends_as_a_typed_error_and_backs_off(house: House) -> None:
    house.add_echo("dies", die_at_token=0)
    house.start()
    with house.client() as client, pytest.raises(EdgeRouteError) as caught:
        client.post("/v1/chat/completions", chat(WORDS, model="dies"))
    assert caught.value.http_status in (502, 503)


def test_a_failed_load_tells_its_reason(house: House) -> None:
    house.add_echo("broken", fail_load="no such tensor")
    house.start()
    done = house.run("ask", "hello", "--model", "broken")
    assert done.returncode == 1
    assert "no such tensor" in done.stderr


def test_sigterm_lets_the_running_answer_finish(house: House) -> None:
    house.add_echo("slow", tok_s=10.0)
    daemon = house.start()
    body = chat(WORDS, stream=True)
    with http(house) as client, client.stream("POST", "/v1/chat/completions", json=body) as got:
        lines = got.iter_lines()
        first_event_with_text(lines)
        daemon.send_signal(signal.SIGTERM)
        rest = list(lines)
    assert "data: [DONE]" in rest
    gone, alive = psutil.wait_procs([daemon], timeout=10)
    assert gone
    assert not alive


def test_no_worker_outlives_a_killed_daemon(house: House) -> None:
    house.add_echo("slow", tok_s=2.0)
    house.add_echo("slower", tok_s=1.0)
    daemon = house.start()
    with http(house) as client, ThreadPoolExecutor() as threads:
        for model in ("slow", "slower"):
            body = chat(WORDS, model=model)
            threads.submit(client.post, "/v1/chat/completions", json=body)
            wait_until_leased(house, model)
        workers = workers_of(daemon)
        assert len(workers) == 2
        daemon.kill()
        _, alive = psutil.wait_procs([daemon, *workers], timeout=10)
    assert not alive


def test_a_second_daemon_refuses_and_leaves_the_first_alone(house: House) -> None:
    house.add_echo("echo")
    daemon = house.start()
    second = house.run("serve")
    assert second.returncode == 1
    assert f"already running (process {daemon.pid})" in second.stderr
    detached = house.run("serve", "--detach")
    assert detached.returncode == 0
    assert "already running" in detached.stderr
    assert house.run("ask", "hello").stdout.strip() == "hello"


def test_two_starts_at_once_are_both_content(house: House) -> None:
    starts = [
        subprocess.Popen([*COMMAND, "serve", "--detach"], env=house.env, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    said = [start.communicate(timeout=60)[1].decode() for start in starts]
    assert [start.returncode for start in starts] == [0, 0, 0], said
    assert sorted("daemon started" in words for words in said) == [False, False, True]


def test_nothing_that_is_remembered_is_readable_by_others(house: House) -> None:
    state = house.folders.state
    state.mkdir(parents=True, mode=0o755)
    house.add_echo("echo")
    house.start()
    house.run("ask", "hello")
    files = [path for path in state.iterdir() if path.is_file()]
    assert {path.name for path in files} >= {"journal.db", "daemon.log"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert house.folders.http_socket.stat().st_mode & 0o777 == 0o600


def test_odd_field_names_are_told_without_breaking_the_answer(house: House) -> None:
    house.add_echo("echo")
    house.start()
    odd = {"a\nb": 1, "\u00e9": 2, **{f"unknown_{n}": n for n in range(5000)}}
    with http(house) as client:
        got = client.post("/v1/chat/completions", json={**chat("hello", model="echo"), **odd})
    assert got.status_code == 200
    assert len(got.headers["x-edgeroute-ignored"]) <= 1000


def test_what_was_learnt_survives_a_reload(house: House) -> None:
    house.add_echo("echo", tok_s=100.0)
    house.start()
    house.run("ask", WORDS, "--model", "echo")
    before = house.model("echo")["rates"]
    assert before["measured"]
    house.reload()
    assert house.model("echo")["rates"] == before


def test_a_locked_journal_stops_neither_answers_nor_the_stop(house: House) -> None:
    house.add_echo("echo")
    house.start()
    with closing(sqlite3.connect(house.folders.journal, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(5):
            assert house.run("ask", "hello", "--model", "echo").stdout.strip() == "hello"
        assert house.run("stop").returncode == 0


def test_a_stale_socket_and_lock_are_no_obstacle(house: House) -> None:
    house.add_echo("echo")
    runtime = house.folders.runtime
    runtime.mkdir(parents=True, mode=0o700)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(house.folders.http_socket))
    house.folders.lock.write_text("12345")
    house.start()
    assert house.run("ask", "hello").stdout.strip() == "hello"


def test_a_model_larger_than_the_budget_is_refused_with_both_numbers(house: House) -> None:
    house.configure('[memory]\nbudget = "100MiB"\n')
    house.add_echo("huge", anon=500 << 20)
    house.add_echo("small")
    house.start()
    done = house.run("ask", "hello", "--model", "huge")
    assert done.returncode == 2
    assert "100.0 MiB" in done.stderr
    told = house.json("ask", "hello")
    assert told["target"] == "small"
    assert ("huge", "memory") in [(r["target"], r["code"]) for r in told["rejected"]]


def test_a_truncated_model_file_is_refused_when_linked(house: House, starter: Path) -> None:
    cut = house.root / "cut.gguf"
    cut.write_bytes(starter.read_bytes()[:50_000_000])
    done = house.run("models", "link", str(cut))
    assert done.returncode == 2
    assert "bytes" in done.stderr
    assert house.json("models")["models"]


def test_a_model_file_cut_after_it_was_linked_is_unavailable(house: House, starter: Path) -> None:
    copy = house.root / "copy.gguf"
    copy.write_bytes(starter.read_bytes())
    house.run("models", "link", str(copy), "--id", "copy")
    with copy.open("r+b") as file:
        file.truncate(50_000_000)
    house.start()
    assert [model["id"] for model in house.status()["unavailable"]] == ["copy"]
    done = house.run("ask", "hello", "--model", "copy")
    assert done.returncode == 2
    assert "no model 'copy'" in done.stderr


def test_hanging_up_frees_the_slot(house: House) -> None:
    house.configure("slots = 1\n")
    house.add_echo("slow", tok_s=1.0, prefill_tok_s=0.0)
    house.start()
    with http(house) as client:
        for _ in range(3):  # each would hold the only slot for ten seconds
            body = chat(WORDS, model="slow", stream=True)
            with client.stream("POST", "/v1/chat/completions", json=body) as got:
                first_event_with_text(got.iter_lines())
    with house.client() as after:
        answer = after.post("/v1/chat/completions", chat("hello", model="slow"))
    assert answer["choices"][0]["message"]["content"].strip() == "hello"
    assert house.model("slow")["leases"] == 0


def test_a_deadline_is_kept(house: House) -> None:
    house.add_echo("slow", tok_s=1.0)
    house.start()
    with http(house) as client:
        body = chat(WORDS, model="slow", edgeroute={"deadline_s": 0.5})
        got = client.post("/v1/chat/completions", json=body)
    assert got.status_code in (422, 504)  # refused where it was foreseen, else cut off
    assert got.json()["error"]["code"] in ("no_target", "deadline_exceeded")
    assert got.elapsed.total_seconds() < 5


def test_what_is_too_large_is_refused_while_it_arrives(house: House) -> None:
    house.add_echo("echo")
    house.start()
    with http(house) as client:
        body = client.post("/v1/chat/completions", content=b"x" * (9 << 20))
        assert body.status_code == 413
        head = client.get("/healthz", headers={"x-padding": "x" * 40_000})
        assert head.status_code == 431
        assert client.get("/healthz").status_code == 200


def test_a_bad_configuration_names_its_line(house: House) -> None:
    house.configure('profile = "balanced"\n\n[memory]\nbudgte = "1GiB"\n')
    done = house.run("serve")
    assert done.returncode == 2
    assert "config.toml" in done.stderr
    assert "4" in done.stderr
    assert "budget" in done.stderr


def test_a_profile_that_does_not_exist_stops_the_start(house: House) -> None:
    house.configure('profile = "turbo"\n')
    done = house.run("serve", "--detach")
    assert done.returncode == 1
    assert "turbo" in done.stderr
    assert "balanced" in done.stderr


def test_bad_arguments_exit_with_2(house: House) -> None:
    mistakes = (
        ["ask"],
        ["ask", "  "],
        ["ask", b"\xff"],
        ["ask", "hi", "--temperature", "nan"],
        ["ask", "hi", "--deadline", "inf"],
        ["frobnicate"],
        ["models", "link", "/no/such.gguf"],
    )
    for arguments in mistakes:
        done = subprocess.run(
            [*COMMAND, *arguments], env=house.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, arguments
        assert done.stderr.strip(), arguments
        assert "Traceback" not in done.stderr, arguments


def test_asking_without_a_daemon_says_how_to_start_one(house: House) -> None:
    done = house.run("ask", "hello")
    assert done.returncode == 1
    assert "edgeroute serve" in done.stderr
