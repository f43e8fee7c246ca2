"""How the tokens of one answer are drawn where the likeliest alone will not do.

Owns the order: the sampler draws, the grammar checks, and only what it refuses is drawn again.
"""

import numpy as np

from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.request import TokenLogprob
from edgeroute.domain.tool_markup import ToolMarkup
from edgeroute.wire.frames import Generate
from edgeroute.worker.grammar import Grammar, Grammars
from edgeroute.worker.ports import Token
from edgeroute.worker.sampler import Candidates, Logits, Sampler, is_plain_argmax
from edgeroute.worker.vocabulary import Vocabulary


class Drawer:
    """Makes the ways of drawing from one model.

    Args:
        markup: How the model writes calls.
        context: Tokens that a sequence may have.
    """

    def __init__(self, vocabulary: Vocabulary, markup: ToolMarkup | None, context: int) -> None:
        if markup is not None:
            vocabulary.show(markup.marks)
        self._vocabulary = vocabulary
        self._context = context
        self._candidates = Candidates(vocabulary.size)
        self._grammars = Grammars(vocabulary.pointer, markup)

    def drawing(self, request: Generate) -> "Drawing | None":
        """The way that a request asks for; `None` where the likeliest token will always do.

        Raises:
            InvalidRequest: Its sampling parameters or grammar cannot be used.
            Unsupported: It asks for what this model cannot do.
        """
        grammar = self._grammars.of(request)
        sampler = None
        if not is_plain_argmax(request.sampling):
            sampler = Sampler(request.sampling, self._candidates, context=self._context)
        if sampler is None and grammar is None and request.logprobs is None:
            return None
        return Drawing(self._vocabulary, sampler, grammar, request.logprobs)


class Drawing:
    """One answer's way of drawing.

    Args:
        sampler: Draws; `None` takes the likeliest.
        grammar: Language of the answer; `None` is any.
        alternatives: How many to tell with each token's log-probability; `None` tells nothing.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        sampler: Sampler | None,
        grammar: Grammar | None,
        alternatives: int | None,
    ) -> None:
        self._vocabulary = vocabulary
        self._sampler = sampler
        self._grammar = grammar
        self._alternatives = alternatives

    def draw(self, logits: Logits, likeliest: int) -> Token:
        """Draw from logits, shape (vocabulary,)."""
        token = likeliest if self._sampler is None else self._sampler.choose(logits)
        if self._grammar is not None and not self._grammar.allows(token):
            allowed = self._grammar.allowed()
            if not len(allowed):
                stuck = InvalidRequest("the grammar allows no token of this model's next")
                return self._vocabulary.token(token)._replace(failure=stuck)
            if self._sampler is None:
                token = int(allowed[logits[allowed].argmax()])
            else:
                token = self._sampler.choose(logits, allowed)
        return self._accept(token, logits)

    def close(self) -> None:
        """Free the sampler."""
        if self._sampler is not None:
            self._sampler.close()

    def _accept(self, token: int, logits: Logits) -> Token:
        drawn = self._vocabulary.token(token)
        if self._sampler is not None:
            self._sampler.accept(token)
        if self._alternatives is not None and not drawn.last:
            told = _logprob(self._vocabulary, logits, token, self._alternatives)
            drawn = drawn._replace(logprob=told)
        if self._grammar is not None and not drawn.last:
            try:
                self._grammar.take(token)
            except InvalidRequest as error:
                return drawn._replace(failure=error)
            drawn = drawn._replace(last=self._grammar.over)
        return drawn


def _logprob(vocabulary: Vocabulary, logits: Logits, token: int, count: int) -> TokenLogprob:
    """Log-softmax of the raw logits, as far as it was asked for."""
    highest = float(logits.max())
    total = highest + float(np.log(np.exp(logits - highest).sum(dtype=np.float64)))
    count = min(count, len(logits) - 1)
    top: list[int] = []
    if count:
        found = np.argpartition(logits, -count)[-count:]
        top = found[np.argsort(-logits[found], kind="stable")].tolist()
    return TokenLogprob(
        vocabulary.bytes_of(token),
        float(logits[token]) - total,
        tuple((vocabulary.bytes_of(other), float(logits[other]) - total) for other in top),
    )
