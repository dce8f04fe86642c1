"""A float graph that says the same, and loses less when its products are rounded to integers.

What a norm gives to products varies a hundredfold from channel to channel, and one scale rounds all of them:
a part of that moves into the weights, which have a scale for each output (SmoothQuant, Xiao et al. 2022).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from export.graph import passed

LEAST = 1e-5  # of what is divided by


def smooth(graph: onnx.ModelProto, products: Sequence[str], clips: Sequence[np.ndarray]) -> None:
    """Norms and the weights of the named products that they feed, float32, in place: a channel's largest
    value over clips (N,), and the largest weight that it meets, become as large as each other. Norms that
    share their weights, as untrained ones do, stay.
    """
    read = Counter(name for node in graph.graph.node for name in node.input)
    stored = {entry.name: entry for entry in graph.graph.initializer if read[entry.name] == 1}
    norms = {
        node.output[0]: node
        for node in graph.graph.node
        if node.op_type == "LayerNormalization" and all(part in stored for part in node.input[1:])
    }
    fed = [node for node in graph.graph.node if node.name in products and node.input[0] in norms]
    names = list(dict.fromkeys(node.input[0] for node in fed))
    if not names:
        return
    for name, values in zip(names, _largest(graph, names, clips), strict=True):
        weights = [stored[node.input[1]] for node in fed if node.input[0] == name]
        met = np.max([np.abs(numpy_helper.to_array(one)).max(axis=1) for one in weights], axis=0)
        scale = np.sqrt(np.maximum(values, LEAST) / np.maximum(met, LEAST))
        for part in norms[name].input[1:]:
            _multiply(stored[part], 1 / scale)
        for weight in weights:
            _multiply(weight, scale[:, None])


def _largest(graph: onnx.ModelProto, names: Sequence[str], clips: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The largest value of each channel (channels,) of what passes under these names."""
    heard = passed(graph, names, (clip[None] for clip in clips))
    found = [[np.abs(rows).max(axis=(0, 1)) for rows in of_one] for of_one in heard]
    return [np.max(rows, axis=0) for rows in zip(*found, strict=True)]


def _multiply(entry: onnx.TensorProto, factor: np.ndarray) -> None:
    values = (numpy_helper.to_array(entry) * factor).astype(np.float32)
    entry.CopyFrom(numpy_helper.from_array(values, entry.name))
