"""The trained arrays as one ONNX graph: ids, weights of positions, signs -> one row.

Owns the graph. Gathers read int8 rows, so that nothing is unpacked but what a text uses.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeroute.understanding.encoder import GRAPH, TABLES
from edgeroute.understanding.inputs import POOLS
from edgeroute.understanding.signs import COUNT
from train import heads
from train.arrays import BUCKETS, HASHED_POOLS, ONE, PAIR
from train.weights import Array

OPSET: Final = 18
IR_VERSION: Final = 9
OUTPUT: Final = "output"
FEATURES: Final = "features"
"""The tensor that the hidden layer takes; another head may be put on it."""
_TABLE_BYTES = 2_000_000
"""A constant of so many bytes is a table."""
_INPUTS = (
    ("ids", TensorProto.INT32, ("tokens",)),
    ("weights", TensorProto.FLOAT, (POOLS, "tokens")),
    ("signs", TensorProto.FLOAT, (COUNT,)),
)


@dataclass(frozen=True)
class Rounded:
    """A table of int8 rows.

    Attributes:
        rows: -127..127, [rows, width].
        scales: What a row is multiplied by, [rows].
    """

    rows: NDArray[np.int8]
    scales: Array

    @property
    def values(self) -> Array:
        """The table that is meant."""
        return self.rows * self.scales[:, None]


class Graph:
    """Nodes and constants as they are added; every node has one output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: NDArray[np.generic]) -> str:
        """A constant; its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def whole(self, *values: int) -> str:
        """A constant vector of int64."""
        return self.constant(np.array(values, np.int64))

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: object) -> str:
        """A node; the name of its output, given or made."""
        output = name or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def pooled(self, table: tuple[str, str], at: str, weights: str) -> str:
        """Weighted sums of rows: table (rows, scales), indices [n], weights [pools, n]."""
        rows, scales = (self.add("Gather", part, at) for part in table)
        weights = self.add("Mul", weights, scales)
        return self.add("MatMul", weights, self.add("Cast", rows, to=TensorProto.FLOAT))


def save(model: onnx.ModelProto, folder: Path) -> None:
    """Write the graph, and apart from it the tables, which its session maps instead of copying."""
    with contextlib.chdir(folder):  # where the tables lie is looked for from here
        Path(TABLES).unlink(missing_ok=True)
        onnx.save_model(
            model,
            GRAPH,
            save_as_external_data=True,
            location=TABLES,
            size_threshold=_TABLE_BYTES,
        )
        Path(TABLES).chmod(0o644)


def build(table: Rounded, buckets: Rounded, parameters: Mapping[str, Array]) -> onnx.ModelProto:
    """The model: takes `inputs.Inputs`, gives `heads.COLUMNS` figures, see `encoder.Manifest`."""
    graph = Graph()
    signs = graph.add("Reshape", "signs", graph.whole(1, COUNT))
    parts = (_fixed(graph, table), signs, _hashed(graph, buckets))
    taken = graph.add("Concat", *parts, axis=1, name=FEATURES)
    hidden = _dense(graph, taken, parameters, "hidden")
    logits = _dense(graph, graph.add("Relu", hidden), parameters, "output")
    _activated(graph, logits)
    inputs = [helper.make_tensor_value_info(*entry) for entry in _INPUTS]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [heads.COLUMNS])]
    drawn = helper.make_graph(graph.nodes, "understanding", inputs, outputs, graph.constants)
    model = helper.make_model(drawn, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


def _fixed(graph: Graph, table: Rounded) -> str:
    """Pools of table rows, each of length 1, in a row."""
    parts = (graph.constant(table.rows), graph.constant(table.scales))
    pools = graph.pooled(parts, "ids", "weights")
    length = graph.add("ReduceL2", pools, graph.whole(1), keepdims=1)
    least = graph.constant(np.array([1e-9], np.float32))
    pools = graph.add("Div", pools, graph.add("Max", length, least))
    return graph.add("Reshape", pools, graph.whole(1, -1))


def _hashed(graph: Graph, buckets: Rounded) -> str:
    """Pools of the rows of ids' and pairs' buckets, in a row."""
    parts = (graph.constant(buckets.rows), graph.constant(buckets.scales))
    ids = graph.add("Cast", "ids", to=TensorProto.INT64)
    weights = graph.add("Gather", "weights", graph.whole(*HASHED_POOLS), axis=0)
    one = _affine(graph, ((ids, ONE[0]),), ONE[1])
    begin, end = graph.whole(0), graph.whole(-1)
    first = graph.add("Slice", ids, begin, end)
    later = (graph.whole(1), graph.whole(np.iinfo(np.int64).max))
    second = graph.add("Slice", ids, *later)
    pair = _affine(graph, ((first, PAIR[0]), (second, PAIR[1])), PAIR[2])
    at = graph.add("Concat", one, pair, axis=0)
    of_pairs = graph.add("Slice", weights, *later, graph.whole(1))
    pools = graph.pooled(parts, at, graph.add("Concat", weights, of_pairs, axis=1))
    return graph.add("Reshape", pools, graph.whole(1, -1))


def _affine(graph: Graph, terms: tuple[tuple[str, int], ...], offset: int) -> str:
    """(Sum of tensor * factor, plus offset) mod `BUCKETS`."""
    total = graph.whole(offset)
    for tensor, factor in terms:
        total = graph.add("Add", total, graph.add("Mul", tensor, graph.whole(factor)))
    return graph.add("Mod", total, graph.whole(BUCKETS))


def _dense(graph: Graph, tensor: str, parameters: Mapping[str, Array], name: str) -> str:
    weight, bias = (graph.constant(parameters[part]) for part in (name, f"{name}_bias"))
    return graph.add("Gemm", tensor, weight, bias)


def _activated(graph: Graph, logits: str) -> None:
    """`OUTPUT`: probabilities of tasks, of subjects and of the rest, then lengths."""

    def columns(part: slice) -> str:
        return graph.add("Slice", row, graph.whole(part.start), graph.whole(part.stop))

    row = graph.add("Reshape", logits, graph.whole(heads.COLUMNS))
    tasks, subjects = (
        graph.add("Softmax", columns(part), axis=0) for part in (heads.TASK, heads.SUBJECT)
    )
    yes_no = graph.add("Sigmoid", columns(heads.YES_NO))
    lengths = columns(heads.LENGTH)
    graph.add("Concat", tasks, subjects, yes_no, lengths, axis=0, name=OUTPUT)
