"""Does the llama.cpp of this machine do what EdgeRoute takes for granted?

A shifted struct field, a build for another processor or a damaged file would show up much later
as gibberish or a crash: this loads a model the way that serving does, decodes a fixed prompt, and
compares. Run after installing, under three seconds for the starter model.
"""

import ctypes
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as llama
import numpy as np

from edgeroute.domain.errors import EdgeRouteError, LoadFailed
from edgeroute.domain.load import LoadPlan
from edgeroute.domain.units import ModelId
from edgeroute.worker.engine import LlamaEngine
from edgeroute.worker.sequence import Run

VERSION = "0.3.36"
STRUCT_SIZES = {
    "llama_model_params": 80,
    "llama_context_params": 160,
    "llama_sampler_chain_params": 1,
    "llama_batch": 56,
}
"""Bytes of the structs that are passed by value, as llama-cpp-python 0.3.36 declares them."""
DEFAULTS: dict[str, dict[str, int | float]] = {
    "model": {"n_gpu_layers": -1, "split_mode": 1, "use_extra_bufts": True, "load_mtp": False},
    "context": {"n_ubatch": 512, "yarn_beta_slow": -1.0, "type_v": 1, "swa_full": True},
}
"""Some of the defaults that libllama itself fills in, spread over each struct: where the library
was built from other sources than the bindings, they come out of the wrong fields."""
STARTER_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
STARTER_BYTES = 98_362_432
PROMPT = "The capital of France is"
PARIS = 7042
"""What the starter model (SmolLM2-135M-Instruct Q4_1) says next, by a lead of 2.5 logits."""
REBUILD = f"pip install --force-reinstall --no-cache-dir llama-cpp-python=={VERSION}"


def run(path: str) -> int:
    """Test with a model file, say in one line how it went, return the exit status."""
    started = time.perf_counter()
    try:
        _check_bindings()
        said = _check_decode(path)
    except LoadFailed as error:
        sys.stdout.write(f"self-test failed: {error}; fetch {path} anew, or name another file\n")
        return 1
    except EdgeRouteError as error:
        sys.stdout.write(f"self-test failed: {error}; build llama.cpp anew: {REBUILD}\n")
        return 1
    seconds = time.perf_counter() - started
    sys.stdout.write(f"self-test passed: {PROMPT!r} -> {said!r}, {seconds:.1f} s\n")
    return 0


def _check_bindings() -> None:
    _expect("llama-cpp-python", llama_cpp.__version__, VERSION)
    for name, size in STRUCT_SIZES.items():
        _expect(f"bytes of {name}", ctypes.sizeof(getattr(llama, name)), size)
    params = {
        "model": llama.llama_model_default_params(),
        "context": llama.llama_context_default_params(),
    }
    for kind, defaults in DEFAULTS.items():
        for name, value in defaults.items():
            _expect(f"default {name}", getattr(params[kind], name), value)


def _check_decode(path: str) -> str:
    """Load and decode; returns what the model says next."""
    threads = len(os.sched_getaffinity(0))
    plan = LoadPlan(ModelId("self-test"), path, context=256, slots=1, threads=threads, batch=64)
    engine = LlamaEngine(plan, progress=lambda _: None)
    tokens = engine.vocabulary.tokenise(PROMPT)
    prompt = Run(id=0, slot=0, row=0, start=0, tokens=tokens, draws=True)
    engine.decode([prompt], None)
    (logits,) = engine.logits(1)
    if not np.isfinite(logits).all():
        raise EdgeRouteError("the logits are not finite numbers")
    token = int(logits.argmax())
    if _is_starter(Path(path)):
        _expect(f"next token of {PROMPT!r}", token, PARIS)
    return engine.vocabulary.token(token).piece.decode("utf-8", "replace")


def _is_starter(path: Path) -> bool:
    if path.stat().st_size != STARTER_BYTES:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == STARTER_SHA256


def _expect(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise EdgeRouteError(f"{what} is {found!r}, not {wanted!r}")
