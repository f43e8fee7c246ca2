"""What llama.cpp says while it works: kept in memory, never printed.

Owns the log callback: the last warnings and errors become failure messages, and lines about
buffers tell the bytes of each, for which the C API has no function. No line holds a prompt.
"""

import re
from collections import defaultdict, deque

import llama_cpp.llama_cpp as llama

from edgeroute.domain.errors import LoadFailed, OutOfMemory
from edgeroute.wire.frames import Buffers

_WARNING, _ERROR = 3, 4
"""Of ggml's `ggml_log_level`."""
_BUFFER = re.compile(r"(\w+?)(\d*) +(model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")
_GPUS = ("CUDA", "ROCm", "MUSA", "SYCL", "Vulkan", "MTL")
_MAPPED = "_Mapped"
_POOLS = {"model": "repacked", "KV": "kv", "RS": "kv"}
"""Of buffers in RAM; weights that are not mapped are copies of some order. Others compute."""
_NO_MEMORY = re.compile(
    r"(?:failed|unable) to allocate|insufficient memory|out of memory|std::bad_alloc"
)

_kept: list[object] = []
"""Callbacks that llama.cpp may call for as long as the process lives."""


class LlamaLog:
    """What was said so far, as far as it matters."""

    def __init__(self) -> None:
        self._warnings: deque[str] = deque(maxlen=4)
        self._errors: deque[str] = deque(maxlen=4)
        self._gpu_mib: defaultdict[int, float] = defaultdict(float)
        self._ram_mib: defaultdict[str, float] = defaultdict(float)

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
        elif match := _BUFFER.search(line):
            self._note_buffer(match[1], match[2], match[3], float(match[4]))

    def _note_buffer(self, device: str, number: str, kind: str, mib: float) -> None:
        if number and device in _GPUS:
            self._gpu_mib[int(number)] += mib
        elif not device.endswith(_MAPPED):
            self._ram_mib[_POOLS.get(kind, "compute")] += mib

    def forget(self) -> None:
        """Drop what was said about things that are over."""
        self._warnings.clear()
        self._errors.clear()

    def reason(self) -> str:
        """Tell why the last call failed, in llama.cpp's words."""
        lines = self._errors or self._warnings or ["llama.cpp gave no reason"]
        return "; ".join(lines)[:500]

    def failure(self, during: str = "") -> LoadFailed:
        """The error of a load that failed."""
        reason = self.reason()
        kind = OutOfMemory if _NO_MEMORY.search(reason) else LoadFailed
        return kind(f"{during}{reason}")

    @property
    def buffers(self) -> Buffers:
        """Bytes of all buffers so far; mapped weights are not among them."""
        count = max(self._gpu_mib, default=-1) + 1
        return Buffers(
            gpu=tuple(int(self._gpu_mib[gpu] * 2**20) for gpu in range(count)),
            **{pool: int(mib * 2**20) for pool, mib in self._ram_mib.items()},
        )
