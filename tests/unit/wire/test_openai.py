"""The OpenAI body: every field lands where it belongs, every mistake is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.errors import EdgeRouteError, InvalidRequest, Overloaded, Unsupported
from edgeroute.domain.privacy import Label
from edgeroute.domain.request import Limits, Message, Request, Sampling, Usage
from edgeroute.domain.units import RequestId
from edgeroute.wire.openai import ChatCall, ChatWriter, decode_chat, encode_error

ID = RequestId("r1")
HELLO = {"role": "user", "content": "hello"}


def decode(**fields: Any) -> ChatCall:
    body = {"messages": [HELLO], **fields}
    return decode_chat(json.dumps(body).encode(), ID)


def test_the_least_body_is_a_private_auto_request() -> None:
    assert decode().request == Request(id=ID, model="auto", messages=(Message("user", "hello"),))


def test_every_field_lands_where_it_belongs() -> None:
    call = decode(
        model="smollm2",
        stream=True,
        stream_options={"include_usage": True},
        temperature=0,
        top_p=0.5,
        top_k=7,
        min_p=0.1,
        repeat_penalty=1.1,
        presence_penalty=0.2,
        frequency_penalty=-0.2,
        seed=42,
        max_completion_tokens=9,
        stop="END",
        edgeroute={
            "label": "secret",
            "profile": "offline",
            "session": "s",
            "deadline_s": 3,
            "max_usd": 0,
            "max_j": 5,
            "on_device": "only",
            "priority": "background",
            "overflow": "shift",
            "explain": True,
        },
    )
    assert call.include_usage
    assert call.explain
    assert call.request == Request(
        id=ID,
        model="smollm2",
        messages=(Message("user", "hello"),),
        sampling=Sampling(0, 0.5, 7, 0.1, 1.1, 0.2, -0.2, 42, 9, ("END",)),
        limits=Limits(3, 0, 5, on_device=True),  # type: ignore[arg-type] # plain numbers will do
        label=Label.SECRET,
        profile="offline",
        session="s",
        stream=True,
        priority="background",
        overflow="shift",
    )


def test_auto_may_name_a_profile() -> None:
    request = decode(model="auto:battery-saver").request
    assert (request.model, request.profile) == ("auto", "battery-saver")
    assert decode(model="qwen:latest").request.model == "qwen:latest"


def test_text_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    call = decode(messages=[{"role": "user", "content": parts}])
    assert call.request.messages == (Message("user", "ab"),)


def test_unknown_fields_are_dropped_and_told() -> None:
    assert decode(user="me", metadata={"a": 1}).request.ignored == ("metadata", "user")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": 7}]}, "content"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"seed": 2**64}, "seed"),
        ({"stop": [""]}, "stop"),
        ({"model": ""}, "model"),
        ({"edgeroute": {"labl": "public"}}, "labl"),
        ({"edgeroute": {"label": "topsecret"}}, "label"),
        ({"edgeroute": {"deadline_s": 0}}, "deadline_s"),
        ({"edgeroute": {"priority": "urgent"}}, "priority"),
        ({"edgeroute": {"overflow": "truncate"}}, "overflow"),
    ],
)
def test_a_mistake_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named) as caught:
        decode(**fields)
    assert caught.value.http_status == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"logprobs": True},
        {"tools": [{"type": "function"}]},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
    ],
)
def test_what_would_change_the_answer_is_refused_not_dropped(fields: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        decode(**fields)


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_arbitrary_bytes_are_an_invalid_request(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode_chat(data, ID)


@pytest.mark.parametrize("nest", ["[", '{"messages":'])
def test_deep_nesting_is_an_invalid_request(nest: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_chat((nest * 100_000).encode(), ID)


def events(data: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in data.decode().split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_a_stream_is_role_text_finish_usage_done() -> None:
    writer = ChatWriter(ID, "smollm2", 1)
    stream = (
        writer.opening()
        + writer.delta("hi")
        + writer.closing("stop", Usage(3, 2, cached_tokens=1), None)
    )
    role, text, finish, usage, done = events(stream)
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert text["choices"][0]["delta"] == {"content": "hi"}
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
    assert usage["choices"] == []
    assert done == "[DONE]"
    assert {event["id"] for event in (role, text, finish, usage)} == {"chatcmpl-r1"}


@given(st.text())
def test_a_piece_of_text_is_an_event_of_its_own_whatever_it_says(text: str) -> None:
    writer = ChatWriter(ID, "auto-1.5b_q4", 1)
    (event,) = events(writer.delta(text.replace("\n\n", "")))
    (empty,) = events(writer.delta(""))
    assert event["choices"][0]["delta"] == {"content": text.replace("\n\n", "")}
    empty["choices"][0]["delta"] = event["choices"][0]["delta"]
    assert event == empty


def test_a_whole_answer_carries_text_usage_and_what_was_asked_to_be_explained() -> None:
    body = json.loads(ChatWriter(ID, "m", 1).whole("hi", "length", Usage(3, 2), {"task": "math"}))
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "hi"}
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["total_tokens"] == 5
    assert body["edgeroute"] == {"task": "math"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("bad", hint="mend it"), "invalid_request_error"),
        (Overloaded("full"), "server_error"),
        (EdgeRouteError("oh"), "server_error"),
    ],
)
def test_errors_say_whose_they_are_and_what_would_help(error: EdgeRouteError, kind: str) -> None:
    told = json.loads(encode_error(error))["error"]
    assert told["type"] == kind
    assert told["code"] == error.code
    assert error.message in told["message"]
    assert (error.hint or "") in told["message"]
