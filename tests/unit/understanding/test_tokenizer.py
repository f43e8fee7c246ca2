"""The dictionary gives the ids that the reference tokenizer gives, on whatever text."""

import string
from pathlib import Path

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers

from edgeroute.understanding.tokenizer import LONGEST_WORD, Tokenizer

FOLDER = Path(__file__).parents[3] / "models" / "understanding"
VOCABULARY = (FOLDER / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TOKENIZER = Tokenizer(VOCABULARY)


def _bert() -> tokenizers.Tokenizer:
    """MiniLM's tokenizer as its own file describes it, put together apart from ours."""
    ids = {piece: index for index, piece in enumerate(VOCABULARY)}
    bert = tokenizers.Tokenizer(models.WordPiece(ids, unk_token=SPECIAL[1]))
    bert.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True
    )
    bert.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    bert.add_special_tokens(list(SPECIAL))
    return bert


BERT = _bert()
PIECES = st.one_of(
    st.sampled_from(SPECIAL),
    st.sampled_from(VOCABULARY).map(lambda piece: piece.removeprefix("##")),
    st.text(st.characters(max_codepoint=127), max_size=6),
    st.text(string.ascii_letters, min_size=1, max_size=2 * LONGEST_WORD),
    st.text("àéîõüñçßøæÅİıſ'\u2019\u201c\u201d\u2013\u2014\u2026\u2022", max_size=6),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(
        ["中文", "한국어", "العربية", "हिन्दी", "\u200b", "\u00ad", "\ufeff", "\u0301", "\x85"]
    ),
)
TEXTS = st.lists(PIECES, max_size=12).flatmap(
    lambda pieces: st.sampled_from(["", " ", "\n"]).map(lambda gap: gap.join(pieces))
)


@given(TEXTS)
@example("[CLS] and [sep]")
@example("[PÁD]")
@example("a\x00b\x7fc\td")
@example("x" * LONGEST_WORD + " " + "x" * (LONGEST_WORD + 1))
@example("\u212b\u037e\u1fef")
def test_ids_are_the_reference_s(text: str) -> None:
    assert TOKENIZER.encode(text) == BERT.encode(text, add_special_tokens=False).ids


@given(TEXTS, st.sampled_from(["\ud800", "\udfff"]))
def test_a_lone_surrogate_is_dropped(text: str, surrogate: str) -> None:
    assert TOKENIZER.encode(text + surrogate) == TOKENIZER.encode(text + "\ufffd")


@pytest.mark.parametrize(
    "text",
    [
        "Write a short poem.",
        "Übersetze: wie geht\u2019s?",
        "naïve café \u2014 \u201chi\u201d\u2026",
    ],
)
def test_common_text_needs_no_fallback(text: str) -> None:
    fresh = Tokenizer(VOCABULARY)
    ids = fresh.encode(text)
    assert fresh._reference is None
    assert [VOCABULARY[index] for index in ids] == BERT.encode(
        text, add_special_tokens=False
    ).tokens


def test_words_that_were_split_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeroute.understanding.tokenizer._CACHED_WORDS", 10)
    fresh = Tokenizer(VOCABULARY)
    texts = [f"qzx{number}vv" for number in range(40)]
    assert [fresh.encode(text) for text in texts] == [TOKENIZER.encode(text) for text in texts]
    assert len(fresh._split) <= 10
