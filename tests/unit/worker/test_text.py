"""Text from tokens: the pieces never matter, only what they say."""

from hypothesis import example, given
from hypothesis import strategies as st

from edgeroute.worker.text import AnswerText, StopFilter

# Few letters, so that stop strings overlap each other, themselves and the text.
letters = st.text("ab\nä", max_size=12)
stops = st.lists(st.text("ab\nä", min_size=1, max_size=4), max_size=3)


def cut(text: str, stops: list[str]) -> str:
    """The text before the stop string that is complete first, read letter by letter."""
    for end in range(len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))]
    return text


@given(st.lists(letters), stops)
@example(["xab", "c"], ["abc", "b"])
@example(["a", "a", "b"], ["aab"])
def test_what_is_shown_is_the_text_before_the_first_stop(
    pieces: list[str], stops: list[str]
) -> None:
    text = StopFilter(stops)
    shown = "".join(text.feed(piece) for piece in pieces)
    expected = cut("".join(pieces), stops)
    assert expected.startswith(shown)
    assert text.stopped == (expected != "".join(pieces))
    assert shown + text.flush() == expected
    assert text.flush() == ""


@given(st.lists(letters), stops)
def test_no_more_is_held_than_may_begin_a_stop(pieces: list[str], stops: list[str]) -> None:
    text = StopFilter(stops)
    fed = shown = ""
    for piece in pieces:
        fed += piece
        shown += text.feed(piece)
        held = "" if text.stopped else fed[len(shown) :]
        assert held == "" or any(stop.startswith(held) and stop != held for stop in stops)


@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode), st.data())
def test_bytes_become_the_same_text_however_they_are_cut(data: bytes, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)))))
    text = AnswerText(())
    pieces = [data[i:j] for i, j in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    shown = "".join(map(text.feed, pieces))
    assert shown + text.flush() == data.decode("utf-8", "replace")


def test_half_a_character_is_not_shown() -> None:
    text = AnswerText(())
    first, rest = "é".encode()[:1], "é".encode()[1:]
    assert text.feed(b"caf" + first) == "caf"
    assert text.feed(rest) == "é"


def test_a_stop_string_may_lie_across_tokens_and_characters() -> None:
    text = AnswerText(["é!"])
    data = "café! more".encode()
    assert "".join(text.feed(data[i : i + 1]) for i in range(len(data))) == "caf"
    assert text.stopped
    assert text.flush() == ""


def test_what_a_stop_string_needs_to_end_is_shown_at_the_end() -> None:
    text = AnswerText(["\n\nUser:"])
    assert text.feed(b"Bye.\n\nUse") == "Bye."
    assert text.flush() == "\n\nUse"
    assert not text.stopped


def test_a_character_cut_off_at_the_end_is_told() -> None:
    text = AnswerText(["x"])
    assert text.feed("né".encode()[:2]) == "n"
    assert text.flush() == "\ufffd"
