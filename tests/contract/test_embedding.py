"""Vectors of a real embedding model, in a worker process of its own."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edgeroute.domain.load import LoadPlan
from edgeroute.domain.request import Message, Usage
from edgeroute.domain.units import ModelId
from edgeroute.wire.frames import Cancel, Embed, Embedded, Failed, Generate, Step
from edgeroute.wire.gguf import read_header
from edgeroute.wire.shape import shape_of
from tests.conftest import bench_model
from tests.contract.worker_process import GREEDY, PATIENCE_S, Worker, loaded

FILE = "all-minilm-l6-v2-f16.gguf"
CONTEXT, WIDTH = 128, 384
TEXTS = (
    "The river rose for three days.",
    "The stream kept climbing since Friday.",
    "A recipe for onion soup.",
    "Über naïve café 東京",
)


@dataclass
class Vectors:
    """All that came for one id."""

    raw: list[bytes] = field(default_factory=list)
    usage: Usage | None = None
    failed: Failed | None = None

    @property
    def array(self) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
        return np.stack([np.frombuffer(one, "<f4") for one in self.raw])


class EmbeddingWorker:
    """The daemon's end of a worker that embeds."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.told: dict[int, Vectors] = {}

    def send(self, message: Embed | Cancel | Generate) -> None:
        if not isinstance(message, Cancel):
            self.told[message.id] = Vectors()
        self._worker.send(message)

    def finish(self, *numbers: int) -> list[Vectors]:
        answers = [self.told[number] for number in numbers]
        while not all(one.usage or one.failed for one in answers):
            for message in self._worker.inbox.feed(self._worker.socket.recv(1 << 16)):
                if isinstance(message, Embedded):
                    self.told[message.id].raw += message.vectors
                    self.told[message.id].usage = message.usage
                else:
                    assert isinstance(message, Step)
                    for failure in message.failed:
                        self.told[failure.id].failed = failure
        return answers

    def embed(self, *texts: str) -> Vectors:
        number = 1 + max(self.told, default=0)
        self.send(Embed(number, texts))
        return self.finish(number)[0]


@pytest.fixture(scope="module")
def model() -> Iterator[EmbeddingWorker]:
    plan = LoadPlan(
        ModelId("minilm"),
        str(bench_model(FILE)),
        context=CONTEXT,
        slots=4,
        threads=1,
        batch=256,
        embeds=True,
    )
    with loaded(plan) as worker:
        yield EmbeddingWorker(worker)
        worker.socket.close()
        assert worker.process.wait(PATIENCE_S) == 0
        assert worker.stderr() == ""


def test_its_header_says_what_it_can_do(starter: Path) -> None:
    shape = shape_of(read_header(bench_model(FILE)))
    assert (shape.embeds, shape.kv_bytes_per_token, shape.tool_markup) == (True, 0, None)
    assert not shape_of(read_header(starter)).embeds


def test_what_means_the_same_lies_close(model: EmbeddingWorker) -> None:
    told = model.embed(*TEXTS)
    vectors = told.array
    assert vectors.shape == (len(TEXTS), WIDTH)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    near = vectors @ vectors.T
    assert near[0, 1] > 0.4 > near[0, 2]
    assert told.usage is not None
    assert told.usage.prompt_tokens > sum(len(text.split()) for text in TEXTS)


def test_a_text_has_the_same_vector_in_any_company(model: EmbeddingWorker) -> None:
    alone = np.concatenate([model.embed(text).array for text in TEXTS])
    many = model.embed(*(TEXTS * 40)).array  # several batches
    np.testing.assert_allclose(many, np.tile(alone, (40, 1)), atol=2e-3)


def test_requests_share_batches_and_each_gets_its_own(model: EmbeddingWorker) -> None:
    alone = {text: model.embed(text).array[0] for text in TEXTS}
    asked = [TEXTS[:1] * 90, TEXTS[1:3], TEXTS[3:]]
    numbers = [1000 + at for at in range(len(asked))]
    for number, texts in zip(numbers, asked, strict=True):
        model.send(Embed(number, texts, app=str(number)))
    for told, texts in zip(model.finish(*numbers), asked, strict=True):
        expected = np.stack([alone[text] for text in texts])
        np.testing.assert_allclose(told.array, expected, atol=2e-3)


def test_mistakes_are_told_and_harm_nobody(model: EmbeddingWorker) -> None:
    long = "word " * (CONTEXT + 1)
    model.send(Embed(2000, ("fine", long)))
    model.send(Embed(2001, ("fine",), dimensions=7))
    model.send(Embed(2002, TEXTS * 200, deadline_s=0.0))
    model.send(Generate(2003, (Message("user", "hi"),), GREEDY))
    codes = [told.failed.code for told in model.finish(2000, 2001, 2002, 2003) if told.failed]
    assert codes == ["context_exceeded", "unsupported", "deadline_exceeded", "unsupported"]
    model.send(Embed(2004, TEXTS * 500))
    model.send(Cancel(2004))
    model.send(Embed(2005, ("fine",), dimensions=WIDTH))
    assert model.finish(2005)[0].array.shape == (1, WIDTH)
    assert model.told[2004].usage is None
