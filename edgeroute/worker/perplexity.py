"""What a model says of known text: perplexity, and which tokens it would have drawn.

Owns a context in which every row has logits; that of `engine` has one row per slot. On the CPU
alone, as the formats that are compared differ in the CPU's kernels.
"""

import ctypes
from array import array
from collections.abc import Callable, Sequence

import llama_cpp.llama_cpp as llama
import numpy as np

from edgeroute.domain.errors import LoadFailed
from edgeroute.wire.measuring import Quality
from edgeroute.worker.batch import Batch
from edgeroute.worker.loading import create_context, start_llama
from edgeroute.worker.sampler import Logits
from edgeroute.worker.sequence import Run
from edgeroute.worker.vocabulary import Vocabulary

WINDOW = 512
"""Tokens that are read together; a longer text is read in several windows."""
_BLOCK = 32
"""Rows whose probabilities are worked out at once: 20 MB for a vocabulary of 150,000."""


def measure_quality(
    path: str, texts: Sequence[str], threads: int, tell: Callable[[float], None]
) -> Quality:
    """Read texts and compare with what the model expected.

    Args:
        path: The model file.
        texts: Each begins a sequence of its own.
        threads: To compute with.
        tell: Told the share read, 0..1.

    Raises:
        LoadFailed: In llama.cpp's words.
    """
    reader = _Reader(path, threads)
    windows = [window for text in texts for window in reader.windows(text)]
    surprise: list[float] = []
    likeliest: list[int] = []
    for number, window in enumerate(windows, 1):
        logits = reader.read(window)
        for first in range(0, len(window) - 1, _BLOCK):
            block = logits[first : first + _BLOCK]
            following = np.array(window[first + 1 : first + 1 + len(block)])
            block = block[: len(following)]
            surprise += _surprise(block, following).tolist()
            likeliest += block.argmax(axis=1).tolist()
        tell(number / len(windows))
    return Quality(tuple(surprise), tuple(likeliest))


def _surprise(logits: Logits, tokens: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Logits:
    """-ln P of one token per row; shapes (n, vocabulary) and (n,) give (n,)."""
    highest = logits.max(axis=1, keepdims=True)
    total = np.exp(logits - highest).sum(axis=1, dtype=np.float64)
    of_token = logits[np.arange(len(tokens)), tokens] - highest[:, 0]
    surprise: Logits = np.log(total) - of_token
    return surprise


class _Reader:
    """A model that is shown text; lives as long as its process."""

    def __init__(self, path: str, threads: int) -> None:
        self._log = start_llama()
        params = llama.llama_model_default_params()
        params.n_gpu_layers = 0
        no_devices = (ctypes.c_void_p * 1)(None)
        params.devices = ctypes.cast(no_devices, ctypes.c_void_p)
        model = llama.llama_model_load_from_file(path.encode(), params)
        if not model:
            raise LoadFailed(self._log.reason())
        self._vocabulary = Vocabulary(model)
        self._context = self._create_context(model, threads)
        self._batch = Batch(WINDOW, slots=1)

    def _create_context(self, model: llama.llama_model_p, threads: int) -> llama.llama_context_p:
        params = llama.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = params.n_outputs_max = WINDOW
        params.n_seq_max = 1
        params.n_threads = params.n_threads_batch = threads
        return create_context(model, params, self._log)

    def windows(self, text: str) -> "list[array[int]]":
        """The tokens of a text, in pieces of at most `WINDOW`; a last one of one tells nothing."""
        tokens = self._vocabulary.tokenise(text, markup=False)
        pieces = [tokens[first : first + WINDOW] for first in range(0, len(tokens), WINDOW)]
        return [piece for piece in pieces if len(piece) > 1]

    def read(self, window: "array[int]") -> Logits:
        """Read a window; gives the logits after each token, until the next call.

        Returns:
            Shape (tokens, vocabulary).
        """
        llama.llama_memory_clear(llama.llama_get_memory(self._context), False)  # noqa: FBT003
        rows = range(len(window))
        # One run per token, as only the last row of a run has logits.
        self._batch.fill([Run(0, 0, row, row, window[row : row + 1], draws=True) for row in rows])
        if code := llama.llama_decode(self._context, self._batch.struct):
            raise LoadFailed(f"it cannot decode: {self._log.reason()} (code {code})")
        pointer = llama.llama_get_logits(self._context)
        return np.ctypeslib.as_array(pointer, (len(window), self._vocabulary.size))
