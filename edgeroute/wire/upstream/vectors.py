"""`POST /embeddings` of a server: what is asked, and the vectors that come back."""

import struct

import msgspec
from msgspec import Struct

from edgeroute.domain.request import Chunk, EmbeddingRequest, Usage
from edgeroute.wire.upstream.reading import read


class _Vector(Struct):
    embedding: list[float]
    index: int = 0


class _Counted(Struct):
    prompt_tokens: int | None = None


class _Vectors(Struct):
    data: list[_Vector]
    usage: _Counted | None = None


_vectors: msgspec.json.Decoder[_Vectors] = msgspec.json.Decoder(_Vectors)


def compose_embedding(request: EmbeddingRequest, model: str) -> dict[str, object]:
    """The body as plain data."""
    body: dict[str, object] = {"model": model, "input": list(request.inputs)}
    return body if request.dimensions is None else {**body, "dimensions": request.dimensions}


def read_vectors(body: bytes, estimated_tokens: int) -> Chunk:
    """All vectors as one chunk, in the order of the inputs.

    Raises:
        Malformed: It holds no vectors.
    """
    told = read(body, _vectors, "its vectors are none")
    counted = None if told.usage is None else told.usage.prompt_tokens
    usage = Usage(counted or 0, 0) if counted else Usage(estimated_tokens, 0, estimated=True)
    rows = sorted(told.data, key=lambda vector: vector.index)
    vectors = tuple(struct.pack(f"<{len(row.embedding)}f", *row.embedding) for row in rows)
    return Chunk("", "stop", usage, embeddings=vectors)
