"""One model in llama.cpp: load it, decode batches, draw tokens.

Owns the model, the context and every pointer that llama.cpp keeps. Uses the low-level API alone:
the high-level `Llama` object has one lock and no batching. Knows neither queue nor wire.
"""

from array import array
from collections.abc import Sequence

import llama_cpp.llama_cpp as llama
import msgspec
import numpy as np

from edgeroute.domain.errors import EdgeRouteError, InvalidRequest, LoadFailed
from edgeroute.domain.load import FEW_ROWS, LoadPlan
from edgeroute.domain.request import Message, Toolbox
from edgeroute.domain.tool_markup import tool_markup
from edgeroute.wire.frames import Generate
from edgeroute.worker.batch import Batch
from edgeroute.worker.cells import LlamaCells
from edgeroute.worker.drawing import Drawer, Drawing
from edgeroute.worker.loading import ENGINE, create_context, load_model, start_llama
from edgeroute.worker.mapping import give_back_pages, give_back_zeros
from edgeroute.worker.ports import NO_TOOLS, Interrupted, Report, Token
from edgeroute.worker.prompt import PromptEncoder
from edgeroute.worker.sampler import Logits
from edgeroute.worker.sequence import Run
from edgeroute.worker.template import ChatTemplate
from edgeroute.worker.vocabulary import Vocabulary

_KV_TYPES = {"f16": llama.GGML_TYPE_F16, "q8_0": llama.GGML_TYPE_Q8_0}
_ABORTED = 2
"""What `llama_decode` answers when the abort callback said so."""


