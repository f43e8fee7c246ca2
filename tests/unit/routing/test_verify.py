import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.verification import Check, Checkable, Expectation, Grade
from edgeroute.routing.verify import FAIRLY_SURE, SURE, Given, verify, verify_beginning

MAIL = Expectation(
    json=True, keys=("email",), source="ask ann@x.example", kinds=(("email", "email"),)
)


def failing(expected: Expectation, text: str) -> set[Check]:
    found = verify(expected, Given(text, "stop"))
    assert all(0 < finding.confidence < 1 and finding.reason for finding in found.findings)
    return {finding.check for finding in found.findings if not finding.holds}


@pytest.mark.parametrize(
    ("expected", "good", "bad", "check"),
    [
        (Expectation(json=True), '```json\n{"a": 1}\n```', '{"a": 1', Check.FORM),
        (Expectation(json=True, keys=("a",)), '{"a": 1}', '{"b": 1}', Check.FORM),
        (Expectation(json=True, keys=("a",)), '{"a": 1}', "[1]", Check.FORM),
        (MAIL, '{"email": "Ann@x.example"}', '{"email": "bob@x.example"}', Check.SPAN),
        (MAIL, '{"email": "ann@x.example"}', '{"email": "ann"}', Check.SHAPE),
        (Expectation(source="due 3 May"), " 3 May.", "4 May", Check.SPAN),
        (Expectation(labels=("yes", "no")), "Yes.", "It may be.", Check.LABEL),
        (Expectation(function="f"), "def f(x):\n    return x", "def f(x) return x", Check.CODE),
        (Expectation(function="f"), "```python\ndef f(): pass\n```", "def g(): pass", Check.CODE),
        (Expectation(value="391"), "17 * 23 is 391.", "381", Check.VALUE),
        (Expectation(value="≈ 14.2857142857 (100/7)"), "14.29", "14.2", Check.VALUE),
        (Expectation(), "3 * 12 = 36 and 36 + 4 = 40", "3 * 12 = 38", Check.SUMS),
        (Expectation(), "fine", "", Check.ENDING),
        (Expectation(), "fine", "I'm sorry, but I cannot do that.", Check.ENDING),
        (Expectation(), "very, very good", "the Wasser, " * 9, Check.ENDING),
    ],
)
def test_each_check_tells_good_from_bad(
    expected: Expectation, good: str, bad: str, check: Check
) -> None:
    assert failing(expected, good) == set()
    assert check in failing(expected, bad)
    assert verify(expected, Given(bad, "stop")).grade is Grade.FAILED


def test_an_answer_that_was_cut_off_has_failed() -> None:
    assert verify(Expectation(), Given("and then", "length")).grade is Grade.FAILED


def test_sureness_grades_what_nothing_speaks_against() -> None:
    def grade(mean: float) -> Grade:
        return verify(Expectation(), Given("Oslo", "stop", [mean, mean])).grade

    assert [grade(FAIRLY_SURE - 0.1), grade(FAIRLY_SURE), grade(SURE)] == [1, 2, 3]
    assert verify(Expectation(), Given("Oslo", "stop")).grade is Grade.FAIR
    unsure = verify(Expectation(value="4"), Given("4", "stop", [-3.0]))
    assert (unsure.grade, unsure.checkable) == (Grade.SOUND, Checkable.EXACTLY)


def test_the_reason_is_the_strongest_against_and_says_nothing_of_the_text() -> None:
    found = verify(MAIL, Given('{"email": "secretive"}', "stop", [-2.0]))
    assert found.reason == "span: 1 of 1 values are not in the text"


@given(
    text=st.text(max_size=200),
    expected=st.builds(
        Expectation,
        json=st.booleans(),
        keys=st.tuples(st.text(max_size=3)),
        labels=st.lists(st.text(max_size=3), max_size=2).map(tuple),
        source=st.text(max_size=20),
        function=st.text(max_size=3),
        value=st.sampled_from(["", "4"]),
    ),
)
def test_never_raises_and_fails_only_with_a_reason(text: str, expected: Expectation) -> None:
    found = verify(expected, Given(text, "stop"))
    against = [finding for finding in found.findings if not finding.holds]
    assert (found.grade is Grade.FAILED) == any(f.check is not Check.SURENESS for f in against)


@pytest.mark.parametrize(
    "hostile", ["[" * 20_000, "1+" * 9_999 + "1=3", "a" * 20_000, "9" * 19_999]
)
def test_hostile_answers_are_read_within_bounds(hostile: str) -> None:
    expected = Expectation(json=True, function="f", source="a", value="1")
    assert verify(expected, Given(hostile, "stop")).grade is Grade.FAILED


@given(text=st.text(max_size=300), more=st.text(max_size=40), expected=st.sampled_from([
    Expectation(), Expectation(labels=("yes", "no")), Expectation(value="391"), MAIL,
    Expectation(function="f"),
]))  # fmt: skip
def test_what_speaks_against_a_beginning_speaks_against_all_of_it(
    text: str, more: str, expected: Expectation
) -> None:
    if verify_beginning(expected, Given(text, "stop")).grade is Grade.FAILED:
        assert verify(expected, Given(text + more, "stop")).grade is Grade.FAILED


@pytest.mark.parametrize(
    ("expected", "going_on", "lost"),
    [
        (Expectation(), "I'm so", "I'm sorry, but"),
        (Expectation(), "1, 2, 3", "the Wasser, " * 5),
        (Expectation(labels=("yes", "no")), "Y", "Ma"),
        (Expectation(labels=("yes", "no")), "Yes.", "Neither"),
        (Expectation(json=True), '{"a": ', "I cannot"),
        (Expectation(value="391"), "17 * 2", "As an AI"),
    ],
)
def test_a_beginning_fails_only_by_what_can_no_longer_come_right(
    expected: Expectation, going_on: str, lost: str
) -> None:
    assert verify_beginning(expected, Given(going_on, "stop")).grade is not Grade.FAILED
    assert verify_beginning(expected, Given(lost, "stop")).grade is Grade.FAILED


def test_sureness_so_far_grades_a_beginning() -> None:
    told = [verify_beginning(Expectation(), Given("it", "stop", (at,))) for at in (-0.01, -0.1, -2)]
    assert [found.grade for found in told] == [Grade.SOUND, Grade.FAIR, Grade.DOUBTFUL]
