"""The native frames: what goes in comes out, however the bytes arrive; nothing else is believed."""

import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.load import EchoBehaviour, LoadPlan
from edgeroute.domain.request import (
    AnswerForm,
    Message,
    Sampling,
    TokenLogprob,
    Tool,
    Toolbox,
    ToolCall,
    ToolCallPiece,
    Usage,
)
from edgeroute.domain.units import Bytes, ModelId
from edgeroute.wire.frames import (
    Buffers,
    Cancel,
    Embed,
    Embedded,
    Failed,
    Finished,
    Generate,
    Load,
    LoadRefused,
    Progress,
    Ready,
    Step,
    daemon_inbox,
    worker_inbox,
)
from edgeroute.wire.framing import MAX_FRAME, MAX_MESSAGE, Part, encode

texts = st.text(max_size=200)
ids = st.integers(0, 2**31)
plans = st.builds(
    LoadPlan,
    model=texts.map(ModelId),
    path=texts,
    context=st.integers(1, 1 << 20),
    slots=st.integers(1, 64),
    threads=st.integers(1, 128),
    tensor_split=st.lists(st.floats(0, 1), max_size=4).map(tuple),
    echo=st.none() | st.builds(EchoBehaviour, anon=st.integers(0, 1 << 40).map(Bytes)),
)
calls = st.builds(ToolCall, texts, texts, texts)
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=texts,
    name=texts,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    tool_call_id=texts,
)
toolboxes = st.builds(
    Toolbox,
    st.lists(st.builds(Tool, texts, texts, texts), max_size=2).map(tuple),
    st.sampled_from(["auto", "none", "required"]),
    texts,
    st.booleans(),
)
forms = st.builds(AnswerForm, st.sampled_from(["text", "json", "schema", "grammar"]), texts, texts)
logprobs = st.floats(-100, 0)
pieces = st.builds(ToolCallPiece, ids, texts, texts, texts)
alternatives = st.lists(st.tuples(st.binary(), logprobs), max_size=2).map(tuple)
told = st.builds(TokenLogprob, st.binary(), logprobs, alternatives)
samplings = st.builds(
    Sampling,
    temperature=st.floats(0, 2),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    stop=st.lists(texts, max_size=4).map(tuple),
)
to_worker = st.one_of(
    st.builds(Load, plans),
    st.builds(
        Generate,
        ids,
        st.lists(messages, max_size=4).map(tuple),
        samplings,
        prompt=st.none() | texts,
        tools=toolboxes,
        form=forms,
        choices=ids,
        logprobs=st.none() | ids,
    ),
    st.builds(Embed, ids, st.lists(texts, max_size=4).map(tuple), dimensions=st.none() | ids),
    st.builds(Cancel, ids),
)
usages = st.builds(Usage, ids, ids, st.floats(0, 1e6), st.floats(0, 1e6))
buffers = st.builds(Buffers, ids, ids, ids, st.lists(ids, max_size=3).map(tuple))
from_worker = st.one_of(
    st.builds(Progress, st.floats(0, 1)),
    st.builds(Ready, texts, ids, st.floats(0, 1e6), buffers),
    st.builds(LoadRefused, texts, texts),
    st.builds(
        Step,
        st.lists(st.tuples(ids, texts), max_size=5),
        st.lists(st.builds(Finished, ids, st.sampled_from(["stop", "length"]), usages), max_size=3),
        st.lists(st.builds(Failed, ids, texts, texts), max_size=3),
        st.lists(st.tuples(ids, told), max_size=2),
        st.lists(st.tuples(ids, pieces), max_size=2),
    ),
    st.builds(Embedded, ids, st.lists(st.binary(), max_size=3).map(tuple), st.none() | usages),
)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(to_worker, max_size=5), st.lists(ids, max_size=8))
def test_what_the_daemon_says_reaches_the_worker(said: list[Load], cuts: list[int]) -> None:
    stream = b"".join(encode(message) for message in said)
    inbox = worker_inbox()
    heard = [message for piece in in_pieces(stream, cuts) for message in inbox.feed(piece)]
    assert heard == said


@given(st.lists(from_worker, max_size=5), st.lists(ids, max_size=8))
def test_what_a_worker_says_reaches_the_daemon(said: list[Step], cuts: list[int]) -> None:
    stream = b"".join(encode(message) for message in said)
    inbox = daemon_inbox()
    heard = [message for piece in in_pieces(stream, cuts) for message in inbox.feed(piece)]
    assert heard == said


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_or_waited_for(data: bytes) -> None:
    with suppress(InvalidRequest):
        list(worker_inbox().feed(data))
    with suppress(InvalidRequest):
        list(daemon_inbox().feed(data))


def test_a_long_message_goes_in_parts_under_the_frame_limit() -> None:
    said = Generate(7, (Message("user", "x" * (3 * MAX_FRAME)),), Sampling())
    stream = encode(said)
    sizes = []
    at = 0
    while at < len(stream):
        size = int.from_bytes(stream[at : at + 4], "big")
        sizes.append(size)
        at += 4 + size
    assert len(sizes) == 4
    assert max(sizes) <= MAX_FRAME
    assert list(worker_inbox().feed(stream)) == [said]


def test_a_message_over_the_limit_is_refused_by_the_sender() -> None:
    with pytest.raises(InvalidRequest, match="over the limit"):
        encode(Generate(1, (Message("user", "x" * MAX_MESSAGE),), Sampling()))


def test_parts_over_the_limit_are_refused_by_the_receiver() -> None:
    inbox = worker_inbox()
    part = encode(Part(b"x" * (MAX_FRAME - 64), last=False))
    too_many = part * (MAX_MESSAGE // MAX_FRAME + 2)
    with pytest.raises(InvalidRequest, match="over"):
        list(inbox.feed(too_many))


def test_a_frame_that_announces_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidRequest, match="announces"):
        list(daemon_inbox().feed((MAX_FRAME + 1).to_bytes(4, "big")))


def test_nested_arrays_are_refused_without_growing() -> None:
    bomb = b"\x91" * 500_000 + b"\x90"
    with pytest.raises(InvalidRequest):
        list(worker_inbox().feed(len(bomb).to_bytes(4, "big") + bomb))
