"""The committed model: what it is, what it withstands, and that it reads plain cases right."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeroute.domain.errors import InvalidModelFile
from edgeroute.domain.features import Subject, Task, Topic
from edgeroute.understanding.encoder import (
    GRAPH,
    LONGEST_ANSWER,
    MANIFEST,
    TABLES,
    VOCABULARY,
    Encoder,
)
from edgeroute.understanding.inputs import (
    ENDS,
    HASHED_POOLS,
    POOLS,
    ends,
    position_weights,
    prepare,
)
from edgeroute.understanding.signs import COUNT, signs

FOLDER = Path(__file__).parents[3] / "models" / "understanding"
ENCODER = Encoder.load(FOLDER)
MOST_BYTES = 12_000_000
LONG = (
    """The council met on Tuesday to speak about the old ferry, which has run since 1961.
Its engine failed twice in March, and spare parts come from a yard abroad that closes this year.
Mrs. Lind, who keeps the kiosk at the pier, said that half of her guests arrive by water.
A bridge was proposed in the nineties and voted down because of the herons on the north bank.
The mayor now favours a smaller boat with batteries; it would cost a third of the bridge.
Opponents fear that it could not take the milk lorries, which would drive thirty miles round.
Two farmers offered to share a barge of their own until a decision is made.
In the end the vote was put off until the engineers have measured the current in spring.
"""
    * 8
)


def test_the_model_is_small_enough_for_the_repository() -> None:
    files = (FOLDER / name for name in (GRAPH, TABLES, VOCABULARY, MANIFEST))
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES


@pytest.mark.parametrize("name", [GRAPH, TABLES, VOCABULARY])
def test_a_changed_file_is_refused(name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "model", ignore=shutil.ignore_patterns("train"))
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InvalidModelFile, match="sha256"):
        Encoder.load(folder)
    (folder / name).unlink()
    with pytest.raises(InvalidModelFile, match="cannot be read"):
        Encoder.load(folder)


@pytest.mark.parametrize("change", [{"format": 2}, {"tasks": ["dance"]}, {"surprise": 1}])
def test_a_manifest_of_another_kind_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    manifest = json.loads((FOLDER / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps(manifest | change))
    with pytest.raises(InvalidModelFile):
        Encoder.load(tmp_path)


def test_no_manifest_no_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelFile, match=MANIFEST):
        Encoder.load(tmp_path)


@settings(max_examples=300)
@given(st.text(st.characters(), max_size=200), st.text(st.characters(), max_size=40))
@example("", "")
@example("\ud800", "\udfff")
@example("\x00" * 50, " ")
@example("[CLS][SEP]" * 900, "")
def test_every_text_is_read(asked: str, context: str) -> None:
    reading = ENCODER.read(asked, context)
    assert len(reading.probabilities) == len(Task)
    assert math.isclose(sum(reading.probabilities), 1, abs_tol=1e-4)
    assert reading.probabilities[list(Task).index(reading.task)] == reading.task_probability
    assert 1 <= reading.output_tokens <= reading.output_tokens_p90 <= LONGEST_ANSWER
    shares = (reading.needs_tools, reading.needs_fresh, reading.difficulty)
    assert all(0 <= share <= 1 for share in (*shares, reading.subject_probability))
    assert reading.subject is None or reading.subject in Subject
    assert ENCODER.read(asked, context) == reading


@pytest.mark.parametrize("unit", ["a", "word ", "\n", "漢", "🙂 ", "\ud800", "()", "́"])
def test_ten_megabytes_are_read_at_their_ends(unit: str) -> None:
    text = unit * (10_000_000 // len(unit))
    assert ENCODER.read(text) == ENCODER.read(ends(text, ENDS))


@given(st.text(max_size=300), st.integers(1, 60))
def test_what_is_read_is_bounded_and_from_the_ends(text: str, size: int) -> None:
    read = ends(text, size)
    assert len(read) <= 2 * size + 1
    head, _, tail = read.partition("\n") if len(text) > 2 * size else (text, "", "")
    assert text.startswith(head)
    assert len(text) <= 2 * size or text.endswith(read.rpartition("\n")[2])
    assert tail or head or not text.strip()


@given(st.integers(1, 700), st.integers(0, 256))
def test_positions_weigh_one_in_every_pool(asked: int, before: int) -> None:
    weights, hashed_weights = position_weights(asked, before)
    assert weights.shape == (POOLS, asked + before)
    assert hashed_weights.shape == (len(HASHED_POOLS), 2 * (asked + before) - 1)
    assert np.allclose(weights[:-1, :asked].sum(axis=1), 1, atol=1e-4)
    assert (np.diff(weights[0]) <= 0).all()
    assert np.allclose(weights[0, :asked], weights[2, :asked][::-1])
    assert not weights[:-1, asked:].any()
    assert math.isclose(weights[-1].sum(), bool(before), abs_tol=1e-4)
    assert not hashed_weights[:, asked : asked + before].any()


@given(st.text(min_size=1, max_size=300))
def test_what_was_said_before_has_a_pool_of_its_own(context: str) -> None:
    alone = prepare(ENCODER._tokenizer, "and then?", "")
    after = prepare(ENCODER._tokenizer, "and then?", context)
    count = len(alone.ids)
    assert (after.ids[:count] == alone.ids).all()
    assert (after.weights[:, :count] == alone.weights).all()


@given(st.text(st.characters(), max_size=400))
def test_signs_are_finite_and_about_one(text: str) -> None:
    figures = signs(text)
    assert len(figures) == COUNT
    assert all(0 <= figure <= 40 for figure in figures)


def test_a_long_text_is_cut_to_the_tokens_of_its_ends() -> None:
    inputs = prepare(ENCODER._tokenizer, "漢" * 10_000, "")
    assert len(inputs.ids) == inputs.weights.shape[1] <= 512


PLAIN = (
    ("What is 37% of 560?", Task.MATH),
    ("Solve for x: 3x + 7 = 22", Task.MATH),
    ("Write a Python function that merges two sorted lists.", Task.CODING),
    ("why does this throw? TypeError: 'NoneType' object is not iterable", Task.CODING),
    ("Which river flows through Budapest?", Task.KNOWLEDGE_QA),
    ("Write a short poem about a lighthouse.", Task.CREATIVE),
    ("set an alarm for half past six", Task.TOOL_USE),
    ("hi, how are you today?", Task.CHIT_CHAT),
    ("Is this review positive or negative? The battery died after two days.", Task.CLASSIFY),
    ("Paraphrase this sentence: The meeting was put off until Friday.", Task.REWRITE),
    ("Translate to French: The meeting is at noon.", Task.TRANSLATE),
    (f"Summarise this in two sentences.\n\n{LONG}", Task.SUMMARISE),
    (f"{LONG}\n\nWrite a summary of the text above.", Task.SUMMARISE),
    ("sdfkj wlekrj xcvlkj 23lkj", Task.UNKNOWN),
)


@pytest.mark.parametrize(("text", "task"), PLAIN)
def test_plain_cases(text: str, task: Task) -> None:
    assert ENCODER.read(text).task is task


def test_other_heads_say_what_is_plain() -> None:
    exam = ENCODER.read("Explain how the court of appeal reviews the verdict of a jury.")
    assert exam.subject is Subject.LAW
    doctor = ENCODER.read("I was diagnosed with diabetes, which symptoms should worry me?")
    assert Topic.HEALTH in doctor.topics
    assert ENCODER.read("Which river flows through Budapest?").topics == ()
    assert ENCODER.read("turn off the lights in the kitchen").needs_tools > 0.5
    assert ENCODER.read("Write a short poem about a lighthouse.").needs_tools < 0.5
    essay = ENCODER.read(
        "Write an essay of five paragraphs on the causes of the French Revolution."
    )
    label = ENCODER.read("Positive or negative? One word only. The soup was cold.")
    assert essay.output_tokens > 4 * label.output_tokens


def test_what_was_said_before_counts() -> None:
    asked = "and another one"
    alone, after = ENCODER.read(asked), ENCODER.read(asked, "Write a poem about the sea.")
    creative = list(Task).index(Task.CREATIVE)
    assert after.probabilities[creative] > alone.probabilities[creative]
