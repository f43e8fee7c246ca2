"""What is read out of llama.cpp's log lines, as 0.3.36 writes them."""

import pytest

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
    assert not log.gpu_bytes
    for line in GPU_LINES:
        log.note(INFO, line)
    assert log.gpu_bytes == (1400 << 20, (1025 << 20) // 2)


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
