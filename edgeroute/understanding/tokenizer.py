"""Text to WordPiece ids, as MiniLM's own tokenizer gives them.

Owns the vocabulary in memory. Text that is ASCII but for accents, quotation marks and dashes goes
through a dictionary, about 0.25 us a token; whatever else goes to `tokenizers`, whose ids the
dictionary's are (hypothesis compares them).
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, cast

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

UNKNOWN: Final = "[UNK]"
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LONGEST_WORD: Final = 100
"""Letters; a longer word is unknown, as in BERT."""

_MARKS = r"\u2018\u2019\u201c\u201d\u2013\u2014\u2022\u2026"  # quotes, dashes, bullet, ellipsis
_WORD = re.compile(rf"[0-9a-z]+|[!-/:-@\[-`{{-~{_MARKS}]")
_UNUSUAL = re.compile(rf"[^\t\n\r -~{_MARKS}]|\[(?:PAD|UNK|CLS|SEP|MASK)\]")
"""Other scripts, control characters, and the tokens that stand for themselves."""
_USUAL = bytes((9, 10, 13, *range(32, 127)))
_LETTERS = bytes(code for code in _USUAL if chr(code).isalnum() or chr(code).isspace())
_APART = {code: (chr(code), f" {chr(code)} ") for code in _USUAL if code not in _LETTERS}
"""Signs as they are written, and as they are set apart from words."""
_ACCENT = re.compile("[\u0300-\u036f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CACHED_WORDS = 20_000


class Tokenizer:
    """Lower-casing BERT WordPiece without `[CLS]`, `[SEP]`, truncation or padding."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        """Take the pieces in the order of their ids; those that go on with a word begin with ##."""
        self._ids = {piece: index for index, piece in enumerate(vocabulary)}
        self._unknown = self._ids[UNKNOWN]
        self._split: dict[str, list[int]] = {}
        self._reference: tokenizers.Tokenizer | None = None

    def encode(self, text: str) -> list[int]:
        """Ids of a text, in linear time; lone surrogates count as U+FFFD, which is dropped."""
        if _may_be_unusual(text) and _UNUSUAL.search(text):
            plain = _ACCENT.sub("", unicodedata.normalize("NFD", text))
            if _UNUSUAL.search(plain):
                text = _SURROGATE.sub("\ufffd", text)
                return self.reference.encode(text, add_special_tokens=False).ids
            text = plain
        words = _words(text.lower())
        known = [*map(self._ids.get, words)]
        if None not in known:
            return cast("list[int]", known)
        ids: list[int] = []
        for word, index in zip(words, known, strict=True):
            if index is None:
                ids += self._pieces(word)
            else:
                ids.append(index)
        return ids

    @property
    def reference(self) -> tokenizers.Tokenizer:
        """The tokenizer that is followed; made when first needed, it takes 20 ms and 10 MB."""
        if self._reference is None:
            self._reference = _reference(self._ids)
        return self._reference

    def _pieces(self, word: str) -> list[int]:
        pieces = self._split.get(word)
        if pieces is None:
            if len(self._split) >= _CACHED_WORDS:
                self._split.clear()
            pieces = self._split[word] = self._longest_first(word)
        return pieces

    def _longest_first(self, word: str) -> list[int]:
        pieces: list[int] = []
        if len(word) > LONGEST_WORD:
            return [self._unknown]
        start, mark = 0, ""
        while start < len(word):
            for end in range(len(word), start, -1):
                index = self._ids.get(mark + word[start:end])
                if index is not None:
                    break
            else:
                return [self._unknown]
            pieces.append(index)
            start, mark = end, "##"
        return pieces


def _words(text: str) -> list[str]:
    """The words and signs of a text without unusual characters; in ASCII four times as fast."""
    if not text.isascii():
        return _WORD.findall(text)
    for code in set(text.encode().translate(None, _LETTERS)):
        text = text.replace(*_APART[code])
    return text.split()


def _may_be_unusual(text: str) -> bool:
    """Whether a text is worth a search: prose in ASCII without brackets is not."""
    return "[" in text or not text.isascii() or bool(text.encode().translate(None, _USUAL))


def _reference(ids: dict[str, int]) -> tokenizers.Tokenizer:
    model = models.WordPiece(ids, unk_token=UNKNOWN, max_input_chars_per_word=LONGEST_WORD)
    reference = tokenizers.Tokenizer(model)
    reference.normalizer = normalizers.BertNormalizer(lowercase=True)
    reference.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    reference.add_special_tokens(list(SPECIAL))
    return reference
