"""What is read out of llama.cpp's log lines, as 0.3.36 writes them."""

import pytest

from edgeroute.domain.errors import LoadFailed, OutOfMemory
from edgeroute.worker.llama_log import LlamaLog

INFO, WARNING, ERROR = 2, 3, 4
CPU_LINES = (
    "load_tensors:   CPU_Mapped model buffer size =    92.10 MiB",
    "load_tensors:   CPU_REPACK model buffer size =    28.05 MiB",
    "load_tensors:    CUDA_Host model buffer size =    70.00 MiB",
    "llama_kv_cache:        CPU KV buffer size =   360.00 MiB",
)
GPU_LINES = (
    "load_tensors:        CUDA0 model buffer size =  1024.00 MiB",
    "load_tensors:        CUDA1 model buffer size =   512.50 MiB",
    "llama_kv_cache:      CUDA0 KV buffer size =   360.00 MiB",
    "sched_reserve:      CUDA0 compute buffer size =    16.00 MiB",
)


@pytest.fixture(scope="module")
def log() -> LlamaLog:
    return LlamaLog()


def test_bytes_are_counted_per_gpu(log: LlamaLog) -> None:
    for line in CPU_LINES:
        log.note(INFO, line)
    assert not log.buffers.gpu
    for line in GPU_LINES:
        log.note(INFO, line)
    assert log.buffers.gpu == (1400 << 20, (1025 << 20) // 2)


def test_bytes_in_ram_are_counted_by_what_they_are_for() -> None:
    log = LlamaLog()
    lines = (
        *("llama_context:        CPU  output buffer size =     0.75 MiB", *CPU_LINES),
        *("sched_reserve:        CPU compute buffer size =    15.50 MiB", *GPU_LINES),
    )
    for line in lines:
        log.note(INFO, line)
    held = log.buffers
    assert (held.kv, held.compute) == (360 << 20, (65 << 20) // 4)
    assert held.repacked == int(98.05 * 2**20)  # CPU_REPACK and CUDA_Host, not what is mapped


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ggml_aligned_malloc: insufficient memory (attempted to allocate 9.00 MB)", OutOfMemory),
        ("alloc_tensor_range: failed to allocate CPU buffer of size 42", OutOfMemory),
        ("alloc_buffer: device 0: cudaMalloc failed: out of memory", OutOfMemory),
        ("llama_model_load: error loading model: missing tensor", LoadFailed),
    ],
)  # fmt: skip
def test_no_memory_is_told_from_other_failures(line: str, expected: type[LoadFailed]) -> None:
    log = LlamaLog()
    log.note(ERROR, line)
    failure = log.failure("its context cannot be made: ")
    assert type(failure) is expected
    assert failure.message == f"its context cannot be made: {line}"


def test_the_reason_of_a_failure_is_the_errors_or_else_the_warnings(log: LlamaLog) -> None:
    log.forget()
    assert "no reason" in log.reason()
    log.note(WARNING, "a warning")
    assert log.reason() == "a warning"
    log.note(ERROR, "tensor missing")
    log.note(ERROR, "failed to load")
    assert log.reason() == "tensor missing; failed to load"
    log.forget()
    for number in range(1000):
        log.note(ERROR, f"{number} " + "x" * 1000)
    assert len(log.reason()) <= 500
