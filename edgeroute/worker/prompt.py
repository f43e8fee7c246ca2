"""From a conversation to the tokens of a prompt.

Owns two guarantees: no message can forge the markup between turns, and a text that is far too
long is refused before seconds go into tokenising it, while other streams wait.
"""

import re
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from edgeroute.domain.errors import InvalidRequest, Unsupported
from edgeroute.domain.request import Message, Toolbox
from edgeroute.domain.tool_markup import ToolMarkup
from edgeroute.worker.conversation import Turn, functions_of, texts_in, turns_of, with_texts
from edgeroute.worker.scheduler import context_exceeded
from edgeroute.worker.template import ChatTemplate
from edgeroute.worker.vocabulary import Vocabulary

NONCHARACTERS = tuple(map(chr, range(0xFDD0, 0xFDF0)))
"""Code points that Unicode will never assign: marks that a message hardly ever has already."""
PROBE_CHARACTERS = 8
"""Characters per token of context that are tokenised first. English has about 4.5 per token."""
LONGEST_TOKEN = 256
"""Characters; the longest tokens of known vocabularies are runs of spaces shorter than this."""


class PromptEncoder:
    """Renders and tokenises conversations for one loaded model."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        template: ChatTemplate,
        markup: ToolMarkup | None,
        context: int,
    ) -> None:
        self._vocabulary = vocabulary
        self._template = template
        self._markup = markup
        self._context = context

    def encode(
        self, messages: Sequence[Message], tools: Toolbox, prompt: str | None
    ) -> "array[int]":
        """Turn a conversation, or a bare prompt, into tokens.

        Raises:
            InvalidRequest: The template refuses the conversation.
            Unsupported: There are tools, and the template knows none.
            ContextExceeded: It is certainly longer than the context.
        """
        if prompt is not None:  # all of it is the caller's, marks of turns too
            self._probe(prompt)
            return self._vocabulary.tokenise(prompt)
        if tools.offered and self._markup is None:
            raise Unsupported("this model's chat template knows no tools")
        turns, functions = turns_of(messages), functions_of(tools.offered)
        text = self._template.render(turns, functions)
        self._probe(text)
        controls = self._vocabulary.controls_in("\n".join(texts_in([*turns, *functions])))
        if not controls:
            return self._vocabulary.tokenise(text)
        return self._encode_literally(turns, functions, controls)

    def _encode_literally(
        self,
        turns: Sequence[Turn],
        functions: Sequence[Mapping[str, Any]],
        controls: Collection[str],
    ) -> "array[int]":
        """Turn a conversation into tokens in which control tokens of messages are plain text.

        `<|im_end|>` in a message would end its turn and let it forge the next. So it is marked
        before rendering, and what is marked is tokenised as text. Templates that trim or inspect
        contents still see all of them. (SentencePiece vocabularies put a space before such text.)
        """
        opening, closing = _marks(texts_in([*turns, *functions]))
        longest_first = sorted(controls, key=len, reverse=True)
        found = re.compile("|".join(map(re.escape, longest_first)))

        def marked(text: str) -> str:
            return found.sub(rf"{opening}\g<0>{closing}", text)

        turns = [with_texts(turn, marked) for turn in turns]
        functions = [with_texts(function, marked) for function in functions]
        rendered = self._template.render(turns, functions)
        pieces = re.split(f"{opening}(.*?){closing}", rendered, flags=re.DOTALL)
        tokens = array("i")
        for index, piece in enumerate(pieces):  # every second one is what was between marks
            tokens += self._vocabulary.tokenise(piece, first=index == 0, markup=index % 2 == 0)
        return tokens

    def _probe(self, text: str) -> None:
        """Refuse a text of which already a beginning is too long."""
        at_least = len(text) // LONGEST_TOKEN
        size = PROBE_CHARACTERS * self._context
        if at_least <= self._context and len(text) > size:
            at_least = len(self._vocabulary.tokenise(text[:size]))
        if at_least > self._context:
            raise context_exceeded(f"at least {at_least}", self._context)


def _marks(texts: Iterable[str]) -> list[str]:
    """Choose two characters that no text has."""
    taken = set("".join(texts))
    free = [mark for mark in NONCHARACTERS if mark not in taken]
    if len(free) < 2:  # noqa: PLR2004 - one opens, one closes
        raise InvalidRequest("the messages contain Unicode noncharacters next to control tokens")
    return free[:2]
