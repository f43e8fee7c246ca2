"""The cells of llama.cpp's memory: keys and values of every decoded token, one stream per slot.

Owns the one trap of that memory: a copy between streams is carried out by the next decode, so until
then neither end of it can be read or written directly.
"""

import ctypes

import llama_cpp.llama_cpp as llama
import numpy as np

_SHORT = 0.5
"""Share of a slot up to which its state is copied instead of its stream, which llama.cpp copies
whole: 5 to 12 ms for 1,024 tokens (SmolLM2), and every page of it is memory from then on. A state
of 32 tokens takes 0.6 ms, one of 128 tokens 2.5 and one of 400 tokens 11."""


class LlamaCells:
    """The memory of one context; a `ports.Cells`.

    Attributes:
        can_rewind: An aborted decode can be undone. A recurrent state has no way back.
        shifted: Cells wait to be moved, by the next decode, which must not be aborted then.
    """

    def __init__(self, model: llama.llama_model_p, context: llama.llama_context_p) -> None:
        self._context = context
        self._memory = llama.llama_get_memory(context)
        self.can_rewind = not (
            llama.llama_model_is_recurrent(model) or llama.llama_model_is_hybrid(model)
        )
        # A sliding window may have dropped the cells that an earlier position would look at.
        whole = self.can_rewind and llama.llama_model_n_swa(model) == 0
        self.can_reuse: bool = whole
        self.can_shift: bool = whole and llama.llama_memory_can_shift(self._memory)
        self.shifted = False
        self._copying: set[int] = set()  # both ends of every copy that waits
        self._short = int(llama.llama_n_ctx_seq(context) * _SHORT)

    def trim(self, slot: int, length: int) -> None:
        """Cut a slot back; see `ports.Cells`."""
        llama.llama_memory_seq_rm(self._memory, slot, length or -1, -1)

    def copy(self, source: int, slot: int, length: int) -> None:
        """Share a beginning, by its state where the source is short; see `ports.Cells`."""
        held = llama.llama_memory_seq_pos_max(self._memory, source) + 1
        if held > self._short or not self._copy_state(source, slot):
            llama.llama_memory_seq_cp(self._memory, source, slot, -1, -1)
            self._copying |= {source, slot}
        llama.llama_memory_seq_rm(self._memory, slot, length, -1)

    def _copy_state(self, source: int, slot: int) -> bool:
        state = memoryview(np.empty(self.state_size(source), np.uint8).data)
        return len(state) > 0 and self.save(source, state) and self.restore(slot, state)

    def shift(self, slot: int, start: int, end: int) -> None:
        """Drop cells in the middle; see `ports.Cells`."""
        llama.llama_memory_seq_rm(self._memory, slot, start, end)
        llama.llama_memory_seq_add(self._memory, slot, end, -1, start - end)
        self.shifted = True

    def settle(self) -> None:
        """Note that a decode has begun, which does what waited."""
        self._copying.clear()
        self.shifted = False

    def clear(self) -> None:
        """Empty all slots."""
        llama.llama_memory_clear(self._memory, False)  # noqa: FBT003 - keeps the bytes

    def state_size(self, slot: int) -> int:
        """Bytes of a slot's state; 21 KiB per token at f16 for SmolLM2."""
        if slot in self._copying:
            return 0
        return int(llama.llama_state_seq_get_size(self._context, slot))

    def save(self, slot: int, state: memoryview) -> bool:
        """Write a slot's state; see `ports.Cells`."""
        pointer = _pointer(state)
        written = llama.llama_state_seq_get_data(self._context, pointer, len(state), slot)
        return bool(written == len(state))

    def restore(self, slot: int, state: memoryview) -> bool:
        """Read a slot's state; see `ports.Cells`."""
        if slot not in self._copying:
            pointer = _pointer(state)
            if llama.llama_state_seq_set_data(self._context, pointer, len(state), slot):
                return True
        self.trim(slot, 0)
        return False


def _pointer(state: memoryview) -> "ctypes._Pointer[ctypes.c_uint8]":
    # By numpy, as ctypes takes no address of a read-only buffer.
    address = np.frombuffer(state, np.uint8).ctypes.data
    return ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8))
