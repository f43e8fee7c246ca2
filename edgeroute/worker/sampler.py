"""How a token is drawn from logits: llama.cpp's sampler chains, one per sequence.

A chain is applied to the few tokens that `top_k` can choose from, found by numpy: handing it all
49,152 of SmolLM2's takes 68 us a draw, and 630 with penalties, which look each of them up.
"""

import ctypes
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np

from edgeroute.domain.errors import InvalidRequest
from edgeroute.domain.request import Sampling

REPEAT_WINDOW = 64
"""Tokens that `repeat_penalty` looks back on, llama.cpp's default. The penalties that OpenAI
defines look at the whole answer."""
_NO_SEED = 0xFFFFFFFF
"""Asks llama.cpp for a random seed; never passed on."""
_DEPTH = 4.0
"""Logits below the highest among which the `top_k` are looked for first."""
_FEW = 2048
"""Tokens that a chain takes as they are."""
_DEEPEST = 1000.0
"""Below it are only tokens that a model rules out, or numbers that are none."""

Logits = np.ndarray[Any, np.dtype[np.float32]]
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Candidates:
    """Memory for the tokens that a chain chooses from; one for all sequences of a model.

    Attributes:
        size: Tokens of the vocabulary.
    """

    def __init__(self, vocabulary: int) -> None:
        self.size = vocabulary
        self._rows = np.zeros(vocabulary, _CANDIDATE)
        self._all = np.arange(vocabulary, dtype=np.int32)
        self._array = llama.llama_token_data_array()
        self._array.data = ctypes.cast(
            self._rows.ctypes.data, ctypes.POINTER(llama.llama_token_data)
        )

    def choose(
        self, chain: "llama.llama_sampler_p", logits: Logits, among: "np.ndarray[Any, Any] | None"
    ) -> int:
        """Let a chain choose among the given tokens, or all."""
        ids = self._all if among is None else among
        rows = self._rows[: len(ids)]
        rows["id"] = ids
        rows["logit"] = logits if among is None else logits[among]
        self._array.size, self._array.selected, self._array.sorted = len(ids), -1, False
        llama.llama_sampler_apply(chain, ctypes.byref(self._array))
        return int(self._rows["id"][self._array.selected])


class Sampler:
    """Draws the tokens of one sequence.

    Reproducible for a seed as far as logits are: a batch of another shape may sum floats in
    another order.
    """

    def __init__(self, sampling: Sampling, candidates: Candidates, *, context: int) -> None:
        """Build the chain.

        Args:
            sampling: With its seed set.
            candidates: Of the model.
            context: Tokens that a sequence may have.

        Raises:
            InvalidRequest: llama.cpp does not take one of the values.
        """
        self._candidates = candidates
        self._top_k = sampling.top_k if sampling.temperature > 0 else 1
        self._depth = _DEPTH
        self._drawn: set[int] | None = set() if _penalises(sampling) else None
        self._chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for link in _links(sampling, candidates.size, context):
            if not link:
                self.close()
                raise InvalidRequest(f"llama.cpp refuses these sampling parameters: {sampling}")
            llama.llama_sampler_chain_add(self._chain, link)

    def choose(self, logits: Logits, allowed: "np.ndarray[Any, Any] | None" = None) -> int:
        """Draw from logits, shape (vocabulary,).

        Args:
            logits: Of the model.
            allowed: The tokens to draw from, ascending; `None` is all of them.
        """
        if allowed is None:
            among = self._within_reach(logits)
        elif len(allowed) <= _FEW:
            among = allowed
        else:
            only = np.full_like(logits, -np.inf)
            only[allowed] = logits[allowed]
            reach = self._within_reach(only)
            among = allowed if reach is None else np.intersect1d(reach, allowed)
        return self._candidates.choose(self._chain, logits, among)

    def accept(self, token: int) -> None:
        """Remember a token that was drawn, for the penalties."""
        llama.llama_sampler_accept(self._chain, token)
        if self._drawn is not None:
            self._drawn.add(token)

    def close(self) -> None:
        """Free the chain."""
        llama.llama_sampler_free(self._chain)

    def _within_reach(self, logits: Logits) -> "np.ndarray[Any, Any] | None":
        """Every token that can be among the `top_k`: enough of the highest, and all penalised."""
        if not 0 < self._top_k < len(logits):
            return None
        highest = logits.max()
        drawn = self._drawn or ()
        enough = self._top_k + len(drawn)
        reach = logits >= highest - self._depth
        while (size := np.count_nonzero(reach)) < enough:
            self._depth *= 1.5
            if self._depth > _DEEPEST:
                self._depth = _DEPTH
                return None
            reach = logits >= highest - self._depth
        if size > 8 * enough:
            self._depth *= 0.8  # for the next token
        if drawn:
            reach[np.fromiter(drawn, np.int64)] = True
        return np.flatnonzero(reach)


def is_plain_argmax(sampling: Sampling) -> bool:
    """Whether no chain is needed."""
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
