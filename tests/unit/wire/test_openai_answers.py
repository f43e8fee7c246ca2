"""Answers in the shapes of the OpenAI API."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.errors import EdgeRouteError, InvalidRequest, Overloaded
from edgeroute.domain.request import Chunk, TokenLogprob, ToolCallPiece, Usage
from edgeroute.domain.units import RequestId
from edgeroute.wire.openai import ChatWriter, Gathered, encode_error

ID = RequestId("r1")


def events(data: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in data.decode().split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def gathered(*chunks: Chunk) -> Gathered:
    answers = Gathered()
    for chunk in chunks:
        answers.add(chunk)
    return answers


def test_a_stream_is_role_text_finish_usage_done() -> None:
    writer = ChatWriter(ID, "smollm2", 1)
    end = Chunk("", "stop", Usage(3, 2, cached_tokens=1))
    stream = (
        writer.opening(1)
        + writer.delta(Chunk("hi"))
        + writer.delta(end)
        + writer.closing([end], end.usage, None)
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
    (event,) = events(writer.delta(Chunk(text.replace("\n\n", ""))))
    (empty,) = events(writer.delta(Chunk("")))
    assert event["choices"][0]["delta"] == {"content": text.replace("\n\n", "")}
    empty["choices"][0]["delta"] = event["choices"][0]["delta"]
    assert event == empty


def test_a_whole_answer_carries_text_usage_and_what_was_asked_to_be_explained() -> None:
    answers = gathered(Chunk("h"), Chunk("i", "length", Usage(3, 2)))
    body = json.loads(ChatWriter(ID, "m", 1).whole(answers, {"task": "math"}))
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "hi"}
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["total_tokens"] == 5
    assert body["edgeroute"] == {"task": "math"}


TOLD = TokenLogprob(b"\xc3", -0.25, ((b"\xc3", -0.25), (b"a", -2.0)))
TWO = (
    Chunk("Let me see.", logprobs=(TOLD,)),
    Chunk("B", choice=1),
    Chunk("", tool_calls=(ToolCallPiece(0, "c1", "weather", '{"city"'),)),
    Chunk("", tool_calls=(ToolCallPiece(0, arguments=': "Oslo"}'),)),
    Chunk("", tool_calls=(ToolCallPiece(1, "c2", "time", "{}"),)),
    Chunk("", "stop", choice=1),
    Chunk("", "tool_calls", Usage(3, 9)),
)


def test_two_answers_with_calls_and_probabilities_whole() -> None:
    body = json.loads(ChatWriter(ID, "m", 1).whole(gathered(*TWO), None))
    first, second = body["choices"]
    assert first["message"]["content"] == "Let me see."
    assert [call["id"] for call in first["message"]["tool_calls"]] == ["c1", "c2"]
    called = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    assert first["message"]["tool_calls"][0]["function"] == called
    assert first["finish_reason"] == "tool_calls"
    assert first["logprobs"]["content"] == [
        {
            "token": "\ufffd",
            "logprob": -0.25,
            "bytes": [195],
            "top_logprobs": [
                {"token": "\ufffd", "logprob": -0.25, "bytes": [195]},
                {"token": "a", "logprob": -2.0, "bytes": [97]},
            ],
        }
    ]
    assert second == {
        "index": 1,
        "message": {"role": "assistant", "content": "B"},
        "finish_reason": "stop",
    }
    assert body["usage"]["completion_tokens"] == 9


def test_the_events_of_a_stream_say_what_the_whole_says() -> None:
    writer = ChatWriter(ID, "m", 1)
    stream = writer.opening(2) + b"".join(map(writer.delta, TWO))
    ended = [chunk for chunk in TWO if chunk.finish]
    choices = [
        event["choices"][0]
        for event in events(stream + writer.closing(ended, None, {"task": "math"}))
        if event != "[DONE]"
    ]
    calls = [
        call
        for choice in choices
        if choice["index"] == 0
        for call in choice["delta"].get("tool_calls", ())
    ]
    assert [(call["index"], call.get("id")) for call in calls] == [(0, "c1"), (0, None), (1, "c2")]
    assert calls[0]["function"] == {"name": "weather", "arguments": '{"city"'}
    assert calls[1] == {"index": 0, "function": {"arguments": ': "Oslo"}'}}
    ends = [(c["index"], c["finish_reason"]) for c in choices if c["finish_reason"]]
    assert ends == [(1, "stop"), (0, "tool_calls")]
    assert sum("logprobs" in choice for choice in choices) == 1


def test_an_answer_of_calls_alone_has_no_content() -> None:
    answers = gathered(Chunk("", "tool_calls", tool_calls=(ToolCallPiece(0, "c1", "now", "{}"),)))
    body = json.loads(ChatWriter(ID, "m", 1).whole(answers, None))
    assert body["choices"][0]["message"]["content"] is None


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
