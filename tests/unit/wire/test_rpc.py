"""The native protocol: what goes in comes out, and nothing else is believed."""

import itertools
from contextlib import suppress
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.request import Chunk, TokenLogprob, ToolCallPiece, Usage
from edgeroute.wire.framing import MAX_FRAME, encode
from edgeroute.wire.rpc import (
    Call,
    Cancel,
    Ended,
    Failed,
    FromDaemon,
    Method,
    Piece,
    Result,
    Started,
    ToDaemon,
    app_inbox,
    daemon_inbox,
)

texts = st.text(max_size=100)
ids = st.integers(0, 2**31)
bodies = st.binary(max_size=300)
calls = st.one_of(
    st.builds(Call, ids, st.sampled_from(get_args(Method)), bodies),
    st.builds(Cancel, ids),
)
chunks = st.builds(
    Chunk,
    texts,
    st.none() | st.sampled_from(["stop", "length", "tool_calls"]),
    st.none() | st.builds(Usage, ids, ids, st.floats(0, 1e6), st.floats(0, 1e6), ids),
    ids,
    st.lists(st.builds(ToolCallPiece, ids, texts, texts, texts), max_size=2).map(tuple),
    st.lists(st.builds(TokenLogprob, st.binary(), st.floats(-50, 0)), max_size=2).map(tuple),
    st.lists(bodies, max_size=2).map(tuple),
)
answers = st.one_of(
    st.builds(
        Started, ids, texts, texts, texts, texts, texts, st.lists(texts, max_size=3).map(tuple)
    ),
    st.builds(Piece, ids, chunks),
    st.builds(Ended, ids, bodies),
    st.builds(Result, ids, bodies),
    st.builds(Failed, ids, texts, texts, ids, st.none() | texts, st.none() | st.floats(0, 1e6)),
)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(calls, max_size=5), st.lists(ids, max_size=8))
def test_what_an_app_says_reaches_the_daemon(said: list[ToDaemon], cuts: list[int]) -> None:
    inbox = daemon_inbox()
    stream = b"".join(encode(message) for message in said)
    assert [m for piece in in_pieces(stream, cuts) for m in inbox.feed(piece)] == said


@given(st.lists(answers, max_size=5), st.lists(ids, max_size=8))
def test_what_the_daemon_says_reaches_the_app(said: list[FromDaemon], cuts: list[int]) -> None:
    inbox = app_inbox()
    stream = b"".join(encode(message) for message in said)
    assert [m for piece in in_pieces(stream, cuts) for m in inbox.feed(piece)] == said


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_or_waited_for(data: bytes) -> None:
    framed = len(data).to_bytes(4, "big") + data
    for sent in (data, framed):
        with suppress(InvalidRequest):
            list(daemon_inbox().feed(sent))


@given(calls, st.data())
def test_a_damaged_frame_is_refused_or_understood(said: ToDaemon, data: st.DataObject) -> None:
    frame = bytearray(encode(said))
    at = data.draw(st.integers(4, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    try:
        heard = list(daemon_inbox().feed(bytes(frame)))
    except InvalidRequest:
        return
    assert all(isinstance(message, Call | Cancel) for message in heard)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x81\xa4type\xa4call",
        msgspec.msgpack.encode({"type": "call", "id": "1", "method": "chat"}),
        msgspec.msgpack.encode({"type": "call", "id": 1, "method": "no such"}),
        msgspec.msgpack.encode({"type": "no such"}),
        msgspec.msgpack.encode([1, 2]),
        b"\x82\xa4type\xa4call\xa2id\xa1\xff",
        b"\xdd\x00\x0f\xff\xf0" + b"\x80" * 0xFFFF0,
        b"\x91" * (MAX_FRAME - 1) + b"\x90",
    ],
    ids=["cut off", "id", "method", "type", "array", "invalid UTF-8", "empty maps", "nested"],
)
def test_what_is_not_of_the_protocol_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidRequest):
        list(daemon_inbox().feed(len(payload).to_bytes(4, "big") + payload))
