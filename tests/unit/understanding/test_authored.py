"""What the model is taught on: authored here, legal, the same every time, and in no test set."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from train.prompts.prompt import Prompt
from train.samples import authored, left_out

from edgeroute.domain.features import Subject, Task, Topic

ROOT = Path(__file__).parents[3]
EVALUATION = Path(os.environ.get("EDGEROUTE_EVAL_DATA", ROOT.parent / "shared" / "data"))
SHARED_WORDS = 20
"""As many words in a row that a prompt has in common with an evaluation set were copied."""
LEAST = 800
HARDEST = 4

PROMPTS = authored(1)
WORD = re.compile(r"\w+")


def test_every_task_is_taught_in_many_forms() -> None:
    counts = Counter(prompt.task for prompt in PROMPTS)
    families = {(prompt.task, prompt.family) for prompt in PROMPTS}
    assert set(counts) == set(Task)
    assert min(counts.values()) >= LEAST, counts
    assert min(Counter(task for task, _ in families).values()) >= 15


def test_labels_are_legal() -> None:
    for prompt in PROMPTS:
        assert prompt.text  # it may be blank: that asks for nothing
        assert prompt.family
        assert prompt.task in set(Task)
        assert prompt.subject is None or prompt.subject in set(Subject)
        assert set(prompt.topics or ()) <= set(Topic)
        assert prompt.output_tokens is None or prompt.output_tokens > 0
        assert prompt.difficulty is None or 0 <= prompt.difficulty <= HARDEST


def test_a_seed_gives_the_same_prompts_and_no_text_twice() -> None:
    assert authored(1) == PROMPTS
    assert authored(2) != PROMPTS
    assert len({prompt.text for prompt in PROMPTS}) == len(PROMPTS)


def test_what_is_left_out_shares_no_family_with_what_is_taught() -> None:
    taught, kept_back = left_out(PROMPTS, 1)
    assert len(taught) + len(kept_back) == len(PROMPTS)
    assert {p.task for p in kept_back} == set(Task)

    def families(prompts: list[Prompt]) -> set[tuple[str, str]]:
        return {(prompt.task, prompt.family) for prompt in prompts}

    assert not families(taught) & families(kept_back)


def test_nothing_is_taken_from_the_evaluation_sets() -> None:
    if not EVALUATION.is_dir():
        pytest.skip(f"NOT CHECKED: no evaluation sets at {EVALUATION} (EDGEROUTE_EVAL_DATA)")
    ours: dict[int, str] = {}
    for prompt in PROMPTS:
        for run in _runs(prompt.text):
            ours[hash(run)] = prompt.text
    shared = [
        (text, ours[hash(run)])
        for text in _evaluated()
        for run in _runs(text)
        if hash(run) in ours and " ".join(run) in " ".join(_words(ours[hash(run)]))
    ]
    assert not shared, shared[:3]


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = _words(text)
    for start in range(len(words) - SHARED_WORDS + 1):
        yield tuple(words[start : start + SHARED_WORDS])


def _evaluated() -> Iterator[str]:
    files = sorted(EVALUATION.glob("**/*.jsonl"))
    assert files
    for file in files:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                text = json.loads(line).get("text")
                if isinstance(text, str):
                    yield text
