"""The prediction against what was measured, and what must hold of any prediction."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeroute.domain.card import ModelShape
from edgeroute.domain.hardware import Gpu
from edgeroute.domain.load import Budget, EchoBehaviour, Footprint, KvType, LoadPlan
from edgeroute.domain.units import GIB, MIB, Bytes, ModelId
from edgeroute.residency.footprint import book, learned, predict, predict_pools, too_much
from tests.unit.residency.drawn import (
    LLAMA_8B,
    MISTRAL_7B,
    ORIN_GPU,
    QWEN_BIG,
    QWEN_HALF,
    SMOLLM2,
    gpu,
    mib,
)

PLAN = LoadPlan(ModelId("model"), "model.gguf", context=4096, slots=4, threads=2)

# Pss of a worker after its warm-up, repacked originals given back, by `SpawnBackend` over
# llama-cpp-python 0.3.36: MiB anonymous, MiB of files. One run each, 2026-11-23.
MEASURED = [
    (SMOLLM2, 4, 1024, 512, "f16", 146.4, 109.6),
    (SMOLLM2, 4, 4096, 512, "f16", 416.7, 109.7),
    (SMOLLM2, 1, 1024, 512, "f16", 78.0, 109.7),
    (SMOLLM2, 16, 1024, 512, "f16", 419.3, 109.6),
    (SMOLLM2, 4, 4096, 512, "q8_0", 247.0, 109.6),
    (SMOLLM2, 4, 4096, 128, "f16", 406.2, 109.6),
    (SMOLLM2, 1, 8192, 512, "f16", 235.5, 109.6),
    (QWEN_HALF, 4, 1024, 512, "f16", 185.4, 386.8),
    (QWEN_HALF, 4, 4096, 512, "f16", 329.6, 386.8),
    (QWEN_HALF, 1, 1024, 512, "f16", 147.7, 386.7),
    (QWEN_HALF, 16, 1024, 512, "f16", 338.1, 386.8),
    (QWEN_HALF, 4, 4096, 512, "q8_0", 238.0, 386.8),
    (QWEN_HALF, 4, 4096, 128, "f16", 302.0, 386.7),
    (QWEN_BIG, 4, 1024, 512, "f16", 848.2, 494.5),
    (QWEN_BIG, 4, 4096, 512, "f16", 1184.3, 494.6),
    (QWEN_BIG, 2, 2048, 512, "q8_0", 792.5, 494.7),
]


@pytest.mark.parametrize(("shape", "slots", "context", "batch", "kv", "anon", "file"), MEASURED)
def test_it_is_near_what_was_measured_and_never_short_of_anonymous_bytes(  # noqa: PLR0913, PLR0917
    shape: ModelShape, slots: int, context: int, batch: int, kv: KvType, anon: float, file: float
) -> None:
    plan = replace(PLAN, slots=slots, context=context, batch=batch, kv_type=kv)
    predicted = predict(shape, plan)
    assert anon <= predicted.anon / MIB <= anon + 21
    assert predicted.gpu == ()
    assert predicted.ram / MIB == pytest.approx(anon + file, rel=0.15)


@pytest.mark.parametrize("shape", [SMOLLM2, QWEN_BIG])
def test_the_pools_make_up_the_ram(shape: ModelShape) -> None:
    pools, whole = predict_pools(shape, PLAN), predict(shape, PLAN)
    assert (pools.file, pools.anon) == (whole.file, whole.anon)
    assert pools.kv == 4 * 4096 * shape.kv_bytes_per_token


# ---- learning ---------------------------------------------------------------------------------

held = st.builds(Footprint, st.integers(0, 8 * GIB).map(Bytes), st.integers(0, 8 * GIB).map(Bytes))


@given(held, held, held)
def test_what_was_learned_is_never_below_the_newest_nor_half_more(
    known: Footprint, measured: Footprint, predicted: Footprint
) -> None:
    then = learned(known, measured, predicted)
    assert then.file >= measured.file
    assert then.anon >= measured.anon
    assert 2 * then.ram >= predicted.ram - 1
    if 2 * measured.file >= predicted.file and 2 * measured.ram >= predicted.ram:
        assert 2 * then.ram <= 3 * measured.ram


def test_one_odd_load_is_forgotten_in_time() -> None:
    usual, odd = Footprint(mib(100), mib(500)), Footprint(mib(100), mib(600))
    now = learned(usual, odd, usual)
    assert now == odd
    for _ in range(40):
        now = learned(now, usual, usual)
    assert now.anon - usual.anon < mib(1)


def test_what_cannot_be_read_or_is_shared_is_not_taken_for_nothing() -> None:
    predicted = Footprint(mib(100), mib(300))
    assert learned(None, Footprint(), predicted).ram == mib(200)
    shared = Footprint(mib(30), mib(300))  # three processes map the same file
    assert learned(None, shared, predicted) == Footprint(mib(50), mib(300))


def test_what_memory_ran_out_for_fits_no_more_until_it_has_worked() -> None:
    footprint, room = Footprint(mib(100), mib(300)), Budget(mib(1000))
    assert too_much(footprint, room).ram == room.ram + 1
    assert learned(too_much(footprint, room), footprint, footprint).ram <= 1.5 * footprint.ram
    on_gpus = Footprint(mib(100), mib(10), (mib(500), Bytes(0)))
    vram = Budget(mib(1000), (mib(600), mib(600)))
    assert too_much(on_gpus, vram) == replace(on_gpus, gpu=(Bytes(mib(600) + 1), Bytes(0)))


def test_an_echo_worker_is_a_process_and_what_it_was_told_to_hold() -> None:
    plan = replace(PLAN, echo=EchoBehaviour(anon=mib(70)))
    assert predict(QWEN_BIG, plan) == Footprint(anon=mib(100))


def test_with_all_layers_on_a_gpu_ram_keeps_the_embeddings_alone() -> None:
    plan = replace(PLAN, gpu_layers=33)
    on_cpu, on_gpu = predict(MISTRAL_7B, PLAN), predict(MISTRAL_7B, plan)
    assert on_gpu.file < MISTRAL_7B.file_bytes / 10
    assert on_gpu.ram < on_cpu.ram / 8
    assert on_gpu.anon < 0.5 * GIB  # neither repacked weights nor KV
    weights_and_kv = 32 * MISTRAL_7B.block_bytes + 2 * GIB
    assert weights_and_kv < on_gpu.gpu[0] < weights_and_kv + 0.8 * GIB


def test_layers_beyond_the_models_own_change_nothing() -> None:
    assert predict(LLAMA_8B, replace(PLAN, gpu_layers=33)) == predict(
        LLAMA_8B, replace(PLAN, gpu_layers=99)
    )


def test_the_first_layer_to_leave_the_cpu_is_the_output() -> None:
    one, two = (predict(LLAMA_8B, replace(PLAN, gpu_layers=n)) for n in (1, 2))
    kv_block = LLAMA_8B.kv_bytes_per_token * 4096 * 4 // 32
    assert two.gpu[0] - one.gpu[0] == LLAMA_8B.block_bytes + kv_block
    repacked = LLAMA_8B.repack_bytes // 32  # left the CPU too: given back or held
    still_mapped = LLAMA_8B.block_bytes - 0.98 * repacked
    assert one.file - two.file == pytest.approx(still_mapped, abs=2)
    assert one.anon - two.anon == kv_block + repacked


def test_the_main_gpu_gets_what_is_not_split() -> None:
    predicted = predict(LLAMA_8B, replace(PLAN, gpu_layers=33, main_gpu=1))
    assert predicted.gpu[0] == 0
    assert predicted.gpu[1] > 4 * GIB


def test_split_layers_follow_the_shares_and_the_output_is_last() -> None:
    shape = replace(LLAMA_8B, n_layers=9, n_vocab=0, kv_bytes_per_token=Bytes(0))
    plan = replace(PLAN, gpu_layers=10, tensor_split=(0.3, 0.7))
    first, second = predict(shape, plan).gpu
    # ten layers: three and seven, of which the last is the output
    assert second - first == 3 * shape.block_bytes + shape.other_bytes


def test_a_gpu_without_a_share_holds_nothing() -> None:
    predicted = predict(LLAMA_8B, replace(PLAN, gpu_layers=33, tensor_split=(0.5, 0.0, 0.5)))
    assert predicted.gpu[1] == 0
    assert min(predicted.gpu[0], predicted.gpu[2]) > 2 * GIB


@given(
    gpu_layers=st.integers(0, 33),
    shares=st.lists(st.integers(0, 5), min_size=1, max_size=3).filter(any),
)
def test_weights_and_kv_are_somewhere_once_wherever_layers_lie(
    gpu_layers: int, shares: list[int]
) -> None:
    shape = replace(
        LLAMA_8B,
        file_bytes=Bytes(32 * LLAMA_8B.block_bytes),
        other_bytes=Bytes(0),
        repack_bytes=Bytes(0),
    )
    plan = replace(PLAN, gpu_layers=gpu_layers, tensor_split=tuple(map(float, shares)))
    on_cpu, split = predict(shape, PLAN), predict(shape, plan)
    twice = split.ram + sum(split.gpu) - on_cpu.ram
    working = sum(1 for held in split.gpu if held)
    # Activations are on every device that works, and each GPU's driver has a state of its own.
    assert 0 <= twice <= (working and working + 1) * GIB


def test_bytes_of_a_unified_gpu_are_anonymous_ram() -> None:
    footprint = Footprint(file=mib(10), anon=mib(20), gpu=(mib(300),))
    assert book(footprint, [ORIN_GPU]) == Footprint(mib(10), mib(320), (Bytes(0),))


def test_each_gpu_of_the_machine_has_its_entry_and_no_other() -> None:
    machine = [gpu(0, 8 * GIB), gpu(1, 8 * GIB)]
    assert book(Footprint(gpu=(mib(5),)), machine).gpu == (mib(5), 0)
    assert book(Footprint(gpu=(mib(5), mib(6), mib(7))), machine).gpu == (mib(5), mib(6))
    none: list[Gpu] = []
    assert book(Footprint(anon=mib(1), gpu=(mib(5),)), none) == Footprint(anon=mib(1))


@given(
    file=st.integers(0, GIB),
    anon=st.integers(0, GIB),
    held=st.lists(st.integers(0, GIB), max_size=3),
    unified=st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_booking_loses_nothing_and_booking_twice_is_booking_once(
    file: int, anon: int, held: list[int], unified: list[bool]
) -> None:
    footprint = Footprint(Bytes(file), Bytes(anon), tuple(map(Bytes, held)))
    machine = [ORIN_GPU if shared else gpu(i, GIB) for i, shared in enumerate(unified)]
    booked = book(footprint, machine)
    assert booked.ram + sum(booked.gpu) == footprint.ram + sum(footprint.gpu)
    assert book(booked, machine) == booked
