"""What llama.cpp says while it works: kept in memory, never printed.

Owns the log callback: the last warnings and errors become failure messages, and lines about
buffers tell the bytes on each GPU, for which the C API has no function. No line holds a prompt.
"""

import re
from collections import defaultdict, deque

import llama_cpp.llama_cpp as llama

_WARNING, _ERROR = 3, 4
"""Of ggml's `ggml_log_level`."""
_GPU_BUFFER = re.compile(r"(?:CUDA|ROCm|MUSA|SYCL|Vulkan|MTL)(\d+) .*buffer size = +([\d.]+) MiB")


_kept: list[object] = []
"""Callbacks that llama.cpp may call for as long as the process lives."""


class LlamaLog:
    """What was said so far, as far as it matters."""

    def __init__(self) -> None:
        self._warnings: deque[str] = deque(maxlen=4)
        self._errors: deque[str] = deque(maxlen=4)
        self._gpu_mib: defaultdict[int, float] = defaultdict(float)

    def listen(self) -> None:
        """Take over the log for the rest of the process."""
        callback = llama.llama_log_callback(self._take)
        _kept.append(callback)
        llama.llama_log_set(callback, None)

    def _take(self, level: int, text: bytes, _data: object) -> None:
        self.note(level, text.decode("utf-8", "replace").strip())

    def note(self, level: int, line: str) -> None:
        """Take one line of the log."""
        if level == _ERROR:
            self._errors.append(line)
        elif level == _WARNING:
            self._warnings.append(line)
        elif match := _GPU_BUFFER.search(line):
            self._gpu_mib[int(match[1])] += float(match[2])

    def forget(self) -> None:
        """Drop what was said about things that are over."""
        self._warnings.clear()
        self._errors.clear()

    def reason(self) -> str:
        """Tell why the last call failed, in llama.cpp's words."""
        lines = self._errors or self._warnings or ["llama.cpp gave no reason"]
        return "; ".join(lines)[:500]

    @property
    def gpu_bytes(self) -> tuple[int, ...]:
        """Bytes of weights, KV and compute buffers per GPU; empty where none is used."""
        count = max(self._gpu_mib, default=-1) + 1
        return tuple(int(self._gpu_mib[gpu] * 2**20) for gpu in range(count))
