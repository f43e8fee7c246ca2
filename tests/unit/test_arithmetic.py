"""The calculator is exact, and claims nothing that could be anything but a sum."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from train.samples import authored

from edgeroute.domain.arithmetic import answer
from edgeroute.domain.features import Task
from edgeroute.domain.request import Message, Request
from edgeroute.domain.units import RequestId
from edgeroute.understanding.calculation import is_arithmetic


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("What is 17 * 23?", "391"),
        ("what's 17 x 23", "391"),
        ("Calculate 17x23.", "391"),
        ("17*23=", "391"),
        ("17 times 23", "391"),
        ("What does 17 multiplied by 23 equal?", "391"),
        ("Please compute: 17 \u00d7 23", "391"),
        ("How much is 3 plus 4, please?", "7"),
        ("12.5% of 80", "10"),
        ("what is 20 percent of 50?", "10"),
        ("(3+4)/2 =", "3.5"),
        ("0.1 + 0.2", "0.3"),
        ("100 divided by 7", "\u2248 14.2857142857 (100/7)"),
        ("1/3 + 1/6", "0.5"),
        ("2^10", "1024"),
        ("(-2)^3 =", "-8"),
        ("2 ** -3 =", "0.125"),
        ("What is 10 - 3?", "7"),
        ("what is 1,500 + 2", "1502"),
        ("-3 * -4", "12"),
        ("What is 3 \u2212 10?", "-7"),
        ("2^300 / 2^299", "2"),
    ],
)
def test_a_sum_has_its_value_in_whatever_words(question: str, value: str) -> None:
    assert answer(question) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "7", "What is 7?", "-5", "5%", "What is 9/11?", "24/7", "What's 24/7?", "50/50",
        "2024-11-23", "What is 2024-11-23 + 5?", "11/23/2024 =", "555-1234", "1-800-555-1234",
        "3-2", "3 - 2", "4x4", "What is 4x4?", "1920 x 1080", "007 + 1", "1,5 + 2", "12,34 * 2",
        "1.500 * 3", "100 + 10%", "17 % 5", "6/2(1+2)=", "-2^2 =", "2^3^2 =", "0^0 =", "0^-1 =",
        "1/0 =", "9/19 / 7/10", "8 / 4 / 2 =", "1 / (2 - 2) =", "2 + 2 = 4", "2+2=5?", "$5 * 3",
        "5 km + 3 km", "12 * 4 apples",
        "2^100000 =", "9^9^9", "(2^600)^600 =", "2 ^ 0.5 =", "5 +", "(1 + 2", "1 + 2)", "1 2 + 3",
        "What is 17 * 23, in words?", "2 + 2 and explain", "What is 2 + x?", "C + 1", "12:30 + 2",
        "Tom has 3 apples and buys 4 more. How many has he?", "\u0663 + \u0664", "1 + 2; 3 + 4",
        "1 + 1\nin French", "192.168.0.1", "1.2.3 + 4", "1e5 + 1", "(" * 40 + "1+1" + ")" * 40,
    ],
)  # fmt: skip
def test_what_may_be_anything_else_is_not_claimed(text: str) -> None:
    assert answer(text) is None


Drawn = tuple[str, Fraction]


def _joined(drawn: tuple[str, Drawn, Drawn]) -> Drawn:
    sign, (left, a), (right, b) = drawn
    if sign == "/" and b == 0:
        sign = "+"
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else a}[sign]
    return f"{left} {sign} {right}", value


def _expressions(operands: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    """Two operands and a sign, and the value by Python's own fractions."""
    return st.tuples(st.sampled_from("+-*/"), operands, operands).map(_joined)


_numbers = st.decimals(min_value=0, max_value=10**6, places=3).map(
    lambda number: (f"{number:f}", Fraction(number))
)
_operands = st.recursive(
    _numbers,
    lambda inner: _expressions(inner).map(lambda drawn: (f"({drawn[0]})", drawn[1])),
    max_leaves=4,
)


@given(
    _expressions(_operands), st.sampled_from(["Calculate {}", "{} =", "How much is {}?", "{} = ?"])
)
def test_the_value_is_exact(drawn: tuple[str, Fraction], phrase: str) -> None:
    expression, value = drawn
    told = answer(phrase.format(expression))
    if told is None:  # too long to be read, or to be told
        assert len(expression) > 150
        return
    assert Fraction(told if told[0] != "\u2248" else told.rpartition("(")[2][:-1]) == value


@given(st.text(max_size=250))
def test_any_text_is_answered_or_not_claimed(text: str) -> None:
    answer(text)


@given(st.text(alphabet="0123456789+-*/^().,% =?xof", max_size=60))
def test_whatever_looks_like_a_sum_ends_soon(text: str) -> None:
    told = answer(text)
    assert told is None or len(told) < 450


def test_no_prompt_of_any_other_task_is_claimed() -> None:
    claimed = [prompt for prompt in authored(1) if answer(prompt.text) is not None]
    assert {prompt.task for prompt in claimed} <= {Task.MATH, Task.TOOL_USE}
    assert not [prompt.text for prompt in claimed if len(prompt.text) > 60]


# ---- conversations ----------------------------------------------------------------------------


def asks(*turns: tuple[str, str]) -> bool:
    messages = tuple(Message(role, text) for role, text in turns)  # type: ignore[arg-type]
    return is_arithmetic(Request(RequestId("r"), "auto", messages))


def test_a_conversation_of_sums_is_arithmetic() -> None:
    assert asks(("user", "2 + 2"))
    assert asks(("user", "2 + 2"), ("assistant", "4"), ("user", "What is 3 * 3?"))


def test_whatever_may_want_another_form_of_answer_is_not() -> None:
    assert not asks(("system", "Answer in French."), ("user", "2 + 2"))
    assert not asks(("user", "Answer in French."), ("assistant", "Oui"), ("user", "2 + 2"))
    assert not asks(("user", "2 + 2"), ("assistant", "4"), ("user", "Are you sure?"))
    assert not asks(("user", "2 + 2"), ("assistant", "5"))
    assert not asks(("user", "2 + 2"), ("tool", "4"))
    assert not is_arithmetic(Request(RequestId("r"), "auto", (), prompt="2 + 2 ="))
