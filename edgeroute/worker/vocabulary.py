"""Text to tokens and back, by the tokenizer of the loaded model."""

import ctypes
from array import array
from collections.abc import Iterable

import llama_cpp.llama_cpp as llama
import numpy as np

from edgeroute.domain.errors import InvalidRequest
from edgeroute.worker.ports import Token


class Vocabulary:
    """The tokens of one model.

    Attributes:
        size: How many there are.
        bos: Text that begins a sequence; empty where there is none.
        eos: Text that ends one.
    """

    def __init__(self, model: llama.llama_model_p) -> None:
        self._vocab = llama.llama_model_get_vocab(model)
        self.size: int = llama.llama_vocab_n_tokens(self._vocab)
        self._first: int = llama.llama_vocab_bos(self._vocab)
        self.bos = self._text(self._first)
        self.eos = self._text(llama.llama_vocab_eos(self._vocab))
        self._tokens: dict[int, Token] = {}
        self._marks: frozenset[str] = frozenset()

    def show(self, marks: Iterable[str]) -> None:
        """Let these control tokens be seen in answers: they say where calls of functions begin."""
        self._marks = frozenset(marks)

    @property
    def pointer(self) -> "llama.llama_vocab_p":
        """The vocabulary, as llama.cpp knows it."""
        return self._vocab

    @property
    def any_token(self) -> int:
        """A token to warm up with."""
        return max(self._first, 0)

    def tokenise(self, text: str, *, first: bool = True, markup: bool = True) -> "array[int]":
        """Turn a text into tokens.

        Args:
            text: Any text.
            first: It begins a sequence: BOS is added where the model wants it and the text does
                not already begin with it.
            markup: Control tokens in it are meant; otherwise they are plain text.

        Raises:
            InvalidRequest: The tokenizer cannot read it.
        """
        data = text.encode(errors="replace")  # a template may write half a surrogate pair
        add_bos = first and not (self.bos and text.startswith(self.bos))
        room = len(data) + 8  # no token is empty, but for BOS and a leading space
        buffer = np.empty(room, np.int32)
        pointer = buffer.ctypes.data_as(llama.llama_token_p)
        count = llama.llama_tokenize(self._vocab, data, len(data), pointer, room, add_bos, markup)
        if count < 0:
            raise InvalidRequest("the model's tokenizer cannot read this text")
        tokens = array("i")
        tokens.frombytes(buffer[:count].tobytes())
        return tokens

    def controls_in(self, text: str) -> set[str]:
        """Find the control tokens, such as `<|im_end|>`, that a text would be read as having.

        By reading it so: looking for each of their texts takes seconds per megabyte where a
        vocabulary has thousands.
        """
        tokens = set(self.tokenise(text, first=False))
        is_control = llama.llama_vocab_is_control
        return {self._text(token) for token in tokens if is_control(self._vocab, token)}

    def token(self, token: int) -> Token:
        """Look up a token's bytes, and whether it ends an answer."""
        known = self._tokens.get(token)
        if known is None:
            last = llama.llama_vocab_is_eog(self._vocab, token)
            piece = b"" if last else self._piece(token)
            if not piece and not last and (text := self._text(token)) in self._marks:
                piece = text.encode()
            known = self._tokens[token] = Token(token, piece, last)
        return known

    def bytes_of(self, token: int) -> bytes:
        """What a token is: the bytes that it adds to an answer, or the name of a control token."""
        return self.token(token).piece or self._text(token).encode()

    def _piece(self, token: int, size: int = 64) -> bytes:
        buffer = ctypes.create_string_buffer(size)
        no_skip, with_controls = 0, False
        written: int = llama.llama_token_to_piece(
            self._vocab, token, buffer, size, no_skip, with_controls
        )
        return buffer.raw[:written] if written >= 0 else self._piece(token, -written)

    def _text(self, token: int) -> str:
        if token < 0:
            return ""
        return (llama.llama_vocab_get_text(self._vocab, token) or b"").decode("utf-8", "replace")
