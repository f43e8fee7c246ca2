"""The bodies of embeddings and of completions, and the answers to them."""

import base64
import json
import struct
from typing import Any

import pytest

from edgeroute.domain.capability import Capability
from edgeroute.domain.errors import InvalidRequest, Unsupported
from edgeroute.domain.request import Chunk, EmbeddingRequest, Request, TokenLogprob, Usage
from edgeroute.domain.units import RequestId
from edgeroute.wire.openai import (
    CompletionWriter,
    EmbeddingCall,
    Gathered,
    TextCall,
    decode_completion,
    decode_embeddings,
    encode_embeddings,
)

ID = RequestId("r1")


def embedding(**fields: Any) -> EmbeddingCall:
    return decode_embeddings(json.dumps({"input": "hello", **fields}).encode(), ID)


def completion(**fields: Any) -> TextCall:
    return decode_completion(json.dumps({"prompt": "hello", **fields}).encode(), ID)


def test_texts_and_how_their_vectors_are_wanted() -> None:
    assert embedding().request == EmbeddingRequest(ID, "auto", ("hello",))
    call = embedding(
        input=["a", "b"],
        model="minilm",
        dimensions=7,
        encoding_format="base64",
        user="me",
        edgeroute={"deadline_s": 2, "explain": True},
    )
    assert (call.request.inputs, call.request.model) == (("a", "b"), "minilm")
    assert (call.request.dimensions, call.request.limits.deadline_s) == (7, 2)
    assert (call.encoding, call.explain) == ("base64", True)
    assert call.request.ignored == ("user",)
    assert call.request.needs == {Capability.EMBED}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"input": ""}, "empty"),
        ({"input": ["a", ""]}, "empty"),
        ({"input": []}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": 7}, "input"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"edgeroute": {"labl": "x"}}, "labl"),
    ],
)
def test_a_mistake_in_a_request_for_vectors_is_named(fields: Any, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        embedding(**fields)


@pytest.mark.parametrize("tokens", [[1, 2], [[1], [2]], ["a", 1]])
def test_tokens_are_no_texts(tokens: Any) -> None:
    with pytest.raises(Unsupported, match="token ids"):
        embedding(input=tokens)
    with pytest.raises(Unsupported):
        completion(prompt=tokens)


def test_vectors_are_numbers_or_base64() -> None:
    vectors = [struct.pack("<2f", 0.5, -1.0), struct.pack("<2f", 0.0, 2.0)]
    told = json.loads(encode_embeddings(vectors, "float", "m", Usage(9, 0), None))
    assert [row["embedding"] for row in told["data"]] == [[0.5, -1.0], [0.0, 2.0]]
    assert [row["index"] for row in told["data"]] == [0, 1]
    assert told["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
    packed = json.loads(encode_embeddings(vectors, "base64", "m", Usage(9, 0), {"task": "x"}))
    assert [base64.b64decode(row["embedding"]) for row in packed["data"]] == vectors
    assert packed["edgeroute"] == {"task": "x"}


def test_a_bare_prompt_is_a_request_without_messages() -> None:
    request = completion().request
    assert (request.prompt, request.messages, request.sampling.max_tokens) == ("hello", (), 16)
    assert request.needs == {Capability.COMPLETE}
    many = completion(prompt=["hi"], n=2, logprobs=3, max_tokens=5, stream=True, best_of=2).request
    assert (many.prompt, many.choices, many.logprobs, many.stream) == ("hi", 2, 3, True)
    assert many.ignored == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"echo": True},
        {"suffix": "x"},
        {"best_of": 3},
        {"logit_bias": {"1": 5}},
        {"prompt": ["a", "b"]},
    ],
)
def test_what_would_change_what_follows_is_refused(fields: Any) -> None:
    with pytest.raises(Unsupported):
        completion(**fields)


def test_an_empty_prompt_is_a_mistake() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        completion(prompt="")


def test_what_follows_is_written_whole_and_as_events() -> None:
    told = TokenLogprob(b" Paris", -0.1, ((b" Paris", -0.1), (b" the", -3.0)))
    chunks = (Chunk(" Paris", logprobs=(told,)), Chunk(".", "length", Usage(5, 2)))
    gathered = Gathered()
    for chunk in chunks:
        gathered.add(chunk)
    writer = CompletionWriter(ID, "m", 1)
    body = json.loads(writer.whole(gathered, None))
    assert (body["id"], body["object"]) == ("cmpl-r1", "text_completion")
    (choice,) = body["choices"]
    assert (choice["text"], choice["finish_reason"]) == (" Paris.", "length")
    assert choice["logprobs"]["tokens"] == [" Paris"]
    assert choice["logprobs"]["top_logprobs"] == [{" Paris": -0.1, " the": -3.0}]
    stream = writer.opening(1) + b"".join(map(writer.delta, chunks))
    stream += writer.closing(chunks[1:], None, None)
    *events, done = [line.removeprefix("data: ") for line in stream.decode().split("\n\n") if line]
    assert done == "[DONE]"
    texts = [json.loads(event)["choices"][0] for event in events]
    assert "".join(one["text"] for one in texts) == " Paris."
    assert [one["finish_reason"] for one in texts] == [None, None, "length"]


def test_needs_of_a_plain_question() -> None:
    assert Request(ID, "auto", ()).needs == {Capability.CHAT}
