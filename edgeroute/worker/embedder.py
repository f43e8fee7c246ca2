"""One embedding model in llama.cpp: texts to vectors, many texts in one batch.

Owns the model, the context and every pointer that llama.cpp keeps. Knows neither queue nor wire.
"""

from array import array
from collections.abc import Sequence

import llama_cpp.llama_cpp as llama
import numpy as np

from edgeroute.domain.errors import ContextExceeded, EdgeRouteError, LoadFailed
from edgeroute.domain.load import LoadPlan
from edgeroute.worker.batch import Batch
from edgeroute.worker.loading import ENGINE, create_context, load_model, start_llama
from edgeroute.worker.mapping import give_back_pages
from edgeroute.worker.ports import Interrupted, Report
from edgeroute.worker.sequence import Run
from edgeroute.worker.vocabulary import Vocabulary

TEXTS = 64
"""Texts in one batch, at most."""
_ABORTED = 2
_WARM_UP_LAYERS = 2


class LlamaEmbedder:
    """A loaded model, warmed up; an `Embedder`.

    Lives as long as its process: nothing is freed, the kernel takes all of it back.
    """

    def __init__(self, plan: LoadPlan, progress: Report) -> None:
        """Load the model of a plan.

        Raises:
            LoadFailed: In llama.cpp's words.
        """
        self._log = start_llama()
        self._model = load_model(plan, progress, self._log)
        self.name = ENGINE
        trained: int = llama.llama_model_n_ctx_train(self._model)
        self.rows = plan.batch
        self.texts = TEXTS
        self.context = min(plan.context, plan.batch, trained)  # a text is computed all at once
        self._context = self._create_context(plan)
        self.dimensions: int = llama.llama_model_n_embd(self._model)
        self._vocabulary = Vocabulary(self._model)
        self._batch = Batch(self.rows, TEXTS)
        give_back_pages(plan.path)  # before the warm-up, which brings back those in use
        self._warm_up(progress)
        self.buffers = self._log.buffers
        self._log.forget()

    def encode(self, text: str) -> "array[int]":
        """Tokenise a text; see `Embedder`."""
        tokens = self._vocabulary.tokenise(text, markup=False)
        if len(tokens) > self.context:
            raise ContextExceeded(
                f"a text has {len(tokens)} tokens; this model reads {self.context}",
                hint="cut it into shorter texts",
            )
        return tokens

    def embed(self, texts: Sequence["array[int]"]) -> list[bytes]:
        """Make the vectors of texts; see `Embedder`."""
        code = self._decode(texts, None)
        if code:
            raise EdgeRouteError(f"llama.cpp cannot embed this: {self._log.reason()} (code {code})")
        vectors = np.stack([self._pooled(number) for number in range(len(texts))])
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.maximum(lengths, np.finfo(np.float32).tiny)
        return [vector.tobytes() for vector in vectors.astype("<f4", copy=False)]

    def set_threads(self, few: int, many: int) -> None:
        """Set the numbers of threads; see `Embedder`."""
        llama.llama_set_n_threads(self._context, few, many)

    def _pooled(self, number: int) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
        pointer = llama.llama_get_embeddings_seq(self._context, number)
        return np.ctypeslib.as_array(pointer, (self.dimensions,))

    def _decode(self, texts: Sequence["array[int]"], interrupted: Interrupted | None) -> int:
        runs, row = [], 0
        for number, tokens in enumerate(texts):
            runs.append(Run(number, number, row, 0, tokens, draws=True))
            row += len(tokens)
        self._batch.fill(runs)
        self._batch.want_all()
        callback = llama.ggml_abort_callback()
        if interrupted is not None:
            callback = llama.ggml_abort_callback(lambda _: interrupted())
        llama.llama_set_abort_callback(self._context, callback, None)
        self._abort_callback = callback  # llama.cpp keeps the pointer until the next one
        memory = llama.llama_get_memory(self._context)
        if memory:  # a model that looks back keeps what it has read; no two batches go together
            llama.llama_memory_clear(memory, False)  # noqa: FBT003 - keeps the bytes
        code: int = llama.llama_decode(self._context, self._batch.struct)
        return code

    def _create_context(self, plan: LoadPlan) -> llama.llama_context_p:
        params = llama.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self.rows
        params.n_seq_max = TEXTS
        params.kv_unified = True  # texts share the rows that there are
        params.n_threads = params.n_threads_batch = plan.threads
        params.embeddings = True
        params.pooling_type = llama.LLAMA_POOLING_TYPE_UNSPECIFIED  # the model's own
        params.no_perf = True
        context = create_context(self._model, params, self._log)
        if llama.llama_pooling_type(context) not in _POOLING:
            raise LoadFailed("this model does not make one vector of a text")
        return context

    def _warm_up(self, progress: Report) -> None:
        """Touch the memory that serving will touch: a full text, through two layers.

        `LlamaEngine` reads one token and tells the rest as `untouched`. Here llama.cpp does not say
        how much that is: its log has 13 of the 66 MiB that a text of 512 tokens takes (MiniLM).
        """
        nodes = 0

        def count() -> bool:
            nonlocal nodes
            nodes += 1
            progress(1.0)
            return False

        token = self._vocabulary.any_token
        codes = [self._decode([array("i", [token])], count)]
        enough = _WARM_UP_LAYERS * nodes // llama.llama_model_n_layer(self._model)
        nodes = 0
        whole = [array("i", [token]) * self.context]
        codes.append(self._decode(whole, lambda: count() or nodes > enough))
        if not {0, _ABORTED}.issuperset(codes):
            raise LoadFailed(f"it cannot embed: {self._log.reason()} (codes {codes})")


_POOLING = {
    llama.LLAMA_POOLING_TYPE_MEAN,
    llama.LLAMA_POOLING_TYPE_CLS,
    llama.LLAMA_POOLING_TYPE_LAST,
}
