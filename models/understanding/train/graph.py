"""The trained arrays as one ONNX graph: ids, weights of positions, signs -> one row.

Owns the graph and what of it is rounded. Gathers read int8 rows, so that nothing is unpacked but
what a text uses; the hidden layer is int8 as well, since a daemon that has slept reads all of it
from memory: 0.34 MB instead of 1.36. Every node costs about a microsecond, so there are few.
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

from edgeroute.understanding.encoder import FEATURES, GRAPH, OUTPUT, TABLES
from edgeroute.understanding.inputs import HASHED_POOLS, POOLS
from edgeroute.understanding.signs import COUNT
from train import heads
from train.arrays import BUCKETS, ONE, PAIR
from train.weights import Array

OPSET: Final = 18
CONTRIBUTED: Final = "com.microsoft"
"""onnxruntime's own operators: `DynamicQuantizeMatMul`."""
IR_VERSION: Final = 9
_TABLE_BYTES = 2_000_000
"""A constant of so many bytes is a table."""
_INPUTS = (
    ("ids", TensorProto.INT32, ("tokens",)),
    ("weights", TensorProto.FLOAT, (POOLS, "tokens")),
    ("hashed_weights", TensorProto.FLOAT, (len(HASHED_POOLS), "positions")),
    ("signs", TensorProto.FLOAT, (1, COUNT)),
)
_MOST = 64
"""Largest of the hidden layer's int8 weights. AVX2 without VNNI adds two products in 16 bits, which
holds 2 * 255 * 64 and not 2 * 255 * 127; so every processor gives the same."""


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
    """Nodes and constants as they are added."""

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

    def split(self, tensor: str, *sizes: int) -> list[str]:
        """Parts of a row, so many columns each; their names."""
        outputs = [f"t{len(self.nodes)}_{part}" for part in range(len(sizes))]
        node = helper.make_node("Split", [tensor, self.whole(*sizes)], outputs, axis=1)
        self.nodes.append(node)
        return outputs

    def pooled(self, table: Rounded, at: str, weights: str) -> str:
        """Weighted sums of rows: indices [n], weights [pools, n]."""
        parts = (self.constant(table.rows), self.constant(table.scales))
        rows, scales = (self.add("Gather", part, at) for part in parts)
        return self.add("MatMul", weights, self.add("DequantizeLinear", rows, scales, axis=0))


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
    """The model: takes `inputs.Inputs`, gives what `encoder.Manifest` says, and what it is of."""
    graph = Graph()
    parts = (_fixed(graph, table), "signs", _hashed(graph, buckets))
    taken = graph.add("Concat", *parts, axis=1, name=FEATURES)
    hidden = _rounded_dense(graph, taken, parameters["hidden"], parameters["hidden_bias"])
    weight, bias = (graph.constant(parameters[part]) for part in ("output", "output_bias"))
    _activated(graph, graph.add("Gemm", graph.add("Relu", hidden), weight, bias))
    inputs = [helper.make_tensor_value_info(*entry) for entry in _INPUTS]
    outputs = [
        helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, heads.COLUMNS]),
        helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, [1, None]),
    ]
    drawn = helper.make_graph(graph.nodes, "understanding", inputs, outputs, graph.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIBUTED, 1)]
    model = helper.make_model(drawn, opset_imports=opsets)
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


def _fixed(graph: Graph, table: Rounded) -> str:
    """Pools of table rows, each of length 1 or 0, in a row."""
    pools = graph.pooled(table, "ids", "weights")
    pools = graph.add("LpNormalization", pools, axis=1, p=2)
    return graph.add("Reshape", pools, graph.whole(1, -1))


def _hashed(graph: Graph, buckets: Rounded) -> str:
    """Pools of the rows of ids' and pairs' buckets, in a row; 32 bits wrap and keep the last 15."""
    first = graph.add("Slice", "ids", graph.whole(0), graph.whole(-1))
    second = graph.add("Slice", "ids", graph.whole(1), graph.whole(np.iinfo(np.int64).max))
    ones = _affine(graph, (("ids", ONE[0]),), ONE[1])
    pairs = _affine(graph, ((first, PAIR[0]), (second, PAIR[1])), PAIR[2])
    both = graph.add("Concat", ones, pairs, axis=0)
    at = graph.add("BitwiseAnd", both, graph.constant(np.array([BUCKETS - 1], np.int32)))
    pools = graph.pooled(buckets, at, "hashed_weights")
    return graph.add("Reshape", pools, graph.whole(1, -1))


def _affine(graph: Graph, terms: tuple[tuple[str, int], ...], offset: int) -> str:
    """Sum of tensor * factor, plus offset."""
    total = graph.constant(np.array([offset], np.int32))
    for tensor, factor in terms:
        product = graph.add("Mul", tensor, graph.constant(np.array([factor], np.int32)))
        total = graph.add("Add", total, product)
    return total


def _rounded_dense(graph: Graph, tensor: str, weight: Array, bias: Array) -> str:
    """A layer whose weights are int8 by column; its inputs are rounded to 8 bits as they come."""
    scales = np.abs(weight).max(axis=0) / _MOST
    constants = (
        np.rint(weight / scales).astype(np.int8),
        scales.astype(np.float32),
        np.zeros(len(scales), np.int8),
        bias,
    )
    names = map(graph.constant, constants)
    return graph.add("DynamicQuantizeMatMul", tensor, *names, domain=CONTRIBUTED)


def _activated(graph: Graph, logits: str) -> None:
    """`OUTPUT`: probabilities of tasks, of subjects and of the rest, then lengths."""
    columns = (heads.TASK, heads.SUBJECT, heads.YES_NO, heads.LENGTH)
    sizes = (part.stop - part.start for part in columns)
    tasks, subjects, yes_no, lengths = graph.split(logits, *sizes)
    probable = (graph.add("Softmax", part, axis=1) for part in (tasks, subjects))
    graph.add("Concat", *probable, graph.add("Sigmoid", yes_no), lengths, axis=1, name=OUTPUT)
