"""Answers held to a language: JSON, a JSON schema, a GBNF grammar, or calls of functions.

Owns the languages; llguidance reads them and says which tokens may come next. A token that was
drawn freely is checked alone (3 us); the set of all that may come (30 to 50 us) is asked for only
where it was refused.
"""

import ctypes
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import llama_cpp.llama_cpp as llama
import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from llguidance.gbnf_to_lark import gbnf_to_lark
from numpy.typing import NDArray

from edgeroute.domain.errors import InvalidRequest, Unsupported
from edgeroute.domain.request import AnswerForm, Tool, Toolbox
from edgeroute.domain.tool_markup import ToolMarkup
from edgeroute.wire.frames import Generate

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

_ANY_OBJECT = {"type": "object"}
_NO_ARGUMENTS = {"type": "object", "additionalProperties": False}
"""Of a function that says nothing of its parameters, as OpenAI means it."""
_STRICT: "JsonCompileOptions" = {"whitespace_pattern": r"[ \n\r\t]{0,40}", "lenient": False}
"""White space is bounded, since small models love it; what is not built is refused, not ignored."""
_LIMITS = LLParserLimits(verbose_errors=False)  # errors hold no schema and no text
_QUIET = 0
_MOST_CHARACTERS = 500
"""Of what llguidance says is wrong."""
_MOST_CALLS = 16
"""Of one answer that must call."""
_SPECIAL = b"\xff"
"""Before a token's text: it is no text, so that no literal can mean it."""


class Grammar:
    """The language of one answer, and how far the answer has come in it."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    @property
    def over(self) -> bool:
        """Whether the answer is complete and nothing may follow."""
        return self._matcher.is_stopped()

    def allows(self, token: int) -> bool:
        """Whether a token may come next."""
        return self._matcher.validate_tokens([token]) == 1

    def allowed(self) -> NDArray[np.intp]:
        """Every token that may come next, ascending."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        return np.flatnonzero(np.unpackbits(mask, bitorder="little"))

    def take(self, token: int) -> None:
        """Go on by a token that is allowed.

        Raises:
            InvalidRequest: The language is too complex to follow any further.
        """
        if not self._matcher.consume_token(token):
            raise _refusal("the grammar cannot be followed", self._matcher.get_error())


