"""Counted work of a graph on an input: floating point operations of its products and convolutions, by node.

Shapes are those of a real run: every product's inputs and output become outputs of the graph.
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx

from export.graph import JOINED, passed

COUNTED = ("MatMul", "Gemm", "Conv", JOINED)


@dataclass(frozen=True)
class Product:
    """One of COUNTED as it runs."""

    name: str
    kind: str
    flops: int  # a multiplication and an addition are two
    integers: bool  # of 8 bits
    bytes: int  # inputs and output, each once, as they are stored
    shapes: tuple[tuple[int, ...], ...]  # of the two inputs and the output


def products(model: Path, samples: int) -> list[Product]:
    """What the graph computes for one waveform of so many samples."""
    graph = onnx.load(model)
    nodes = [node for node in graph.graph.node if node.op_type in COUNTED]
    known = {entry.name: tuple(entry.dims) for entry in graph.graph.initializer}
    known |= _stored(graph, known)
    wanted = sorted({name for node in nodes for name in (*node.input[:2], node.output[0])} - set(known))
    waveform = np.random.default_rng(0).normal(0, 0.1, (1, samples)).astype(np.float32)
    found = next(passed(graph, wanted, [waveform]))
    shapes = known | {name: value.shape for name, value in zip(wanted, found, strict=True)}
    integers = {node.output[0] for node in graph.graph.node if node.op_type == "DequantizeLinear"}
    return [_product(node, shapes, node.op_type == JOINED or node.input[0] in integers) for node in nodes]


def total(model: Path, samples: int) -> int:
    """Floating point operations of all products."""
    return sum(product.flops for product in products(model, samples))


def _stored(graph: onnx.ModelProto, known: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Weights that are stored as float16 or as integers."""
    return {
        node.output[0]: known[node.input[0]]
        for node in graph.graph.node
        if node.op_type in ("Cast", "DequantizeLinear") and node.input[0] in known
    }


def _product(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]], integers: bool) -> Product:
    left, right, out = (tuple(shapes[name]) for name in (*node.input[:2], node.output[0]))
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "Conv":
        inner = prod(right[1:])  # input channels of a group by kernel
    elif attributes.get("transA"):
        inner = left[0]
    else:
        inner = left[-1]
    moved = (1 if integers else 4) * (prod(left) + prod(right)) + 4 * prod(out)
    return Product(node.name, node.op_type, 2 * prod(out) * inner, integers, moved, (left, right, out))
