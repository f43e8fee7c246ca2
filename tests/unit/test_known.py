"""Well-known models: recognised by name, architecture and size; scored as published."""

import re
from pathlib import Path

import pytest

from edgeroute.catalog.folders import shipped
from edgeroute.catalog.known import KNOWN, KnownModels, _File
from edgeroute.domain.card import ModelShape
from edgeroute.domain.errors import InvalidConfig
from edgeroute.domain.features import Task
from edgeroute.domain.units import Bytes
from edgeroute.wire.toml import TomlFile


@pytest.fixture(scope="module")
def known() -> KnownModels:
    return KnownModels.shipped()


NOTHING = Bytes(0)


def shape(name: str, architecture: str, parameters: float) -> ModelShape:
    return ModelShape(
        architecture=architecture,
        name=name,
        parameters=int(parameters),
        file_bytes=NOTHING,
        n_layers=1,
        n_embd=1,
        n_vocab=1,
        context_train=1,
        block_bytes=NOTHING,
        other_bytes=NOTHING,
        kv_bytes_per_token=NOTHING,
        repack_bytes=NOTHING,
        quantisation="Q4_0",
        chat_template=True,
        embeds=False,
    )


def test_every_known_model_is_recognised_by_each_of_its_names(known: KnownModels) -> None:
    entries = TomlFile(shipped("models") / KNOWN).convert(_File).model
    assert len(entries) >= 40
    for entry in entries:
        for name in entry.names:
            found = known.find(shape(name, entry.architecture, entry.billions * 1e9), "x.gguf")
            assert (found.family, found.scores_source) == (entry.family, entry.source)
            assert found.scores
            assert all(0 < score < 1 for score in found.scores.values())
            assert re.search(r"20\d\d", found.scores_source), "a source has a date"


@pytest.mark.parametrize(
    ("name", "file", "architecture", "parameters", "family"),
    [
        ("Qwen2.5 Coder 0.5B Instruct AWQ", "x.gguf", "qwen2", 630e6, "qwen2.5-coder"),
        ("Qwen2.5 7B Instruct", "x.gguf", "qwen2", 7.6e9, "qwen2.5"),
        ("Meta Llama 3.1 8B Instruct", "x.gguf", "llama", 8.03e9, "llama-3.1"),
        ("", "meta-llama_Llama-3.2-1B-Instruct-Q8_0.gguf", "llama", 1.24e9, "llama-3.2"),
        ("", "google_gemma-3-4b-it-Q4_K_M.gguf", "gemma3", 3.88e9, "gemma-3"),
        ("DeepSeek R1 Distill Qwen 7B", "x.gguf", "qwen2", 7.6e9, "deepseek-r1-distill"),
        ("Phi 4", "phi-4-Q4_K_M.gguf", "phi3", 14.7e9, "phi-4"),
        ("Qwen2.5 7B Instruct", "x.gguf", "llama", 7.6e9, "unknown"),  # another architecture
        ("Qwen2.5 7B Instruct", "x.gguf", "qwen2", 3.1e9, "unknown"),  # another size
        ("Dolphin Llama 3.1 8B Instruct", "x.gguf", "llama", 8.03e9, "unknown"),  # a fine-tune
        ("Qwen3 4Bit", "x.gguf", "qwen3", 4.0e9, "unknown"),  # only part of a word
        ("", "model.gguf", "llama", 8.03e9, "unknown"),
    ],
)
def test_a_name_is_recognised_whole_and_with_architecture_and_size(
    known: KnownModels, name: str, file: str, architecture: str, parameters: float, family: str
) -> None:
    assert known.find(shape(name, architecture, parameters), file).family == family


def test_the_longest_name_wins(known: KnownModels) -> None:
    mini = known.find(shape("Phi 4 mini instruct", "phi3", 3.84e9), "x.gguf")
    assert mini.scores_source.startswith("Phi-4-mini")


def test_scores_are_published_results_without_the_share_of_guesses(tmp_path: Path) -> None:
    path = tmp_path / "known.toml"
    entry = """
vendors = ["acme"]
tasks = { math = ["gsm8k", "math"], knowledge_qa = ["mmlu"], coding = ["humaneval"] }
guessing = { mmlu = 0.25 }
[[model]]
names = ["one-1b"]
architecture = "llama"
billions = 1.0
family = "one"
licence = "MIT"
source = "its card, 2026"
benchmarks = { math = 40.0, mmlu = 55.0 }
"""
    path.write_text(entry)
    found = KnownModels(path).find(shape("Acme One 1B chat", "llama", 1e9), "x.gguf")
    assert found.scores == {Task.MATH: 0.4, Task.KNOWLEDGE_QA: 0.4}
    path.write_text(entry.replace("mmlu = 55.0", "mmlu = 20.0"))  # worse than guessing
    found = KnownModels(path).find(shape("one-1b", "llama", 1e9), "x.gguf")
    assert found.scores[Task.KNOWLEDGE_QA] == 0.01
    path.write_text(entry.replace("mmlu = 55.0", "mmul = 55.0"))
    with pytest.raises(InvalidConfig, match=r"line 12: .*benchmarks\.mmul: no task uses it"):
        KnownModels(path)


@pytest.mark.parametrize(
    ("name", "billions", "math"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", 7.61, 0.916),
        ("qwen2.5-coder-1.5b-instruct-q4_k_m", 1.54, 0.658),
        ("gpt-4o-mini-2024-07-18", 70, 0.702),
        ("openai/gpt-4o", 70, 0.759),
        ("gpt-4.1-nano", 70, 0.623),
        ("claude-3-5-sonnet-20241022", 70, 0.711),
        ("llama3.2:3b", 3, None),
        ("mistral-7b-instruct-v0.3", 7, None),
        ("phi4:14b-q4_K_M", 14, None),
        ("my-own-model", 70, None),
        ("o1", 70, 0.964),
        ("o100", 70, None),
    ],
)
def test_a_model_that_a_server_names_is_known_by_its_name(
    known: KnownModels, name: str, billions: float, math: float | None
) -> None:
    prior = known.named(name, afar=True)
    assert prior.parameters == pytest.approx(billions * 1e9)
    assert prior.scores.get(Task.MATH) == math


def test_a_name_that_tells_nothing_means_less_near_than_afar(known: KnownModels) -> None:
    near, far = (known.named("my-own-model", afar=afar) for afar in (False, True))
    assert near.parameters < far.parameters


def test_every_cloud_has_a_dated_source_and_a_context(known: KnownModels) -> None:
    for cloud in TomlFile(shipped("models") / KNOWN).convert(_File).cloud:
        assert re.search(r"20\d\d", cloud.source)
        for name in cloud.names:
            prior = known.named(name, afar=True)
            assert prior.context == cloud.context
            assert all(0 < score < 1 for score in prior.scores.values())
