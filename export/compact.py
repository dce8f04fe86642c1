"""A graph in fewer bytes that computes the same.

Large weights that are exact in float16 are stored so, with a Cast that onnxruntime folds away: training
rounds large weights (training.models.rounded), so the file halves. Constants that are equal are stored once,
and what passes between nodes has short names.
"""

import itertools

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LEAST_VALUES = 2**14  # of a tensor that is worth a node


def compact(graph: onnx.ModelProto) -> None:
    """Rewrites the graph in place; no score changes."""
    _halved(graph)
    _once(graph)
    _short(graph)


def _halved(graph: onnx.ModelProto) -> None:
    """Large float32 initializers as float16 where that loses nothing."""
    casts = []
    for initializer in graph.graph.initializer:
        values = numpy_helper.to_array(initializer)
        if values.dtype != np.float32 or values.size < LEAST_VALUES:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name, stored = initializer.name, f"{initializer.name}_float16"
        initializer.CopyFrom(numpy_helper.from_array(half, stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend(casts + nodes)


def _once(graph: onnx.ModelProto) -> None:
    """The first of equal constants, for all that read one of them."""
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    kept = []
    for node in graph.graph.node:
        if node.op_type == "Constant":
            name, value = node.output[0], node.attribute[0].SerializeToString(deterministic=True)
            same[name] = first.setdefault(value, name)
            if same[name] != name:
                continue
        kept.append(node)
    del graph.graph.node[:]
    graph.graph.node.extend(kept)
    _rename(graph, same)


def _short(graph: onnx.ModelProto) -> None:
    """Numbers instead of names; weights and what is made of them, inputs and outputs keep theirs."""
    del graph.graph.value_info[:]  # shapes of what was named otherwise
    nodes = graph.graph.node
    stored = {entry.name for entry in graph.graph.initializer}
    kept = stored | {entry.name for entry in (*graph.graph.input, *graph.graph.output)}
    for node in nodes:
        if stored.intersection(node.input[:1]):
            kept.update(node.output)
    passed = [name for node in nodes for name in node.output if name not in kept]
    free = (name for name in map("t{}".format, itertools.count()) if name not in kept)
    _rename(graph, dict(zip(passed, free, strict=False)))


def _rename(graph: onnx.ModelProto, names: dict[str, str]) -> None:
    for node in graph.graph.node:
        for ends in (node.input, node.output):
            ends[:] = [names.get(name, name) for name in ends]