class LlamaEngine:
    """A loaded model, warmed up; an `Engine`.

    Lives as long as its process: nothing is freed, the kernel takes all of it back.
    """

    def __init__(self, plan: LoadPlan, progress: Report) -> None:
        """Load the model of a plan.

        Raises:
            LoadFailed: In llama.cpp's words.
        """
        self._log = start_llama()
        self._model = self._load(plan, progress)
        self._context = self._create_context(plan)
        untouched = give_back_zeros() + self._log.buffers.compute
        self.cells = LlamaCells(self._model, self._context)
        self._batch = Batch(plan.batch, plan.slots)
        self._threads = plan.threads, plan.threads
        self._drawings: dict[int, Drawing] = {}  # by id, where argmax is not enough
        self.name = ENGINE
        self.context: int = llama.llama_n_ctx_seq(self._context)
        self.vocabulary = Vocabulary(self._model)
        source = llama.llama_model_chat_template(self._model, None)
        template = None if source is None else source.decode("utf-8", "replace")
        self.tool_markup = tool_markup(template)
        self._drawer = Drawer(self.vocabulary, self.tool_markup, self.context)
        self._prompts = PromptEncoder(
            self.vocabulary, self._compiled(template), self.tool_markup, self.context
        )
        give_back_pages(plan.path)  # before the warm-up, which brings back those in use
        self._warm_up(plan, progress)
        self.buffers = msgspec.structs.replace(self._log.buffers, untouched=untouched)
        self._log.forget()

    # ---- serving ------------------------------------------------------------------------------

    def encode(
        self, messages: Sequence[Message], tools: Toolbox = NO_TOOLS, prompt: str | None = None
    ) -> "array[int]":
        """Render and tokenise a conversation; see `Engine`."""
        return self._prompts.encode(messages, tools, prompt)

    def open(self, request: Generate) -> None:
        """Make a request's way of drawing; see `Engine`."""
        drawing = self._drawer.drawing(request)
        if drawing is not None:
            self._drawings[request.id] = drawing

    def close(self, sequence_id: int) -> None:
        """Free a request's way of drawing; see `Engine`."""
        drawing = self._drawings.pop(sequence_id, None)
        if drawing is not None:
            drawing.close()

    def decode(self, batch: Sequence[Run], interrupted: Interrupted | None) -> bool:
        """Decode a batch; see `Engine`.

        With streams (`kv_unified=False`) llama.cpp splits a batch of unequal runs into several
        graphs, and an abort in a later one leaves the earlier ones in memory: so every run is
        rewound to where it started, whatever was done of it.
        """
        self._batch.fill(batch)
        code = self._decode(interrupted)
        if code == 0:
            return True
        if code == _ABORTED:
            for run in batch:
                self.cells.trim(run.slot, run.start)
            self._log.forget()  # it calls an abort an error
            return False
        raise EdgeRouteError(f"llama.cpp cannot decode this: {self._log.reason()} (code {code})")

    def draw(self, runs: Sequence[Run], skip: int = 0) -> list[Token]:
        """Draw the tokens that follow; see `Engine`."""
        logits = self.logits(skip + len(runs))[skip:]
        likeliest = logits.argmax(axis=1).tolist()  # of all rows at once: 27 us for 8 of 49,152
        tokens = []
        for row, (run, token) in enumerate(zip(runs, likeliest, strict=True)):
            drawing = self._drawings.get(run.id)
            if drawing is None:
                tokens.append(self.vocabulary.token(token))
            else:
                tokens.append(drawing.draw(logits[row], token))
        return tokens

    def set_threads(self, few: int, many: int) -> None:
        """Set the numbers of threads; see `Engine`."""
        self._threads = few, many

    def logits(self, rows: int) -> Logits:
        """View the logits of the last batch, a row per draw and drafted token, in their order.

        Shape (rows, vocabulary); gone with the next batch.
        """
        pointer = llama.llama_get_logits(self._context)
        return np.ctypeslib.as_array(pointer, (rows, self.vocabulary.size))

    def _decode(self, interrupted: Interrupted | None) -> int:
        """Call `llama_decode`, asking `interrupted` after every node of the graph.

        That is some 500 calls, 1-3 % of a step that only generates; hence `None` for those, and
        where an abort could not be undone.
        """
        callback = llama.ggml_abort_callback()
        if interrupted is not None and self.cells.can_rewind and not self.cells.shifted:
            callback = llama.ggml_abort_callback(lambda _: interrupted())
        llama.llama_set_abort_callback(self._context, callback, None)
        self._abort_callback = callback  # llama.cpp keeps the pointer until the next one
        few, many = self._threads
        threads = few if self._batch.struct.n_tokens <= FEW_ROWS else many
        llama.llama_set_n_threads(self._context, threads, threads)
        code: int = llama.llama_decode(self._context, self._batch.struct)
        if code in {0, _ABORTED}:
            self.cells.settle()
        return code

    # ---- loading ------------------------------------------------------------------------------

    def _load(self, plan: LoadPlan, progress: Report) -> llama.llama_model_p:
        model = load_model(plan, progress, self._log)
        if llama.llama_model_has_encoder(model) or not llama.llama_model_has_decoder(model):
            raise LoadFailed("this model has an encoder; only models that generate can be served")
        return model

    def _create_context(self, plan: LoadPlan) -> llama.llama_context_p:
        params = llama.llama_context_default_params()
        params.n_ctx = plan.context * plan.slots
        params.n_batch = params.n_ubatch = plan.batch
        params.n_seq_max = plan.slots
        params.n_outputs_max = plan.outputs
        params.n_threads = params.n_threads_batch = plan.threads
        params.type_k = params.type_v = _KV_TYPES[plan.kv_type]
        params.kv_unified = False  # one stream per slot: 12-14 % faster at 8-16 sequences
        params.no_perf = True
        return create_context(self._model, params, self._log)

    def _compiled(self, template: str | None) -> ChatTemplate:
        try:
            return ChatTemplate(template, bos=self.vocabulary.bos, eos=self.vocabulary.eos)
        except InvalidRequest as error:
            raise LoadFailed(error.message) from error

    def _warm_up(self, plan: LoadPlan, progress: Report) -> None:
        """Decode once, which brings in all weights and shows that the model can be decoded.

        One token on the CPU: memory that only a full batch touches is told as `untouched`, since
        touching it would take half as long as loading. A full batch where a GPU computes, whose
        kernels are loaded when they are first used.
        """
        rows = min(plan.batch, self.context) if plan.gpu_layers else 1
        tokens = array("i", [self.vocabulary.any_token]) * rows
        self._batch.fill([Run(id=0, slot=0, row=0, start=0, tokens=tokens, draws=True)])
        if not plan.gpu_layers:
            self.set_threads(1, 1)  # beside busy programs two wait for each other, for up to 2 s
        progress(1.0)
        code = self._decode(None)
        self.set_threads(plan.threads, plan.threads)
        self.cells.clear()
        if code:
            raise LoadFailed(f"it cannot decode: {self._log.reason()} (code {code})")
