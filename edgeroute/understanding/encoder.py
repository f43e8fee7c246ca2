"""What a text asks for, by the model in `models/understanding`: static, a tenth of a millisecond.

Owns the files of the model and the one session that runs it. It sees text and keeps none.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgeroute.domain.errors import InvalidModelFile
from edgeroute.domain.features import Subject, Task, Topic
from edgeroute.understanding.inputs import POOLS, prepare
from edgeroute.understanding.signs import COUNT
from edgeroute.understanding.tokenizer import Tokenizer

GRAPH: Final = "encoder.onnx"
OUTPUT: Final = "output"
FEATURES: Final = "features"
"""The tensor that the hidden layer takes; another head may be put on it."""
TABLES: Final = "tables.bin"
"""Rows that the graph gathers; mapped, so that only pages of rows in use take memory."""
VOCABULARY: Final = "vocab.txt"
MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
TOUCHED: Final = 0.4
"""Probability from which a delicate topic counts as touched."""
LONGEST_ANSWER: Final = 4000
_WITH_SUBJECT = (Task.KNOWLEDGE_QA, Task.REASONING)
DIMENSIONS: Final = 256
"""Width of a pool of token vectors."""
_WHOLE = slice((POOLS - 2) * DIMENSIONS, (POOLS - 1) * DIMENSIONS)
"""The pool that weighs all of a message alike."""
_SIGNS_WEIGH = 0.5
_OUTPUTS: Final = [OUTPUT, FEATURES]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model makes of a text.

    Attributes:
        task: The most probable task.
        probabilities: Of every task, `unknown` among them, in their order; they sum to 1.
        subject: Most probable subject, or `None` where the most probable task has none.
        subject_probability: Its probability, 0..1.
        output_tokens: Length of the answer that half of such answers exceed.
        output_tokens_p90: Length that one such answer in ten exceeds.
        needs_tools: P(an answer needs an action or a look-up), 0..1.
        needs_fresh: P(an answer needs facts of today), 0..1.
        difficulty: 0 easy .. 1 hard; a weak prior.
        topics: Delicate topics that the text touches.
        vector: `WIDTH` figures that nearby texts share. A text can be guessed from them: they are
            never written anywhere.
    """

    task: Task
    probabilities: tuple[float, ...]
    subject: Subject | None
    subject_probability: float
    output_tokens: int
    output_tokens_p90: int
    needs_tools: float
    needs_fresh: float
    difficulty: float
    topics: tuple[Topic, ...]
    vector: NDArray[np.float64] = field(compare=False)

    @property
    def task_probability(self) -> float:
        """Probability of the most probable task, 0..1."""
        return max(self.probabilities)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`manifest.json`: what the files are and what the columns of the output mean.

    Attributes:
        files: SHA-256 by name.
        output: Columns in order: a probability per task, per subject and per topic, of needing
            tools and fresh facts, the difficulty, ln(tokens) of the answer at p50 and p90.
        prompts: How many authored prompts it was taught on.
    """

    format: int
    files: dict[str, str]
    tasks: tuple[Task, ...]
    subjects: tuple[Subject, ...]
    topics: tuple[Topic, ...]
    prompts: int


class Encoder:
    """The model, loaded once."""

    def __init__(self, graph: Path, vocabulary: Sequence[str], manifest: Manifest) -> None:
        """Make the session; `load` is how one gets here."""
        self._tokenizer = Tokenizer(vocabulary)
        self._tasks, self._subjects = manifest.tasks, manifest.subjects
        self._topics = manifest.topics
        self._session = _session(graph)
        self.read("warm up")

    @classmethod
    def load(cls, folder: Path) -> "Encoder":
        """Load the model of `folder` after checking its files against `manifest.json`.

        Raises:
            InvalidModelFile: A file is missing or not the one that the manifest names.
        """
        manifest = _manifest(folder)
        for name in (GRAPH, TABLES, VOCABULARY):
            _verify(folder / name, manifest.files.get(name))
        vocabulary = (folder / VOCABULARY).read_text(encoding="utf-8").split("\n")[:-1]
        return cls(folder / GRAPH, vocabulary, manifest)

    def read(self, asked: str, context: str = "") -> Reading:
        """Read a message in the light of what was said before it. Never raises.

        Args:
            asked: The message; of a long one its beginning and its end are read.
            context: The user's message before it, or the system prompt.
        """
        inputs = prepare(self._tokenizer, asked, context)
        output, features = self._session.run(_OUTPUTS, inputs.feed)
        return self._reading(
            output[0].tolist(), self._vector(output[0], features[0], inputs.signs[0])
        )

    @property
    def width(self) -> int:
        """Length of `Reading.vector`."""
        return DIMENSIONS + len(self._tasks) + len(self._subjects) + COUNT

    def _vector(self, output: Floats, features: Floats, signs: Floats) -> NDArray[np.float64]:
        """What all of the text is like, what kind of text it is, and how it looks.

        Square roots of probabilities, since their product then measures how alike two
        distributions are (Bhattacharyya).
        """
        kinds = np.sqrt(output[: len(self._tasks) + len(self._subjects)])
        whole = features[_WHOLE]
        return np.concatenate([whole, kinds, _SIGNS_WEIGH * signs]).astype(np.float64)

    def _reading(self, values: list[float], vector: NDArray[np.float64]) -> Reading:
        at = len(self._tasks)
        tasks = values[:at]
        subjects = values[at : at + len(self._subjects)]
        at += len(subjects)
        topics = values[at : at + len(self._topics)]
        tools, fresh, difficulty, p50, p90 = values[at + len(topics) :]
        task = self._tasks[tasks.index(max(tasks))]
        subject = max(subjects) if task in _WITH_SUBJECT else None
        return Reading(
            task,
            tuple(tasks),
            None if subject is None else self._subjects[subjects.index(subject)],
            subject or 0.0,
            _tokens(p50),
            _tokens(max(p50, p90)),
            tools,
            fresh,
            difficulty,
            tuple(topic for topic, p in zip(self._topics, topics, strict=True) if p >= TOUCHED),
            vector,
        )


def _tokens(log: float) -> int:
    return min(LONGEST_ANSWER, max(1, round(math.exp(min(log, 9.0)))))


def _session(graph: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # p99 of 60 us; with the default's pool it was 1.1 ms
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def _manifest(folder: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise _broken(f"{folder / MANIFEST} cannot be used: {error}") from error
    if manifest.format != FORMAT:
        raise _broken(f"{folder / MANIFEST} has format {manifest.format}; this reads {FORMAT}")
    return manifest


def _verify(file: Path, sha256: str | None) -> None:
    try:
        with file.open("rb") as data:
            found = hashlib.file_digest(data, "sha256").hexdigest()
    except OSError as error:
        raise _broken(f"{file} cannot be read: {error}") from error
    if found != sha256:
        raise _broken(f"{file} has sha256 {found}, not the one in {MANIFEST}")


def _broken(message: str) -> InvalidModelFile:
    return InvalidModelFile(message, hint="Install EdgeRoute again: its own files were changed.")
