"""Bringing a GGUF file into llama.cpp: the library, the model, its context.

Owns what is the same whatever a loaded model is for.
"""

import ctypes

import llama_cpp
import llama_cpp.llama_cpp as llama

from edgeroute.domain.errors import LoadFailed
from edgeroute.domain.load import LoadPlan
from edgeroute.worker.llama_log import LlamaLog
from edgeroute.worker.ports import Report

ENGINE = f"llama-cpp-python {llama_cpp.__version__}"
"""Engine and version; what a measured footprint is valid for."""


def start_llama() -> LlamaLog:
    """Make llama.cpp ready in this process; what it says from now on is kept."""
    log = LlamaLog()
    log.listen()
    llama.llama_backend_init()
    return log


def load_model(plan: LoadPlan, progress: Report, log: LlamaLog) -> llama.llama_model_p:
    """Load the model of a plan.

    Raises:
        LoadFailed: In llama.cpp's words.
    """
    if plan.gpu_layers and not llama.llama_supports_gpu_offload():
        raise LoadFailed(
            f"the plan puts {plan.gpu_layers} layers on a GPU; this build of llama.cpp has none"
        )

    def report(fraction: float, _data: object) -> bool:
        progress(fraction)
        return True

    params = llama.llama_model_default_params()
    params.load_mode = llama.LLAMA_LOAD_MODE_MMAP
    params.n_gpu_layers = plan.gpu_layers
    params.main_gpu = plan.main_gpu
    callback = llama.llama_progress_callback(report)
    params.progress_callback = callback
    no_devices = (ctypes.c_void_p * 1)(None)
    split = (ctypes.c_float * llama.llama_max_devices())(*plan.tensor_split)
    if not plan.gpu_layers:
        # Without layers a GPU would still be woken for the products of large batches.
        params.devices = ctypes.cast(no_devices, ctypes.c_void_p)
    elif plan.tensor_split:
        params.tensor_split = split
    else:
        params.split_mode = llama.LLAMA_SPLIT_MODE_NONE
    model = llama.llama_model_load_from_file(plan.path.encode(), params)
    if not model:
        raise log.failure()
    return model


def create_context(
    model: llama.llama_model_p, params: llama.llama_context_params, log: LlamaLog
) -> llama.llama_context_p:
    """Make a context of a model.

    Raises:
        LoadFailed: In llama.cpp's words.
    """
    context = llama.llama_init_from_model(model, params)
    if not context:
        raise log.failure("its context cannot be made: ")
    return context
