import pytest

from edgeroute.evaluation.sensitivity import (
    SensitivityRow,
    Span,
    evaluate,
    out_rows,
    predict,
)

CARD = SensitivityRow(
    1, "card 4539148803436467 of Mira", (Span(5, 21, "CREDIT_CARD"), Span(25, 29, "PERSON")), True
)
MISSED = SensitivityRow("2", "they met Mira", (Span(9, 13, "PERSON"),))
CLEAN = SensitivityRow("3", "what is two plus two?", ())
FALSE_ALARM = SensitivityRow("4", "write to info@example.org", (), False)
UNKNOWN = SensitivityRow("5", "my password is Tundra#412x")


def test_shares_are_of_the_rows_that_say_what_they_are() -> None:
    figures = evaluate([CARD, MISSED, CLEAN, FALSE_ALARM, UNKNOWN])
    assert set(figures) == {"n", "sensitive", "clean", "by_type", "latency_us"}
    assert figures["n"] == 4
    assert figures["sensitive"] == {"n": 2, "recall": 0.5}
    assert figures["clean"] == {"n": 2, "flagged": 0.5}
    assert figures["by_type"] == {
        "CREDIT_CARD": {"n": 1, "recall": 1.0},
        "PERSON": {"n": 2, "recall": 0.0},
    }
    assert isinstance(figures["latency_us"], dict)
    assert 0 < figures["latency_us"]["p50"] <= figures["latency_us"]["p99"]


@pytest.mark.parametrize(("end", "recall"), [(37, 1.0), (38, 0.0)])
def test_a_span_is_found_where_half_of_it_is_covered(end: int, recall: float) -> None:
    row = SensitivityRow("1", "card 4539148803436467 and other words here", (Span(5, end, "X"),))
    assert evaluate([row])["by_type"] == {"X": {"n": 1, "recall": recall}}


def test_what_there_is_none_of_has_no_share() -> None:
    assert evaluate([CLEAN])["sensitive"] == {"n": 0, "recall": None}
    assert evaluate([CARD])["clean"] == {"n": 0, "flagged": None}


def test_every_row_is_predicted_labelled_or_not() -> None:
    assert list(out_rows(predict([UNKNOWN, CLEAN]))) == [
        {"id": "5", "label": "secret", "spans": [{"start": 15, "end": 26, "type": "PASSWORD"}]},
        {"id": "3", "label": "public", "spans": []},
    ]


def test_rows_that_say_nothing_give_no_figures() -> None:
    told = evaluate([UNKNOWN])
    assert told["n"] == 0
    assert told["sensitive"] == {"n": 0, "recall": None}
    assert told["by_type"] == {}
