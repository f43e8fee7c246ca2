"""Schemas, tools, choices, probabilities and vectors, as a stock OpenAI client asks for them."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel, Field

from tests.conftest import bench_model
from tests.e2e.conftest import House, openai_client

pytestmark = pytest.mark.e2e

STARTER = "smollm2-135m-instruct"
HELLO: Any = [{"role": "user", "content": "Describe Mira, who is 31 years old, as JSON."}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Person(BaseModel):
    name: str = Field(max_length=20)
    age: int = Field(ge=0, le=120)


def test_schemas_choices_probabilities_and_bare_prompts(house: House) -> None:
    house.start()
    with openai_client(house) as client:
        parsed = client.chat.completions.parse(
            model="auto", messages=HELLO, response_format=Person, temperature=0, max_tokens=80
        )
        person = parsed.choices[0].message.parsed
        assert person is not None
        assert person.age in range(121)
        two = client.chat.completions.create(
            model="auto", messages=HELLO, n=2, max_tokens=8, logprobs=True, top_logprobs=1, seed=1
        )
        assert [choice.index for choice in two.choices] == [0, 1]
        assert two.choices[0].message.content != two.choices[1].message.content
        told = two.choices[1].logprobs
        assert told is not None
        assert "".join(one.token for one in told.content or ()) == two.choices[1].message.content
        bare = client.completions.create(
            model="auto", prompt="The capital of France is", max_tokens=2, temperature=0
        )
        assert bare.choices[0].text.startswith(" Paris")
        stream = client.completions.create(
            model="auto",
            prompt="The capital of France is",
            max_tokens=2,
            temperature=0,
            stream=True,
        )
        assert "".join(chunk.choices[0].text for chunk in stream) == bare.choices[0].text
        grammar = {"grammar": 'root ::= "yes" | "no"'}
        held = client.chat.completions.create(
            model="auto", messages=HELLO, extra_body={"edgeroute": grammar}
        )
        assert held.choices[0].message.content in {"yes", "no"}


def test_what_no_model_here_can_do_is_said(house: House) -> None:
    house.start()
    with openai_client(house) as client:
        chat = client.chat.completions.create
        with pytest.raises(openai.BadRequestError, match="cannot call tools") as caught:
            chat(model=STARTER, messages=HELLO, tools=[WEATHER])
        assert caught.value.code == "unsupported"
        with pytest.raises(openai.UnprocessableEntityError, match="cannot call tools"):
            chat(model="auto", messages=HELLO, tools=[WEATHER])
        with pytest.raises(openai.UnprocessableEntityError, match="model that can embed texts"):
            client.embeddings.create(model="auto", input="hello")
        picture: Any = [{"type": "image_url", "image_url": {"url": "data:,"}}]
        with pytest.raises(openai.BadRequestError, match="image_url"):
            chat(model="auto", messages=[{"role": "user", "content": picture}])
        schema: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}
        with pytest.raises(openai.BadRequestError, match="not"):
            chat(model="auto", messages=HELLO, response_format=schema)


def test_vectors_come_from_the_model_that_embeds(house: House) -> None:
    path = bench_model("all-minilm-l6-v2-f16.gguf")
    linked = house.run("models", "link", str(path), "--id", "minilm")
    assert linked.returncode == 0, linked.stderr
    house.start()
    texts = ["The river rose.", "The stream kept climbing.", "Onion soup."]
    with openai_client(house) as client:
        told = client.embeddings.create(model="auto", input=texts)
        floats = client.embeddings.create(model="minilm", input=texts[0], encoding_format="float")
        chat = client.chat.completions.create(model="auto", messages=HELLO, max_tokens=4)
        with pytest.raises(openai.BadRequestError, match="minilm cannot answer a conversation"):
            client.chat.completions.create(model="minilm", messages=HELLO)
    assert told.model == "minilm"
    assert chat.model == STARTER
    assert [one.index for one in told.data] == [0, 1, 2]
    assert len(told.data[0].embedding) == 384
    assert floats.data[0].embedding == pytest.approx(told.data[0].embedding, abs=2e-3)
    assert told.usage.total_tokens == told.usage.prompt_tokens > 10


def test_a_conversation_with_a_tool(house: House) -> None:
    path = bench_model("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf")
    linked = house.run("models", "link", str(path), "--id", "qwen")
    assert linked.returncode == 0, linked.stderr
    house.start()
    talk: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
    asked: dict[str, Any] = {
        "model": "auto",
        "temperature": 0,
        "max_tokens": 60,
        "tools": [WEATHER],
    }
    with openai_client(house) as client:
        first = client.chat.completions.create(messages=talk, **asked)
        assert (first.model, first.choices[0].finish_reason) == ("qwen", "tool_calls")
        (call,) = first.choices[0].message.tool_calls
        assert call.function.name == "get_weather"
        assert json.loads(call.function.arguments) == {"city": "Oslo"}
        events = client.chat.completions.create(messages=talk, stream=True, **asked)
        deltas = [event.choices[0].delta for event in events]
        pieces = [piece for delta in deltas for piece in delta.tool_calls or ()]
        assert "".join(piece.function.arguments for piece in pieces) == call.function.arguments
        talk += [
            first.choices[0].message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": '{"celsius": 4, "sky": "rain"}'},
        ]
        last = client.chat.completions.create(messages=talk, **asked)
    assert last.choices[0].finish_reason in {"stop", "length"}
    assert "4" in last.choices[0].message.content
