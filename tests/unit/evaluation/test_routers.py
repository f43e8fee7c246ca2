"""Figures of routers on drawn sets whose answers are known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.features import Features, Task
from edgeroute.domain.request import AnyRequest, EmbeddingRequest, Request
from edgeroute.domain.verification import Expectation
from edgeroute.evaluation import routers
from edgeroute.evaluation.routing_metrics import aiq, pair_figures
from edgeroute.evaluation.routing_set import RoutingSet, read_set
from edgeroute.evaluation.routing_trial import top
from edgeroute.ports import Look


class SaysTheFirstWord:
    """Takes the first word for the task."""

    width = 2

    def look(self, request: AnyRequest) -> Look:
        assert not isinstance(request, EmbeddingRequest)
        task = Task(request.messages[0].content.split()[0])
        return Look(Features(task, 1.0, 10, 10), np.array([task is Task.MATH, 1.0]))

    def features(self, request: AnyRequest) -> Features:
        return self.look(request).features

    def expected(self, request: Request, task: Task) -> Expectation:
        raise AssertionError("nothing is answered")


def drawn(folder: Path, rows: int = 400) -> RoutingSet:
    """`a` is good at math, `b` at coding, `c` at little; one score in twenty is missing."""
    rng = np.random.default_rng(7)
    good = {"math": (0.9, 0.3, 0.2), "coding": (0.3, 0.8, 0.2)}
    queries, scores = [], ["id,a,b,c"]
    for at in range(rows):
        task = "math" if rng.random() < 0.5 else "coding"
        queries.append(f'{{"id": "q{at}", "text": "{task} {at}", "task": "never read"}}')
        cells = ["" if rng.random() < 0.05 else str(int(rng.random() < p)) for p in good[task]]
        scores.append(f"q{at},{','.join(cells)}")
    folder.mkdir(exist_ok=True)
    (folder / "queries.jsonl").write_text("\n".join(queries))
    (folder / "scores.csv").write_text("\n".join(scores))
    return read_set(folder, SaysTheFirstWord(), lambda _share: None)


def test_routing_by_task_beats_the_best_single_model(tmp_path: Path) -> None:
    told = routers.report(drawn(tmp_path / "set"), None, 3, lambda _share: None)
    assert set(told) == {"set", "queries", "splits", "labels", "intervals", "bandit"}
    labels = told["labels"]
    assert isinstance(labels, dict)
    assert set(labels) == {"0", "50", "200"}  # a thousand are more than there are
    names = {"edgeroute", "best_single", "random", "matched_random", "task_table", "knn", "ridge"}
    assert set(labels["200"]) == {*names, "oracle", "se"}
    assert labels["200"]["edgeroute"] > labels["200"]["best_single"] + 10
    assert labels["200"]["edgeroute"] > labels["200"]["matched_random"] + 10
    assert labels["200"]["edgeroute"] <= labels["200"]["oracle"]
    assert labels["0"]["edgeroute"] == pytest.approx(labels["0"]["random"])
    bandit = told["bandit"]
    assert isinstance(bandit, dict)
    assert set(bandit) == {"first_300", "all", "drift"}
    assert bandit["all"]["edgeroute"] > bandit["all"]["best_static"]
    assert bandit["drift"]["edgeroute"] > bandit["drift"]["best_static"]


def test_two_models_are_told_apart_out_of_fold(tmp_path: Path) -> None:
    of = drawn(tmp_path / "set")
    text = (tmp_path / "set" / "scores.csv").read_text().replace(",,", ",0,").replace(",,", ",0,")
    lines = [line.rsplit(",", 1)[0] for line in text.split("\n")]
    (tmp_path / "set" / "scores.csv").write_text("\n".join(lines).replace(",\n", ",0\n"))
    of = read_set(tmp_path / "set", SaysTheFirstWord(), lambda _share: None)
    pair = routers.report(of, None, 1, lambda _share: None)["pair"]
    assert isinstance(pair, dict)
    assert pair["apgr"] > 1  # the other is better at half of all


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ("id,a\nq0,1\n", "there is no row 'q1'"),
        ("id,a\nq0,1\nq1,2\n", "within 0..1"),
        ("id,a\nq0,1\nq1,x\n", "line 3"),
        ("id,a\nq0,1,1\nq1,1\n", "line 2"),
        ("id,a,a\nq0,1,1\nq1,1,1\n", "each once"),
    ],
)
def test_a_malformed_set_is_named(tmp_path: Path, scores: str, words: str) -> None:
    (tmp_path / "queries.jsonl").write_text(
        '{"id": "q0", "text": "math"}\n{"id": "q1", "text": "math"}\n'
    )
    (tmp_path / "scores.csv").write_text(scores)
    with pytest.raises(InvalidRequest, match=words):
        read_set(tmp_path, SaysTheFirstWord(), lambda _share: None)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=60))
def test_a_gap_that_says_nothing_recovers_half(pairs: list[tuple[bool, bool]]) -> None:
    strong, weak = np.array(pairs, dtype=np.float64).T
    if strong.sum() <= weak.sum():
        return
    figures = pair_figures(np.zeros(len(pairs)), strong, weak)
    assert figures.apgr == pytest.approx(0.5)
    assert figures.cpt50_first == pytest.approx(50)
    assert figures.cpt80 == pytest.approx(80)


def test_the_oracle_recovers_all_with_the_few_that_need_it() -> None:
    strong, weak = np.ones(100), np.concatenate([np.zeros(20), np.ones(80)])
    figures = pair_figures(strong - weak, strong, weak)
    assert figures.cpt50_first == pytest.approx(10)
    assert figures.apgr_exact == pytest.approx(0.9)


def test_what_was_not_run_is_never_chosen_and_equals_share() -> None:
    scores = np.array([[np.nan, 0.0, 1.0]])
    assert top(np.array([[9.0, 0.5, 0.5]]), scores).tolist() == [[0, 0.5, 0.5]]


def test_quality_over_cost_is_on_the_hull() -> None:
    cost, quality = np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.2, 1.0])
    assert aiq(cost, quality) == pytest.approx(0.5)
    assert aiq(cost, np.array([0.5, 0.2, 0.1])) == pytest.approx(0.5)
