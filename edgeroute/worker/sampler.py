"""How a token is drawn from logits: llama.cpp's sampler chains, one per sequence."""

import llama_cpp.llama_cpp as llama

from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.request import Sampling

REPEAT_WINDOW = 64
"""Tokens that `repeat_penalty` looks back on, llama.cpp's default. The penalties that OpenAI
defines look at the whole answer."""
_NO_SEED = 0xFFFFFFFF
"""Asks llama.cpp for a random seed; never passed on."""


class Sampler:
    """Draws the tokens of one sequence.

    Reproducible for a seed as far as logits are: a batch of another shape may sum floats in
    another order.
    """

    def __init__(self, sampling: Sampling, *, vocabulary: int, context: int) -> None:
        """Build the chain.

        Args:
            sampling: With its seed set.
            vocabulary: Number of tokens.
            context: Tokens that a sequence may have.

        Raises:
            InvalidRequest: llama.cpp does not take one of the values.
        """
        self._chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for link in _links(sampling, vocabulary, context):
            if not link:
                self.close()
                raise InvalidRequest(f"llama.cpp refuses these sampling parameters: {sampling}")
            llama.llama_sampler_chain_add(self._chain, link)

    def draw(self, context: llama.llama_context_p, row: int) -> int:
        """Draw from the logits of a row and remember the token for the penalties."""
        return int(llama.llama_sampler_sample(self._chain, context, row))

    def close(self) -> None:
        """Free the chain."""
        llama.llama_sampler_free(self._chain)


def is_plain_argmax(sampling: Sampling) -> bool:
    """Whether no chain is needed: numpy's argmax takes 6 us, a greedy chain 55."""
    return sampling.temperature <= 0 and not _penalises(sampling)


def _penalises(sampling: Sampling) -> bool:
    penalties = (sampling.presence_penalty, sampling.frequency_penalty)
    return sampling.repeat_penalty != 1 or any(penalties)


def _links(sampling: Sampling, vocabulary: int, context: int) -> "list[llama.llama_sampler_p]":
    links = []
    if sampling.repeat_penalty != 1:
        links.append(
            llama.llama_sampler_init_penalties(
                vocabulary, REPEAT_WINDOW, sampling.repeat_penalty, 0.0, 0.0
            )
        )
    if sampling.frequency_penalty or sampling.presence_penalty:
        links.append(
            llama.llama_sampler_init_penalties(
                vocabulary, context, 1.0, sampling.frequency_penalty, sampling.presence_penalty
            )
        )
    if sampling.temperature <= 0:
        return [*links, llama.llama_sampler_init_greedy()]
    return [
        *links,
        llama.llama_sampler_init_top_k(sampling.top_k),
        llama.llama_sampler_init_top_p(sampling.top_p, 1),
        llama.llama_sampler_init_min_p(sampling.min_p, 1),
        llama.llama_sampler_init_temp(sampling.temperature),
        llama.llama_sampler_init_dist((sampling.seed or 0) % _NO_SEED),
    ]