class Grammars:
    """Makes the grammars of one model."""

    def __init__(self, vocab: "llama.llama_vocab_p", markup: ToolMarkup | None) -> None:
        """Remember the model.

        Args:
            vocab: Of the model.
            markup: How it writes calls; its marks count as text.
        """
        self._vocab = vocab
        self._markup = markup
        self._tokenizer: LLTokenizer | None = None

    def of(self, request: Generate) -> Grammar | None:
        """The grammar that a request asks for; `None` where it asks for none.

        Raises:
            InvalidRequest: It is malformed, or too complex.
            Unsupported: A keyword of a schema that is not built, or form and tools together.
        """
        called = request.tools.offered
        if called and request.form.kind != "text":
            raise Unsupported(
                "this model cannot both call tools and hold its answer to a form: "
                "leave out the tools, or response_format and grammar"
            )
        if called and request.tools.choice == "required":
            return self._grammar(_lark(self._calls(request.tools)))
        return None if request.form.kind == "text" else self._grammar(_of_form(request.form))

    def _grammar(self, source: str) -> Grammar:
        if self._tokenizer is None:
            self._tokenizer = self._make_tokenizer()
        matcher = LLMatcher(self._tokenizer, source, log_level=_QUIET, limits=_LIMITS)
        if matcher.is_error():
            raise _refusal("no grammar can be made of this", matcher.get_error())
        return Grammar(matcher)

    def _make_tokenizer(self) -> LLTokenizer:
        """What llguidance needs to know of the vocabulary: 0.35 s, 22 MB for 49,152 tokens."""
        vocab = self._vocab
        marks = [] if self._markup is None else [mark.encode() for mark in self._markup.marks]
        buffer = ctypes.create_string_buffer(4096)
        tokens: list[bytes] = []
        ends: list[int] = []
        for token in range(llama.llama_vocab_n_tokens(vocab)):
            size = llama.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, True)  # noqa: FBT003 - control tokens too
            text = buffer.raw[: max(size, 0)]
            if llama.llama_vocab_is_eog(vocab, token):
                ends.append(token)
            if llama.llama_vocab_is_control(vocab, token) and text not in marks:
                text = _SPECIAL + text
            tokens.append(text)
        tokenise = ctypes.cast(llama._lib.llama_tokenize, ctypes.c_void_p).value  # noqa: SLF001 - it has no public name
        made: LLTokenizer = LLTokenizer.from_llamacpp(  # type: ignore[attr-defined] # untyped there
            tokens=tokens,
            vocab_ptr=vocab,
            tokenize_fptr=tokenise,
            eos_token=ends,
            slices=None,
        )
        return made

    def _calls(self, tools: Toolbox) -> str:
        """A Lark rule for calls alone.

        Raises:
            Unsupported: The model was never taught to write them.
        """
        if self._markup is None:
            raise Unsupported("this model's chat template knows no tools")
        wanted = [tool for tool in tools.tools if tools.only in {"", tool.name}]
        key = "parameters" if self._markup is ToolMarkup.LLAMA else "arguments"
        call = " | ".join(f"({_call(tool, self._markup, key)})" for tool in wanted)
        more = f"{{0,{_MOST_CALLS - 1}}}" if tools.parallel and not tools.only else None
        opening, *closing = map(json.dumps, self._markup.marks)
        match self._markup:
            case ToolMarkup.HERMES:
                one = f'{opening} "\\n" call "\\n" {closing[0]}'
                start = f'one ("\\n" one){more}' if more else "one"
            case ToolMarkup.LLAMA:
                one = start = "call"
            case ToolMarkup.MISTRAL:
                one = f'call (", " call){more}' if more else "call"
                start = f'{opening} "[" one "]"'
            case ToolMarkup.MISTRAL_ARGS:
                one = f"{opening} call"
                start = f"one one{more}" if more else "one"
        return f"start: {start}\none: {one}\ncall: {call}\n"


def _call(tool: Tool, markup: ToolMarkup, key: str) -> str:
    schema = json.dumps({**(json.loads(tool.parameters) or _NO_ARGUMENTS), "x-guidance": _STRICT})
    if markup is ToolMarkup.MISTRAL_ARGS:
        return f"{json.dumps(tool.name + '[ARGS]')} %json {schema}"
    opening = f'{{"name": {json.dumps(tool.name)}, "{key}": '
    return f'{json.dumps(opening)} %json {schema} "}}"'


def _of_form(form: AnswerForm) -> str:
    if form.kind == "grammar":
        return _of_gbnf(form.source)
    source = form.source if form.kind == "schema" else json.dumps(_ANY_OBJECT)
    try:
        return str(LLMatcher.grammar_from_json_schema(source, overrides=_STRICT))
    except ValueError as error:
        raise _refusal("the schema cannot be read", str(error)) from None


def _of_gbnf(source: str) -> str:
    try:
        return _lark(gbnf_to_lark(source))
    except RecursionError:
        raise _refusal("the grammar cannot be read", "it is nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - it raises bare ones
        raise _refusal("the grammar cannot be read", str(error)) from None


def _lark(source: str) -> str:
    return str(LLMatcher.grammar_from_lark(source))


def _refusal(what: str, why: str) -> InvalidRequest:
    why = next(_lines(why), "llguidance gave no reason")[:_MOST_CHARACTERS]
    is_known = "Unimplemented keys" in why or "Unknown format" in why
    return (Unsupported if is_known else InvalidRequest)(f"{what}: {why}")


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
