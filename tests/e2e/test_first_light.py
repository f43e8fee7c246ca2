"""The whole line on the real starter model: a question in, an answer and its reasons out."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import COMMAND, House, chat, openai_client, workers_of

pytestmark = pytest.mark.e2e

STARTER = "smollm2-135m-instruct"
QUESTION = "What is the capital of France? Answer in one word."


def test_ask_streams_an_answer_and_says_why(house: House) -> None:
    house.start()
    done = house.run("ask", QUESTION, "--temperature", "0", "--max-tokens", "40")
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    for said in ("decision", STARTER, "because", "candidates", " explain "):
        assert said in done.stderr


def test_ask_as_json_has_everything_a_program_needs(house: House) -> None:
    house.start()
    told = house.json("ask", QUESTION, "--temperature", "0", "--max-tokens", "40")
    assert "Paris" in told["text"]
    assert told["target"] == told["model"] == STARTER
    assert (told["zone"], told["label"]) == ("device", "private")
    assert set(told["terms"]) == {"quality", "money", "energy", "time"}
    assert [rejected["target"] for rejected in told["rejected"]] == ["tool/calculator"]
    assert told["usage"]["completion_tokens"] > 0
    assert 0 < told["ttft_s"] < told["total_s"]
    assert told["joules"]["device"] > 0
    again = house.json("explain", told["id"])
    assert again["terms"] == told["terms"]
    assert again["usage"] == told["usage"]


def test_route_decides_without_loading_anything(house: House) -> None:
    daemon = house.start()
    told = house.json("route", "Write a Python function that reverses a list.")
    assert (told["task"], told["target"]) == ("coding", STARTER)
    assert workers_of(daemon) == []


def test_the_stock_openai_client_works_over_the_socket(house: House) -> None:
    house.start()
    asked: Any = {
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0,
        "max_tokens": 30,
    }
    with openai_client(house) as client:
        assert [model.id for model in client.models.list()] == ["auto", STARTER, "tool/calculator"]
        whole = client.chat.completions.create(model="auto", **asked)
        stream = client.chat.completions.create(
            model=STARTER, **asked, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    assert "Paris" in whole.choices[0].message.content
    assert whole.model == STARTER
    assert whole.usage.total_tokens > 30
    streamed = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert streamed == whole.choices[0].message.content
    usage = chunks[-1].usage
    assert usage.total_tokens == whole.usage.total_tokens
    assert whole.usage.prompt_tokens_details.cached_tokens == 0
    assert 0 < usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens


def test_errors_are_the_ones_openai_clients_know(house: House) -> None:
    house.start()
    hello: Any = [{"role": "user", "content": "hi"}]
    with openai_client(house) as client:
        create = client.chat.completions.create
        with pytest.raises(openai.NotFoundError, match="no model 'gpt-9'"):
            create(model="gpt-9", messages=hello)
        with pytest.raises(openai.BadRequestError, match="temperature"):
            create(model="auto", messages=hello, temperature=9)
        with pytest.raises(openai.BadRequestError, match="labl"):
            create(model="auto", messages=hello, extra_body={"edgeroute": {"labl": "public"}})
        with pytest.raises(openai.UnprocessableEntityError, match="tokens"):
            create(model="auto", messages=[{"role": "user", "content": "word " * 30_000}])


def test_headers_say_who_answered_and_what_was_ignored(house: House) -> None:
    house.add_echo("echo")
    house.start()
    transport = httpx2.HTTPTransport(uds=str(house.folders.http_socket))
    with httpx2.Client(transport=transport, base_url="http://edgeroute") as client:
        body = chat("hello", model="echo", user="me", metadata={})
        headers = client.post("/v1/chat/completions", json=body).headers
    assert headers["x-edgeroute-target"] == "echo"
    assert headers["x-edgeroute-zone"] == "device"
    assert headers["x-edgeroute-ignored"] == "metadata,user"
    assert headers["x-edgeroute-reason"]
    assert house.json("explain", headers["x-edgeroute-id"])["target"] == "echo"


def test_several_questions_share_one_worker_and_are_answered_as_if_alone(house: House) -> None:
    daemon = house.start()
    prompts = [QUESTION, "Name a colour.", "Say hello in French.", "What is 2 + 2?"]
    asking = [*COMMAND, "ask", "--json", "--temperature", "0", "--max-tokens", "12"]
    alone = [house.json("ask", p, "--temperature", "0", "--max-tokens", "12") for p in prompts]
    running = [
        subprocess.Popen([*asking, p], env=house.env, stdout=subprocess.PIPE) for p in prompts
    ]
    together = [json.loads(process.communicate()[0]) for process in running]
    assert len(workers_of(daemon)) == 1
    for first, second in zip(alone, together, strict=True):
        # A batch of another shape may round differently in the last bits, so the texts may part
        # late; they begin alike.
        assert first["text"][:8] == second["text"][:8]


def test_metrics_and_status_tell_what_happened(house: House) -> None:
    house.add_echo("echo")
    house.start()
    house.run("ask", "hello there", "--model", "echo")
    transport = httpx2.HTTPTransport(uds=str(house.folders.http_socket))
    with httpx2.Client(transport=transport, base_url="http://edgeroute") as client:
        text = client.get("/metrics").text
    samples = {
        (sample.name, sample.labels.get("target"), sample.labels.get("kind")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["edgeroute_tokens_total", "echo", "completion"] == 2
    echo = house.model("echo")
    assert (echo["warmth"], echo["leases"]) == ("warm", 0)
    assert echo["booked"]["anon"] > 0
    assert "echo" in house.run("status").stdout


def test_what_was_measured_is_known_after_a_restart(house: House) -> None:
    house.start()
    house.run("ask", QUESTION, "--max-tokens", "20")
    measured = house.model(STARTER)
    assert measured["rates"]["measured"]
    house.run("stop")
    house.start()
    after = house.model(STARTER)
    assert after["rates"] == measured["rates"]
    assert after["needed"] == sum(measured["booked"][kind] for kind in ("file", "anon"))


def test_a_linked_model_is_there_at_once_and_gone_at_once(house: House, starter: Path) -> None:
    house.start()
    linked = house.json("models", "link", str(starter), "--id", "twin")
    assert linked["daemon"] is True
    assert house.run("ask", "hi", "--model", "twin", "--max-tokens", "3").returncode == 0
    assert "twin" in [model["id"] for model in house.json("models")["models"]]
    assert house.run("models", "unlink", "twin").returncode == 0
    assert house.run("ask", "hi", "--model", "twin").returncode == 2
    assert starter.exists()


def test_all_of_it_works_without_any_network_interface(house: House) -> None:
    """In a network namespace of its own, where not even loopback is up."""
    unshare = shutil.which("unshare")
    excused = os.environ.get("EDGEROUTE_TEST_WITHOUT_NAMESPACES") == "1"
    if excused:
        pytest.skip("excused by EDGEROUTE_TEST_WITHOUT_NAMESPACES=1")
    assert unshare, "needs util-linux's unshare, or EDGEROUTE_TEST_WITHOUT_NAMESPACES=1"
    as_root = [] if os.getuid() == 0 else ["--map-root-user"]
    house.wrapper = [unshare, "--net", *as_root]
    interfaces = subprocess.run(
        [*house.wrapper, "cat", "/proc/net/dev"], capture_output=True, text=True, check=True
    )
    names = [line.split(":")[0].strip() for line in interfaces.stdout.splitlines()[2:]]
    assert names == ["lo"]  # and that one is down
    house.start()
    told = house.json("ask", QUESTION, "--temperature", "0", "--max-tokens", "30")
    assert "Paris" in told["text"]
    assert house.run("doctor").returncode == 0
    assert house.json("explain", told["id"])["target"] == STARTER
